"""Progress: a bar on stderr with tokens a second and the time left; it knows counts only."""

from __future__ import annotations

import sys
from typing import Self

from tqdm import tqdm

_FORMAT = "{desc} {percentage:3.0f}% |{bar}| {elapsed} elapsed, {remaining} left{postfix}"


class Progress:
    """How far an embedding run is, in characters of text, whose total is known from the start."""

    def __init__(self, characters: int, *, enabled: bool) -> None:
        """Show a bar over a number of characters, or nothing."""
        self._bar = tqdm(
            total=characters,
            desc="embedding",
            bar_format=_FORMAT,
            disable=not enabled,
            file=sys.stderr,
            leave=True,
            mininterval=0.5,
        )
        self._group_characters = 0
        self._group_tokens = 0
        self._group_shown = 0.0
        self._tokens = 0
        self._seconds = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def start_group(self, characters: int, tokens: int) -> None:
        """Announce a group of texts: its characters and the tokens of its distinct chunks."""
        self._group_characters, self._group_tokens, self._group_shown = characters, tokens, 0.0

    def advance(self, tokens: int, seconds: float) -> None:
        """Count tokens that went through the encoder, and how long that took."""
        self._tokens += tokens
        self._seconds += seconds
        rate = self._tokens / max(self._seconds, 1e-9)
        self._bar.set_postfix_str(f"{rate:,.0f} tokens/s", refresh=False)
        step = self._group_characters * tokens / max(self._group_tokens, 1)
        step = min(step, self._group_characters - self._group_shown)
        self._group_shown += step
        self._bar.update(step)

    def finish_group(self) -> None:
        """Count the rest of the group, which the store already held."""
        self._bar.update(self._group_characters - self._group_shown)
