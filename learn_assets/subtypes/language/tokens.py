"""Tokens: a tokenizer made from the study's own texts, and admissions as tokens by diagnosis."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import log
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

TOKENIZER_FILE = "tokenizer.json"
_SPECIAL = ("[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]")
_VOCABULARY = 8_000

TokenIds = tuple[int, ...]
# Tokens of each diagnosis of an admission, principal first.
Diagnoses = tuple[TokenIds, ...]


class TokenizerError(ValueError):
    """A tokenizer lacks a token that training needs; says which."""


@dataclass(frozen=True)
class SpecialTokens:
    """Ids of the tokens around and instead of words, and how many ids there are."""

    padding: int
    start: int
    separator: int
    unknown: int
    mask: int
    vocabulary: int

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> SpecialTokens:
        """Return the ids by their names. TokenizerError when one is not there."""
        found = {name: tokenizer.token_to_id(name) for name in _SPECIAL}
        if absent := [name for name, place in found.items() if place is None]:
            raise TokenizerError(
                f"the tokenizer has no {', '.join(absent)}; it is not one of DeBERTa-v3"
            )
        padding, start, separator, unknown, mask = (place or 0 for place in found.values())
        vocabulary = tokenizer.get_vocab_size(with_added_tokens=True)
        return cls(padding, start, separator, unknown, mask, vocabulary)

    @property
    def ids(self) -> tuple[int, ...]:
        """Return the ids that stand for no word."""
        return (self.padding, self.start, self.separator, self.unknown, self.mask)


@dataclass(frozen=True)
class Batch:
    """Token ids, attention mask and which tokens are words, each (n, longest)."""

    ids: npt.NDArray[np.int64]
    attention: npt.NDArray[np.int64]
    words: npt.NDArray[np.bool_]


def make_tokenizer(texts: Iterable[str]) -> Tokenizer:
    """Return a Unigram tokenizer in lower case: the words of the texts, and characters for others.

    A piece scores the logarithm of its share; the most frequent words come first, ties in order of
    the alphabet. The library's own trainer gives other scores at every run.
    """
    from tokenizers import decoders, models, normalizers, pre_tokenizers

    normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    splitter = pre_tokenizers.Sequence([pre_tokenizers.Metaspace(), pre_tokenizers.Punctuation()])
    words: Counter[str] = Counter()
    for text, count in Counter(texts).items():
        for word, _ in splitter.pre_tokenize_str(normalizer.normalize_str(text)):
            words[word] += count
    vocabulary = [(name, -100.0) for name in _SPECIAL] + _scored(words)
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=_SPECIAL.index("[UNK]")))
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = splitter
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.add_special_tokens(list(_SPECIAL))
    return tokenizer


def _scored(words: Counter[str]) -> list[tuple[str, float]]:
    """Return pieces and scores: every character, then words until the vocabulary is full."""
    characters = sorted({character for word in words for character in word})
    by_count = sorted(words, key=lambda word: (-words[word], word))
    frequent = [word for word in by_count if len(word) > 1]
    total = sum(words.values())
    # Two characters are less likely than any word: rarer ones alone are spelled.
    rare = log(1 / total) - 1.0
    pieces = [(character, rare) for character in characters]
    return pieces + [
        (word, log(words[word] / total)) for word in frequent[: _VOCABULARY - len(pieces)]
    ]


def load_tokenizer(folder: Path) -> Tokenizer:
    """Return the tokenizer of a model folder, without truncation, padding or special tokens."""
    tokenizer = Tokenizer.from_file(str(folder / TOKENIZER_FILE))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def text_tokens(tokenizer: Tokenizer, texts: Iterable[str], limit: int) -> dict[str, TokenIds]:
    """Return the tokens of each distinct text, at most as many as fit an admission alone."""
    distinct = sorted(set(texts))
    # A text that holds the name of a special token is a text.
    tokenizer.encode_special_tokens = True
    encoded = tokenizer.encode_batch_fast(distinct, add_special_tokens=False)
    return {text: tuple(one.ids[: limit - 2]) for text, one in zip(distinct, encoded, strict=True)}


def length_of(diagnoses: Diagnoses) -> int:
    """Return how many tokens an admission has: a start, and a separator behind each diagnosis."""
    return 1 + sum(len(tokens) + 1 for tokens in diagnoses)


def fitted(diagnoses: Diagnoses, limit: int) -> Diagnoses:
    """Return the first diagnoses that fit the limit whole; the principal one always does."""
    length, kept = 1, 0
    for tokens in diagnoses:
        length += len(tokens) + 1
        if length > limit:
            break
        kept += 1
    return diagnoses[: max(kept, 1)]


def padded(admissions: Sequence[Diagnoses], special: SpecialTokens) -> Batch:
    """Return admissions side by side: [CLS] diagnosis [SEP] diagnosis [SEP], padded on the right.

    `words` are the tokens of diagnoses, so neither start, separators nor padding.
    """
    longest = max(map(length_of, admissions))
    ids = np.full((len(admissions), longest), special.padding, dtype=np.int64)
    words = np.zeros(ids.shape, dtype=bool)
    attention = np.zeros(ids.shape, dtype=np.int64)
    for row, diagnoses in enumerate(admissions):
        line = [special.start]
        for tokens in diagnoses:
            words[row, len(line) : len(line) + len(tokens)] = True
            line += [*tokens, special.separator]
        ids[row, : len(line)] = line
        attention[row, : len(line)] = 1
    return Batch(ids, attention, words)
