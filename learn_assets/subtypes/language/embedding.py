"""Embedding: one vector an admission from the trained encoder, whatever is asked first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from threading import local
from typing import Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from learn_assets.subtypes.coded import CodedAdmissions
from learn_assets.subtypes.language.architecture import one_thread, training_device
from learn_assets.subtypes.language.checkpoints import load_parameters
from learn_assets.subtypes.language.contrastive import AdmissionEncoder
from learn_assets.subtypes.language.corpus import admissions_as_tokens
from learn_assets.subtypes.language.tokens import (
    Diagnoses,
    SpecialTokens,
    TokenIds,
    fitted,
    length_of,
    load_tokenizer,
    text_tokens,
)
from learn_assets.subtypes.language.trained_model import SavedModel, blank_model, read_parameters

FloatVector = npt.NDArray[np.float32]
FloatMatrix = npt.NDArray[np.float32]

_TOKENS_AT_ONCE = 8_192


@dataclass(frozen=True)
class TrainedEncoder:
    """A trained encoder, ready to run."""

    encoder: AdmissionEncoder
    special: SpecialTokens
    limit: int
    vector: Literal["pooled", "projected"]

    def vectors(self, admissions: Sequence[Diagnoses]) -> FloatMatrix:
        """Return one vector an admission (n, d), float32, in their order.

        Admissions run sorted by length in batches of about 8,192 tokens; each set of diagnoses in
        one order runs once.
        """
        import torch

        kept = [fitted(diagnoses, self.limit) for diagnoses in admissions]
        distinct = sorted(set(kept), key=lambda one: (length_of(one), one))
        place = {diagnoses: row for row, diagnoses in enumerate(distinct)}
        self.encoder.module.eval()
        run = self.encoder.pooled if self.vector == "pooled" else self.encoder.projected
        with torch.inference_mode():
            made = [run(batch, self.special).cpu().numpy() for batch in _batches(distinct)]
        rows = np.array([place[diagnoses] for diagnoses in kept], dtype=np.int64)
        return np.asarray(np.concatenate(made)[rows], dtype=np.float32)


@dataclass
class AdmissionVectors:
    """Vectors of coded admissions: those that are known as they are, the others by the encoder.

    tokens: code -> its tokens; known: vector by the tokens of an admission. A null file is fitted
    and transformed in one thread, so the last file of each thread is remembered.
    """

    encoder: TrainedEncoder
    tokens: Mapping[str, TokenIds]
    known: Mapping[Diagnoses, FloatVector]
    _last: local = field(default_factory=local, repr=False)

    def __call__(self, coded: CodedAdmissions) -> FloatMatrix:
        """Return one vector an admission (n, d), float32."""
        if getattr(self._last, "coded", None) is not coded:
            self._last.vectors = self._made(coded)
            self._last.coded = coded
        vectors: FloatMatrix = self._last.vectors
        return vectors

    def _made(self, coded: CodedAdmissions) -> FloatMatrix:
        by_position = [self.tokens[code] for code in coded.codes]
        admissions = [
            tuple(by_position[position] for position in coded.positions[start:stop])
            for start, stop in pairwise(coded.starts)
        ]
        unknown = sorted({one for one in admissions if one not in self.known})
        made = dict(zip(unknown, self.encoder.vectors(unknown), strict=True)) if unknown else {}
        rows = [made[one] if one in made else self.known[one] for one in admissions]
        return np.asarray(np.stack(rows), dtype=np.float32)


def load_encoder(saved: SavedModel, *, pretrained: bool) -> TrainedEncoder:
    """Return the encoder of a contrastive model's folder, on the device it was trained on."""
    device = training_device(pretrained=pretrained)
    encoder = AdmissionEncoder.of(blank_model(saved), int(saved.settings["projection"]))
    load_parameters(encoder.module, read_parameters(saved))
    special = SpecialTokens.of(load_tokenizer(saved.folder))
    encoder.module.to(device)
    return TrainedEncoder(
        encoder, special, int(saved.settings["token_limit"]), saved.settings["vector"]
    )


def embed_texts(saved: SavedModel, texts: pl.DataFrame, *, pretrained: bool) -> pl.DataFrame:
    """Return the table `text_embeddings` of some `diagnosis_texts`: one vector an admission."""
    encoder = load_encoder(saved, pretrained=pretrained)
    tokenizer = load_tokenizer(saved.folder)
    listed = texts["descriptions"].to_list()
    tokens = admissions_as_tokens(tokenizer, listed, encoder.limit)
    with one_thread(wanted=not pretrained):
        vectors = encoder.vectors(tokens)
    return texts.select("admission_id", vector=_lists(vectors))


def admission_vectors(
    saved: SavedModel,
    descriptions: Mapping[str, str],
    discharges: pl.DataFrame,
    embedded: pl.DataFrame,
    *,
    pretrained: bool,
) -> AdmissionVectors:
    """Return what makes vectors of coded admissions with the trained encoder.

    descriptions: code -> text (`code_texts`); discharges (admission_id, diagnoses) and embedded
    (`text_embeddings`): admissions whose vectors are there already.
    """
    encoder = load_encoder(saved, pretrained=pretrained)
    by_text = text_tokens(load_tokenizer(saved.folder), descriptions.values(), encoder.limit)
    tokens = {code: by_text[text] for code, text in descriptions.items()}
    rows = discharges.select("admission_id", "diagnoses").join(
        embedded, on="admission_id", maintain_order="left"
    )
    known = {
        tuple(tokens[code] for code in dict.fromkeys(codes)): np.asarray(vector, dtype=np.float32)
        for codes, vector in rows.select("diagnoses", "vector").iter_rows()
    }
    return AdmissionVectors(encoder, tokens, known)


def _lists(vectors: FloatMatrix) -> pl.Series:
    return pl.Series("vector", vectors).cast(pl.List(pl.Float32))


def _batches(admissions: Sequence[Diagnoses]) -> list[Sequence[Diagnoses]]:
    """Return admissions, sorted by length, in batches of a bounded number of padded tokens."""
    batches, start = [], 0
    for stop in range(1, len(admissions) + 1):
        full = stop == len(admissions)
        if not full:
            longest = length_of(admissions[stop])
            full = longest * (stop + 1 - start) > _TOKENS_AT_ONCE
        if full:
            batches.append(admissions[start:stop])
            start = stop
    return batches
