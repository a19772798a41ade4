"""Chunking: a text of any length becomes pieces that each fit an encoder, exactly.

What belongs here: where a text may be cut and which pieces result. Sizes are in the encoder's own
tokens; the prompt and the special tokens count against its limit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tokenizers import Encoding, Tokenizer

WHITESPACE_CUT, WORD_CUT, TOKEN_CUT, NO_CUT = 3, 2, 1, 0
MINIMUM_BUDGET = 16

_CUTS = (WHITESPACE_CUT, WORD_CUT, TOKEN_CUT)
# Tokenizers slow down on very long inputs and hold about 200 bytes a token.
_SEGMENT_CHARACTERS = 65_536
_BATCH_CHARACTERS = 4_000_000
_SPACES = np.array(
    [ord(character) for character in map(chr, range(0x3001)) if character.isspace()],
    dtype=np.uint32,
)


class ChunkingError(ValueError):
    """A text cannot be cut to fit the encoder; says which setting to change."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a text.

    `text` is a slice of the original; `new_tokens` counts the tokens no earlier chunk of the text
    holds, so they sum to the tokens of the text; `length` is what the encoder sees of it: prompt,
    special tokens and overlap included.
    """

    text: str
    new_tokens: int
    length: int


@dataclass(frozen=True)
class _Tokens:
    """Tokens of one text: character offsets (int64) and the index of the word each belongs to."""

    starts: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]
    words: npt.NDArray[np.int64]


def load_tokenizer(folder: Path) -> Tokenizer:
    """Return a model folder's fast tokenizer, without truncation or padding."""
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


class Chunker:
    """Cuts texts for one encoder and one prompt.

    Nothing is dropped, no chunk lies within another, neighbors share at most `overlap_tokens`
    tokens, and no chunk exceeds the limit when tokenized on its own. Cuts fall at white space,
    inside an over-long word only where it must. Time is linear in the length of a text.
    """

    def __init__(
        self, tokenizer: Tokenizer, *, token_limit: int, overlap_tokens: int, prompt: str = ""
    ) -> None:
        """Fix the budget of a chunk. ChunkingError when prompt or overlap leave too little room."""
        self._tokenizer = tokenizer
        self._token_limit = token_limit
        self._overlap = overlap_tokens
        self._prompt = prompt
        self._fixed = len(tokenizer.encode(prompt).ids)
        self.budget = token_limit - self._fixed
        if self.budget < MINIMUM_BUDGET:
            raise ChunkingError(
                f"the prompt leaves {self.budget} of {token_limit} tokens for the text, fewer than "
                f"{MINIMUM_BUDGET}; shorten the instruction or set `mode: neutral`"
            )
        if not 0 <= overlap_tokens <= self.budget // 2:
            raise ChunkingError(
                f"`overlap_tokens: {overlap_tokens}` must be from 0 to {self.budget // 2}, half of "
                "what a chunk can hold"
            )

    def chunk(self, texts: Sequence[str]) -> list[tuple[Chunk, ...]]:
        """Return the chunks of each text in order; none for a text without tokens.

        ChunkingError when a text cannot be cut to fit.
        """
        results: list[tuple[Chunk, ...]] = []
        for batch in _by_characters(texts):
            tokens = self._tokenize(batch)
            results.extend(self._chunk_batch(batch, tokens))
        return results

    def _chunk_batch(
        self, texts: Sequence[str], tokens: Sequence[_Tokens]
    ) -> list[tuple[Chunk, ...]]:
        results: list[tuple[Chunk, ...]] = [()] * len(texts)
        budgets = dict.fromkeys(range(len(texts)), self.budget)
        while budgets:
            cut = {i: self._cut(texts[i], tokens[i], budget) for i, budget in budgets.items()}
            slices = [piece for spans in cut.values() for piece, _ in spans]
            lengths = iter(self._lengths(slices))
            remaining: dict[int, int] = {}
            for i, spans in cut.items():
                chunks = tuple(Chunk(piece, new, next(lengths)) for piece, new in spans)
                results[i] = chunks
                # A slice can need more tokens on its own than within its text, where a cut falls
                # inside a word; then the text is cut again, that much shorter.
                excess = max((c.length for c in chunks), default=0) - self._token_limit
                if excess > 0:
                    remaining[i] = self._smaller(budgets[i], excess)
            budgets = remaining
        return results

    def _smaller(self, budget: int, excess: int) -> int:
        if budget == 1:
            raise ChunkingError(
                f"a single token of a text exceeds the limit of {self._token_limit} on its own; "
                "raise the encoder's token limit"
            )
        return max(1, budget - excess)

    def _cut(self, text: str, tokens: _Tokens, budget: int) -> list[tuple[str, int]]:
        """Return each chunk's slice and its number of new tokens."""
        count = len(tokens.starts)
        if count <= budget:
            return [(text[tokens.starts[0] : tokens.ends[-1]], count)] if count else []
        spans = plan_spans(_cut_ranks(text, tokens), budget, min(self._overlap, budget // 2))
        covered = 0
        pieces = []
        for start, end in spans:
            pieces.append((text[tokens.starts[start] : tokens.ends[end - 1]], end - covered))
            covered = end
        return pieces

    def _lengths(self, slices: Sequence[str]) -> list[int]:
        encodings = self._tokenizer.encode_batch_fast([self._prompt + piece for piece in slices])
        return [len(encoding.ids) for encoding in encodings]

    def _tokenize(self, texts: Sequence[str]) -> list[_Tokens]:
        segments = [list(_segments(text)) for text in texts]
        flat = [text[a:b] for text, parts in zip(texts, segments, strict=True) for a, b in parts]
        encodings = iter(self._tokenizer.encode_batch(flat, add_special_tokens=False))
        return [_joined([(start, next(encodings)) for start, _ in parts]) for parts in segments]


def plan_spans(ranks: npt.NDArray[np.int8], budget: int, overlap: int) -> list[tuple[int, int]]:
    """Return the half-open token ranges of the chunks of one text.

    `ranks` has one entry more than the text has tokens: how good a cut before token i is (0 =
    none); the first and the last are the ends of the text. A chunk ends at the best rank that
    extends what is covered, as late as the budget allows, and starts up to `overlap` tokens back.
    Only a run of tokens that cannot be cut may exceed the budget.
    """
    cuts = _CutIndex.of(ranks)
    spans: list[tuple[int, int]] = []
    start, covered = -1, 0
    while covered < cuts.count:
        start, covered = cuts.next_span(start, covered, budget, overlap)
        spans.append((start, covered))
    return spans


@dataclass(frozen=True)
class _CutIndex:
    """For each rank and position, the nearest cut of at least that rank after and before it."""

    count: int
    later: dict[int, list[int]]
    earlier: dict[int, list[int]]

    @classmethod
    def of(cls, ranks: npt.NDArray[np.int8]) -> _CutIndex:
        count = len(ranks) - 1
        positions = np.arange(count + 1)
        later, earlier = {}, {}
        for rank in _CUTS:
            allowed = ranks >= rank
            ahead = np.where(allowed, positions, count)[::-1]
            later[rank] = np.minimum.accumulate(ahead)[::-1].tolist()
            earlier[rank] = np.maximum.accumulate(np.where(allowed, positions, 0)).tolist()
        return cls(count, later, earlier)

    def next_span(
        self, previous_start: int, covered: int, budget: int, overlap: int
    ) -> tuple[int, int]:
        for rank in _CUTS:
            reach = self.later[rank][covered + 1]
            if reach - covered > budget:
                continue
            lowest = max(covered - overlap, reach - budget, previous_start + 1)
            starts = (self.later[better][lowest] for better in _CUTS)
            start = next((position for position in starts if position <= covered), covered)
            return start, self.earlier[rank][min(start + budget, self.count)]
        return covered, self.later[TOKEN_CUT][covered + 1]


def _cut_ranks(text: str, tokens: _Tokens) -> npt.NDArray[np.int8]:
    count = len(tokens.starts)
    ranks = np.full(count + 1, WHITESPACE_CUT, dtype=np.int8)
    codes = np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32)
    is_space = np.isin(codes, _SPACES)
    spaces_before = np.concatenate([[0], np.cumsum(is_space)])
    starts, ends = tokens.starts[1:], tokens.ends[:-1]
    # Byte-level tokens carry the space in front of them; others leave it between the offsets.
    between = spaces_before[np.maximum(starts, ends)] > spaces_before[ends]
    leading = is_space[np.minimum(starts, len(codes) - 1)] & (tokens.ends[1:] > starts)
    inner = np.where(tokens.words[1:] != tokens.words[:-1], WORD_CUT, TOKEN_CUT)
    inner = np.where(between | leading, WHITESPACE_CUT, inner)
    # Tokens that share a character (a split emoji, a Korean syllable) cannot be parted.
    ranks[1:-1] = np.where(starts < ends, NO_CUT, inner)
    return ranks


def _joined(parts: Sequence[tuple[int, Encoding]]) -> _Tokens:
    offsets = [
        np.array(encoding.offsets, dtype=np.int64).reshape(-1, 2) + start
        for start, encoding in parts
    ]
    words, first_word = [], 0
    for _, encoding in parts:
        ids = np.array([-1 if i is None else i for i in encoding.word_ids], dtype=np.int64)
        words.append(ids + first_word)
        first_word += int(ids.max(initial=-1)) + 1
    joined = np.concatenate(offsets) if offsets else np.empty((0, 2), dtype=np.int64)
    return _Tokens(
        starts=joined[:, 0],
        ends=joined[:, 1],
        words=np.concatenate(words) if words else np.empty(0, dtype=np.int64),
    )


def _segments(text: str) -> Iterator[tuple[int, int]]:
    """Yield character ranges that together are the text, parted in front of a space."""
    start = 0
    while start < len(text):
        end = text.find(" ", start + _SEGMENT_CHARACTERS)
        end = len(text) if end < 0 else end
        yield start, end
        start = end


def _by_characters(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    start, characters = 0, 0
    for i, text in enumerate(texts):
        if characters and characters + len(text) > _BATCH_CHARACTERS:
            yield texts[start:i]
            start, characters = i, 0
        characters += len(text)
    if start < len(texts):
        yield texts[start:]
