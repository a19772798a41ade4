"""Progress: a bar on stderr and a line a minute in the log, with the time left; counts only."""

from __future__ import annotations

import logging
import sys
import time
from typing import Self

from tqdm import tqdm

_LOG_SECONDS = 60.0
_log = logging.getLogger(__name__)
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
        self._characters = characters
        self._shown = 0.0
        self._started = self._logged = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def encoder_loaded(self) -> None:
        """Start the clock: the seconds of loading say nothing about the time left."""
        self._bar.unpause()
        self._started = self._logged = time.monotonic()

    def start_group(self, characters: int, tokens: int) -> None:
        """Announce a group of texts: its characters and the tokens of its distinct chunks."""
        self._group_characters, self._group_tokens, self._group_shown = characters, tokens, 0.0

    def advance(self, tokens: int, status: str) -> None:
        """Count tokens that went through the encoder; `status` says how it is going."""
        self._bar.set_postfix_str(status, refresh=False)
        step = self._group_characters * tokens / max(self._group_tokens, 1)
        step = min(step, self._group_characters - self._group_shown)
        self._group_shown += step
        self._update(step)
        self._log_now_and_then(status)

    def finish_group(self) -> None:
        """Count the rest of the group, which the store already held."""
        self._update(self._group_characters - self._group_shown)

    def _update(self, characters: float) -> None:
        self._shown += characters
        self._bar.update(characters)

    def _log_now_and_then(self, status: str) -> None:
        now = time.monotonic()
        if now - self._logged < _LOG_SECONDS or not self._shown:
            return
        self._logged = now
        share = min(1.0, self._shown / max(self._characters, 1))
        left = (now - self._started) * (1.0 - share) / share
        _log.info("embedding: %.0f%%, %s, about %.0f min left", 100 * share, status, left / 60)
