"""Spaces: how the admissions of one sex become the vectors that are clustered, and back.

What belongs here: which representation a study asks for, and its vectors as tables. Every space is
a subspace of one that both sexes share, and its directions are kept with the vectors, so maps can
show both sexes without making vectors anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from learn_assets.lake import Lake
from learn_assets.study.clusters import ClusterOptions
from learn_assets.study.language_model import LanguageModelOptions
from learn_assets.subtypes.admissions import SexAdmissions
from learn_assets.subtypes.clustering import FloatMatrix
from learn_assets.subtypes.description_vectors import code_vectors, description_store
from learn_assets.subtypes.language.representation import language_model_representation
from learn_assets.subtypes.representations import (
    DescriptionRepresentation,
    Representation,
    TfidfRepresentation,
)

# Fewer admissions of a sex are not clustered: no resample of them would say anything.
MINIMUM_ADMISSIONS = 50


@dataclass(frozen=True)
class EmbeddedAdmissions:
    """Vectors (n, d) of admissions and the directions (d, s) of their axes in the shared space."""

    vectors: FloatMatrix
    directions: FloatMatrix

    @property
    def shared(self) -> FloatMatrix:
        """Return the same vectors in the shared space, (n, s): distances stay what they are."""
        return np.asarray(self.vectors @ self.directions, dtype=np.float32)


def enough_admissions(admissions: SexAdmissions) -> bool:
    """Return whether there are enough admissions to look for clusters."""
    return len(admissions) >= MINIMUM_ADMISSIONS


def main_representation(
    admissions: SexAdmissions,
    options: ClusterOptions,
    names: Mapping[str, str],
    lake: Lake,
    language_model: LanguageModelOptions | None = None,
) -> Representation:
    """Return the representation that the study clusters.

    names: code -> description; language_model: options of the model whose vectors are in the lake.
    """
    if options.representation == "tfidf":
        return baseline_representation(options)
    if options.representation == "language_model":
        if language_model is None:
            raise ValueError("the study has no language model whose vectors could be clustered")
        return language_model_representation(
            lake,
            language_model,
            admissions.sex,
            dimensions=options.dimensions,
            pooling=options.pooling,
            seed=options.seed,
        )
    store = description_store(lake, options.encoder)
    return DescriptionRepresentation(
        code_vectors(admissions.coded.codes, names, options.encoder, store),
        dimensions=options.dimensions,
        principal_weight=options.principal_weight,
        pooling=options.pooling,
        seed=options.seed,
    )


def baseline_representation(options: ClusterOptions) -> TfidfRepresentation:
    """Return the baseline that stands beside: TF-IDF of the codes and SVD."""
    return TfidfRepresentation(options.dimensions, options.seed)


def embed_admissions(
    admissions: SexAdmissions, representation: Representation
) -> EmbeddedAdmissions:
    """Return the vectors of all admissions of a sex; too few of them have vectors of no length."""
    if not enough_admissions(admissions):
        return EmbeddedAdmissions(
            np.zeros((len(admissions), 0), dtype=np.float32), np.zeros((0, 0), dtype=np.float32)
        )
    fitted = representation.fit(admissions.coded)
    return EmbeddedAdmissions(fitted.transform(admissions.coded), fitted.directions)


def embedding_frames(
    admissions: SexAdmissions, embedded: EmbeddedAdmissions
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the tables `discharge_embeddings` and `embedding_directions`."""
    vectors = admissions.discharges.select("admission_id").with_columns(
        _lists("vector", embedded.vectors)
    )
    axes = pl.DataFrame({"axis": np.arange(len(embedded.directions), dtype=np.int64)})
    return vectors, axes.with_columns(_lists("direction", embedded.directions))


def embedded_of(vectors: pl.DataFrame, directions: pl.DataFrame) -> EmbeddedAdmissions:
    """Return vectors and directions read back from their two tables."""
    return EmbeddedAdmissions(
        _matrix(vectors["vector"]), _matrix(directions.sort("axis")["direction"])
    )


def _lists(name: str, rows: FloatMatrix) -> pl.Series:
    # An array without width is no array to Polars.
    values = pl.Series(name, rows) if rows.shape[1] else pl.Series(name, [[]] * len(rows))
    return values.cast(pl.List(pl.Float32))


def _matrix(lists: pl.Series) -> FloatMatrix:
    width = int(str(lists.list.len().max() or 0))
    flat = lists.list.explode(empty_as_null=False).to_numpy()
    return np.asarray(flat, dtype=np.float32).reshape(len(lists), width)
