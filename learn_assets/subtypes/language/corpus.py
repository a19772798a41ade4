"""Corpus: the admissions a language model learns from and those held out, as tokens."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl
from tokenizers import Tokenizer

from learn_assets.study.language_model import LanguageModelOptions
from learn_assets.subtypes.language.split import held_out_rows
from learn_assets.subtypes.language.tokens import (
    Diagnoses,
    SpecialTokens,
    fitted,
    make_tokenizer,
    text_tokens,
)

_FEWEST = 20


class CorpusError(ValueError):
    """There are too few admissions to train on; says how many are needed."""


@dataclass(frozen=True)
class Corpus:
    """Admissions as tokens by diagnosis; `keys` number equal sets of descriptions.

    `shortened` counts admissions with more diagnoses than fit the token limit.
    """

    tokenizer: Tokenizer
    special: SpecialTokens
    training: tuple[Diagnoses, ...]
    held_out: tuple[Diagnoses, ...]
    training_keys: npt.NDArray[np.int64]
    held_out_keys: npt.NDArray[np.int64]
    shortened: int


def build_corpus(
    texts: pl.DataFrame, options: LanguageModelOptions, tokenizer: Tokenizer | None = None
) -> Corpus:
    """Return the corpus of `diagnosis_texts`; a tokenizer is trained unless one is given.

    It is trained on the admissions that are learned from, so nothing held out is in it.
    CorpusError with fewer than 20 admissions.
    """
    if texts.height < _FEWEST:
        raise CorpusError(f"a language model needs at least {_FEWEST} admissions")
    held_out = held_out_rows(
        texts["text_key"].to_list(),
        texts["patient_number"].to_list(),
        options.held_out_share,
        options.seed,
    )
    listed = texts["descriptions"].to_list()
    if tokenizer is None:
        seen = (row for row, out in zip(listed, held_out, strict=True) if not out)
        tokenizer = make_tokenizer(sorted(text for row in seen for text in row))
    whole = admissions_as_tokens(tokenizer, listed, options.token_limit)
    admissions = [fitted(diagnoses, options.token_limit) for diagnoses in whole]
    keys = texts["text_key"].rank("dense").cast(pl.Int64).to_numpy()
    return Corpus(
        tokenizer=tokenizer,
        special=SpecialTokens.of(tokenizer),
        training=tuple(a for a, out in zip(admissions, held_out, strict=True) if not out),
        held_out=tuple(a for a, out in zip(admissions, held_out, strict=True) if out),
        training_keys=keys[~held_out],
        held_out_keys=keys[held_out],
        shortened=sum(len(a) < len(b) for a, b in zip(admissions, whole, strict=True)),
    )


def admissions_as_tokens(
    tokenizer: Tokenizer, descriptions: Sequence[Sequence[str]], limit: int
) -> list[Diagnoses]:
    """Return the tokens of each diagnosis of each admission; equal texts share one tuple."""
    known = text_tokens(tokenizer, (text for row in descriptions for text in row), limit)
    return [tuple(known[text] for text in row) for row in descriptions]


def corpus_fingerprint(texts: pl.DataFrame, options: LanguageModelOptions, *more: str) -> str:
    """Return a sha256 over texts, links, options and whatever else decides a training."""
    digest = hashlib.sha256(options.model_dump_json().encode())
    linked = texts.select("text_key", pl.col("text"), pl.col("patient_number").fill_null(""))
    for row in linked.iter_rows():
        digest.update("\x1f".join(row).encode() + b"\0")
    digest.update("\x1f".join(more).encode())
    return digest.hexdigest()
