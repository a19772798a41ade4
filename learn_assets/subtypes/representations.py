"""Representations: one vector an admission, from its codes (TF-IDF) or from their descriptions.

What belongs here: how vectors are made and which of their parts are fitted. A fitted representation
turns later admissions into vectors of the same space, which replication over years needs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from learn_assets.study.clusters import Pooling
from learn_assets.subtypes.coded import CodedAdmissions

FloatMatrix = npt.NDArray[np.float32]
FloatVector = npt.NDArray[np.float64]

# Fewer admissions of a length teach nothing about it: such lengths share one mean.
_MINIMUM_OF_LENGTH = 50


class FittedRepresentation(Protocol):
    """What a representation learned; the same admissions give the same vectors."""

    @property
    def directions(self) -> FloatMatrix:
        """Axes of the vectors, (d, s), in the space of codes or encoder; each of length 1."""

    def transform(self, coded: CodedAdmissions) -> FloatMatrix:
        """Return vectors (n, d) of admissions coded in the vocabulary it was fitted with."""


class Representation(Protocol):
    """A way to turn admissions into vectors."""

    @property
    def name(self) -> str:
        """Name as tables and figures show it."""

    def fit(self, coded: CodedAdmissions) -> FittedRepresentation:
        """Learn what is learned from these admissions."""


@dataclass(frozen=True)
class TfidfRepresentation:
    """The baseline: each code is a term, present or not; TF-IDF, truncated SVD, length 1."""

    dimensions: int = 50
    seed: int = 42
    name: str = "tfidf_svd"

    def fit(self, coded: CodedAdmissions) -> FittedTfidf:
        """Learn code weights and SVD directions.

        Weights are ln((1 + N) / (1 + n)) + 1 for a code of n among N admissions (smooth IDF of
        scikit-learn), rows scaled to length 1 before the SVD.
        """
        rarity = smooth_rarity(coded)
        rows = _weighted_rows(coded, rarity[coded.positions])
        return FittedTfidf(rarity, _directions(rows, self.dimensions, self.seed))


@dataclass(frozen=True)
class FittedTfidf:
    """Learned parts: `rarity` (codes) and `directions` (d, codes)."""

    rarity: FloatVector
    directions: FloatMatrix

    def transform(self, coded: CodedAdmissions) -> FloatMatrix:
        """Return vectors (n, d) of length 1, float32."""
        rows = _weighted_rows(coded, self.rarity[coded.positions])
        return _unit(np.asarray(rows @ self.directions.T, dtype=np.float64))


@dataclass(frozen=True)
class DescriptionRepresentation:
    """Frozen description vectors of the codes, pooled by admission.

    code_vectors: (codes, d), one vector a code of the vocabulary. An admission is the mean of its
    codes' vectors; the principal diagnosis counts `principal_weight` times, and codes weigh by
    rarity (smooth IDF), as frequent ones tell admissions apart the least (Arora et al. 2017).

    `length_invariant`: the mean vector of admissions with as many diagnoses is taken away and the
    rest scaled to length 1, so neither where nor how long a vector is follows from the number of
    diagnoses: a mean over more codes lies closer to the center, and clusters found that out first.
    """

    code_vectors: FloatMatrix
    dimensions: int = 50
    principal_weight: float = 2.0
    pooling: Pooling = "length_invariant"
    seed: int = 42
    name: str = "description_embedding"

    def fit(self, coded: CodedAdmissions) -> FittedDescriptions:
        """Learn code weights, means by number of diagnoses and principal directions."""
        if len(self.code_vectors) != len(coded.codes):
            raise ValueError(
                f"{len(self.code_vectors)} vectors for a vocabulary of {len(coded.codes)} codes"
            )
        rarity = smooth_rarity(coded)
        pooled = pool_codes(coded, self.code_vectors, rarity, self.principal_weight)
        means = length_means(pooled, coded.lengths, invariant=self.pooling == "length_invariant")
        centered = _unit(means.taken_from(pooled, coded.lengths))
        directions = _directions(centered, self.dimensions, self.seed)
        return FittedDescriptions(
            self.code_vectors, rarity, self.principal_weight, means, directions
        )


@dataclass(frozen=True)
class LanguageModelRepresentation:
    """Vectors of whole admissions by a trained language model, reduced to principal directions.

    embed: vectors (n, h) of admissions. `length_invariant` as for descriptions: the mean vector of
    admissions with as many diagnoses is taken away and the rest scaled to length 1.
    """

    embed: Callable[[CodedAdmissions], FloatMatrix]
    dimensions: int = 50
    pooling: Pooling = "length_invariant"
    seed: int = 42
    name: str = "language_model"

    def fit(self, coded: CodedAdmissions) -> FittedLanguageModel:
        """Learn means by number of diagnoses and principal directions; the model stays as is."""
        vectors = self.embed(coded).astype(np.float64)
        means = length_means(vectors, coded.lengths, invariant=self.pooling == "length_invariant")
        centered = _unit(means.taken_from(vectors, coded.lengths))
        return FittedLanguageModel(
            self.embed, means, _directions(centered, self.dimensions, self.seed)
        )


@dataclass(frozen=True)
class FittedLanguageModel:
    """Learned parts: `means` by length and `directions` (d, h)."""

    embed: Callable[[CodedAdmissions], FloatMatrix]
    means: LengthMeans
    directions: FloatMatrix

    def transform(self, coded: CodedAdmissions) -> FloatMatrix:
        """Return vectors (n, d), float32."""
        vectors = self.embed(coded).astype(np.float64)
        centered = _unit(self.means.taken_from(vectors, coded.lengths))
        return np.asarray(centered @ self.directions.T, dtype=np.float32)


@dataclass(frozen=True)
class LengthMeans:
    """Mean vectors by number of diagnoses: `means[row_of[min(length, last)]]`, (groups, d)."""

    row_of: npt.NDArray[np.int64]
    means: FloatVector

    def taken_from(self, pooled: FloatVector, lengths: npt.NDArray[np.int64]) -> FloatVector:
        """Return vectors less the mean of their number of diagnoses."""
        rows = self.row_of[np.minimum(lengths, len(self.row_of) - 1)]
        return np.asarray(pooled - self.means[rows], dtype=np.float64)


@dataclass(frozen=True)
class FittedDescriptions:
    """Learned parts: `rarity` (codes), `means` by length and `directions` (d, d of encoder)."""

    code_vectors: FloatMatrix
    rarity: FloatVector
    principal_weight: float
    means: LengthMeans
    directions: FloatMatrix

    def transform(self, coded: CodedAdmissions) -> FloatMatrix:
        """Return vectors (n, d), float32."""
        pooled = pool_codes(coded, self.code_vectors, self.rarity, self.principal_weight)
        centered = _unit(self.means.taken_from(pooled, coded.lengths))
        return np.asarray(centered @ self.directions.T, dtype=np.float32)


def smooth_rarity(coded: CodedAdmissions) -> FloatVector:
    """Return ln((1 + N) / (1 + n)) + 1 of each code, n of N admissions having it."""
    having = np.bincount(coded.positions, minlength=len(coded.codes))
    return np.asarray(np.log((1 + len(coded)) / (1 + having)) + 1.0, dtype=np.float64)


def pool_codes(
    coded: CodedAdmissions, code_vectors: FloatMatrix, rarity: FloatVector, principal_weight: float
) -> FloatVector:
    """Return the weighted mean of each admission's code vectors, (n, d) float64."""
    weights = rarity[coded.positions] * np.where(coded.is_principal, principal_weight, 1.0)
    totals = np.add.reduceat(weights, coded.starts[:-1])
    return np.asarray(
        coded.matrix(weights) @ code_vectors.astype(np.float64) / totals[:, None], dtype=np.float64
    )


def length_means(
    pooled: FloatVector, lengths: npt.NDArray[np.int64], *, invariant: bool
) -> LengthMeans:
    """Return mean vectors by number of diagnoses, or one mean for all when not `invariant`.

    Neighboring lengths are joined, from short to long, until each group has 50 admissions.
    """
    counts = np.bincount(lengths)
    groups = _groups(counts) if invariant else np.zeros(len(counts), dtype=np.int64)
    rows = groups[lengths]
    sums = np.zeros((groups.max() + 1, pooled.shape[1]))
    np.add.at(sums, rows, pooled)
    return LengthMeans(groups, sums / np.bincount(rows, minlength=len(sums))[:, None])


def _groups(counts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the group of each length; what is left at the end joins the group before it."""
    groups = np.zeros(len(counts), dtype=np.int64)
    group, gathered = 0, 0
    for length, count in enumerate(counts):
        groups[length] = group
        gathered += int(count)
        if gathered >= _MINIMUM_OF_LENGTH:
            group, gathered = group + 1, 0
    return np.minimum(groups, max(group - 1, 0)) if gathered < _MINIMUM_OF_LENGTH else groups


def _weighted_rows(coded: CodedAdmissions, weights: FloatVector) -> Any:
    lengths = np.sqrt(np.add.reduceat(weights**2, coded.starts[:-1]))
    return coded.matrix(weights / np.repeat(lengths, coded.lengths))


def _directions(rows: Any, dimensions: int, seed: int) -> FloatMatrix:
    """Return the leading right singular vectors, (d, columns), by randomized SVD.

    Halko et al. 2011; a matrix with fewer rows or columns gives fewer directions.
    """
    from sklearn.utils.extmath import randomized_svd

    wanted = max(1, min(dimensions, min(rows.shape) - 1))
    _, _, directions = randomized_svd(rows, wanted, n_iter=4, random_state=seed)
    return np.asarray(directions, dtype=np.float32)


def _unit(vectors: FloatVector) -> FloatMatrix:
    """Return rows scaled to length 1; a row of zeros stays."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    # Rounding leaves dust where a vector equals its mean: it has no direction.
    scaled = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 1e-9)
    return np.asarray(scaled, dtype=np.float32)
