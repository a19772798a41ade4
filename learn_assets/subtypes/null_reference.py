"""Null reference: are clusters better apart than codes dealt at random would make them?

The null keeps the number of diagnoses of each admission and how often each code is principal and
further diagnosis; only which codes come together is random. Every null file passes through the
whole pipeline: representation, clustering, measure.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from itertools import repeat

import numpy as np
import numpy.typing as npt

from learn_assets.subtypes.clustering import Clusterer, FloatMatrix
from learn_assets.subtypes.coded import CodedAdmissions, permuted
from learn_assets.subtypes.representations import Representation
from learn_assets.subtypes.stability import (
    dispersion,
    distance_matrix,
    sampled_rows,
    silhouette,
)

FloatVector = npt.NDArray[np.float64]

_MINIMUM_SPREAD = 1e-12


@dataclass(frozen=True)
class Separation:
    """Silhouette and log dispersion of one file, one value a number of clusters."""

    silhouette: FloatVector
    log_dispersion: FloatVector


@dataclass(frozen=True)
class NullComparison:
    """A file against its null files, one value a number of clusters.

    `excess`: standard deviations by which the silhouette exceeds those of null files. `p_value`
    belongs to the largest excess over all counts, so looking at many counts is paid for
    (Westfall & Young 1993). `gap` and `gap_error` as in Tibshirani et al. 2001, with this null.
    """

    counts: tuple[int, ...]
    silhouette: tuple[float, ...]
    null_silhouette: tuple[float, ...]
    excess: tuple[float, ...]
    p_value: float
    gap: tuple[float, ...]
    gap_error: tuple[float, ...]

    @property
    def gap_count(self) -> int | None:
        """Return the first count whose gap reaches the next gap less its error; None if none."""
        gaps = zip(self.counts, self.gap, self.gap[1:], self.gap_error[1:], strict=False)
        return next((count for count, now, later, error in gaps if now >= later - error), None)


def compare_with_null(
    coded: CodedAdmissions,
    representation: Representation,
    clusterer: Clusterer,
    counts: Sequence[int],
    *,
    null_files: int = 99,
    most: int = 1_500,
    seed: int = 42,
    pool: Executor | None = None,
) -> NullComparison:
    """Measure a file and its null files, on at most `most` admissions drawn by the seed.

    p values are (1 + null files at least as extreme) / (1 + null files), so 99 null files can say
    0.01 and no less.
    """
    sample = coded.take(sampled_rows(len(coded), most, seed))
    files = range(null_files + 1)
    fixed = (repeat(part) for part in (sample, representation, clusterer, tuple(counts), seed))
    measured = list((pool.map if pool else map)(_measure, files, *fixed))
    widths = np.array([one.silhouette for one in measured])
    spreads = np.array([one.log_dispersion for one in measured])
    center, scale = widths[1:].mean(axis=0), widths[1:].std(axis=0, ddof=1)
    excess = (widths - center) / np.maximum(scale, _MINIMUM_SPREAD)
    largest = excess.max(axis=1)
    p_value = (1 + int((largest[1:] >= largest[0]).sum())) / (1 + null_files)
    error = spreads[1:].std(axis=0) * np.sqrt(1 + 1 / null_files)
    return NullComparison(
        counts=tuple(counts),
        silhouette=tuple(widths[0].tolist()),
        null_silhouette=tuple(center.tolist()),
        excess=tuple(excess[0].tolist()),
        p_value=p_value,
        gap=tuple((spreads[1:].mean(axis=0) - spreads[0]).tolist()),
        gap_error=tuple(error.tolist()),
    )


def _measure(
    number: int,
    coded: CodedAdmissions,
    representation: Representation,
    clusterer: Clusterer,
    counts: tuple[int, ...],
    seed: int,
) -> Separation:
    """Return the separation of the file itself (number 0) or of a null file."""
    generator = np.random.default_rng([seed, number])
    file = permuted(coded, generator) if number else coded
    vectors = representation.fit(file).transform(file)
    return separation(vectors, clusterer, counts, seed=int(generator.integers(2**31)))


def separation(
    vectors: FloatMatrix, clusterer: Clusterer, counts: Sequence[int], *, seed: int, starts: int = 2
) -> Separation:
    """Return silhouette and log dispersion of vectors clustered into each count.

    Vectors without a cluster have width 0, and so has a file without two clusters: a few dense ones
    among many without a cluster would otherwise be further apart than clusters of everybody.
    """
    distances = distance_matrix(vectors)
    widths, spreads = [], []
    for count in counts:
        found = clusterer.fit(vectors, count, seed, starts=starts)
        width = silhouette(distances, found.labels) * float((found.labels >= 0).mean())
        widths.append(0.0 if np.isnan(width) else width)
        spread = dispersion(vectors, found.centers, found.labels)
        spreads.append(np.log(max(spread, _MINIMUM_SPREAD)))
    return Separation(np.array(widths), np.array(spreads))
