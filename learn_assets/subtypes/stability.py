"""Stability: how alike the clusters of resamples are, and how well apart they lie, by count.

What belongs here: measures of one clustering or of two. Judging them is `selection.py`'s work.
"""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from learn_assets.subtypes.clustering import Clusterer, FloatMatrix, Labels

FloatVector = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Resampling:
    """How resamples are drawn: without replacement, a share drawn anew each time."""

    resamples: int = 100
    smallest_share: float = 0.5
    largest_share: float = 0.8
    starts: int = 3
    seed: int = 42


@dataclass(frozen=True)
class Stability:
    """How well the clusters of a count came back in resamples.

    `jaccard` (count): mean over resamples of the best overlap of each cluster (Hennig 2007);
    above 0.85 highly stable, under 0.6 not to be trusted. `rand`: mean adjusted Rand index.
    """

    count: int
    jaccard: tuple[float, ...]
    rand: float

    @property
    def mean_jaccard(self) -> float:
        """Return the mean over clusters."""
        return float(np.mean(self.jaccard)) if self.jaccard else 0.0

    @property
    def lowest_jaccard(self) -> float:
        """Return the value of the least stable cluster."""
        return min(self.jaccard, default=0.0)


def bootstrap_stability(
    vectors: FloatMatrix,
    reference: Labels,
    count: int,
    clusterer: Clusterer,
    resampling: Resampling,
    *,
    patients: Labels | None = None,
    pool: Executor | None = None,
) -> Stability:
    """Return how the clusters of `reference` (n) come back when resamples are clustered.

    Subsets rather than draws with replacement: repeats of a vector would make clusters of their own
    (Hennig 2007, scheme `subset`). The same algorithm clusters the resamples. With `patients` (n)
    whole patients are drawn.
    """
    work = _Resamples(vectors, reference, count, clusterer, resampling, patients)
    mapped = (pool.map if pool else map)(work.compare, range(resampling.resamples))
    overlaps, rands = zip(*mapped, strict=True)
    # A cluster that no member of was drawn says nothing in that resample.
    found = np.ma.masked_invalid(np.array(overlaps))
    jaccard = tuple(float(value) for value in found.mean(axis=0).filled(0.0))
    return Stability(count, jaccard, float(np.mean(rands)))


@dataclass(frozen=True)
class _Resamples:
    """What the resamples of one count have in common."""

    vectors: FloatMatrix
    reference: Labels
    count: int
    clusterer: Clusterer
    resampling: Resampling
    patients: Labels | None

    def compare(self, number: int) -> tuple[FloatVector, float]:
        """Return best overlaps and adjusted Rand index of one resample."""
        from sklearn.metrics import adjusted_rand_score

        # A generator of its own: the result does not depend on how many workers there are.
        generator = np.random.default_rng([self.resampling.seed, self.count, number])
        share = generator.uniform(self.resampling.smallest_share, self.resampling.largest_share)
        rows = _drawn_rows(len(self.vectors), share, generator, self.patients)
        seed = int(generator.integers(2**31))
        starts = self.resampling.starts
        found = self.clusterer.fit(self.vectors[rows], self.count, seed, starts=starts).labels
        clusters = int(self.reference.max(initial=-1)) + 1
        expected = self.reference[rows]
        overlap = best_overlaps(expected, found, clusters)
        return overlap, float(adjusted_rand_score(expected, found))


def _drawn_rows(
    count: int, share: float, generator: np.random.Generator, patients: Labels | None
) -> Labels:
    """Return a share of the rows in order, all admissions of a patient together."""
    if patients is None:
        return np.sort(generator.choice(count, int(share * count), replace=False))
    names = np.unique(patients)
    chosen = generator.choice(names, int(np.ceil(share * len(names))), replace=False)
    return np.flatnonzero(np.isin(patients, chosen))


def best_overlaps(reference: Labels, found: Labels, clusters: int) -> FloatVector:
    """Return for clusters 0 .. of `reference` the best Jaccard index with a cluster of `found`.

    NaN for a cluster without members here. Label -1 is no cluster and overlaps with none.
    """
    table = np.zeros((clusters + 1, int(found.max(initial=-1)) + 2))
    np.add.at(table, (reference, found), 1.0)
    sizes = table.sum(axis=1)[:-1]
    shared = table[:-1, :-1]
    union = sizes[:, None] + table.sum(axis=0)[None, :-1] - shared
    overlap = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return np.where(sizes > 0, overlap.max(axis=1, initial=0.0), np.nan)


def prediction_strength(
    vectors: FloatMatrix, count: int, clusterer: Clusterer, *, splits: int = 5, seed: int = 42
) -> float:
    """Return prediction strength of a count, mean over random halves (Tibshirani & Walther 2005).

    Of the pairs that share a cluster in one half, the share that the centers of the other half
    leave together; the least such share over clusters. 0.8 or more counts as found again.
    """
    strengths = []
    for split in range(splits):
        generator = np.random.default_rng([seed, count, split])
        order = generator.permutation(len(vectors))
        half = len(vectors) // 2
        first, second = vectors[order[:half]], vectors[order[half:]]
        draws = generator.integers(2**31, size=2).tolist()
        trained = clusterer.fit(first, count, draws[0], starts=5)
        tested = clusterer.fit(second, count, draws[1], starts=5)
        strengths.append(_pairs_kept(tested.labels, trained.assign(second)))
    return float(np.mean(strengths))


def _pairs_kept(clusters: Labels, predicted: Labels) -> float:
    """Return the least share of a cluster's pairs that `predicted` puts together too."""
    shares = []
    for label in np.unique(clusters[clusters >= 0]):
        members = np.unique(predicted[clusters == label], return_counts=True)[1]
        size = members.sum()
        # A single vector has no pair that could be torn apart.
        pairs = size * (size - 1)
        shares.append(float((members * (members - 1)).sum() / pairs) if pairs else 1.0)
    return min(shares, default=0.0)


def silhouette(distances: npt.NDArray[np.floating], labels: Labels) -> float:
    """Return the mean silhouette width (Rousseeuw 1987) from a matrix of distances (n, n).

    A vector alone in its cluster has width 0, as in scikit-learn; those without a cluster are left
    out. NaN when fewer than two clusters have members.
    """
    kept = labels >= 0
    names, positions = np.unique(labels[kept], return_inverse=True)
    if len(names) < 2:
        return float("nan")
    apart = distances if kept.all() else distances[np.ix_(kept, kept)]
    members = np.zeros((len(positions), len(names)), dtype=apart.dtype)
    members[np.arange(len(positions)), positions] = 1.0
    sizes = members.sum(axis=0).astype(np.float64)
    sums = (apart @ members).astype(np.float64)
    rows = np.arange(len(positions))
    own_size = sizes[positions]
    within = sums[rows, positions] / np.maximum(own_size - 1, 1)
    means = sums / sizes
    means[rows, positions] = np.inf
    between = means.min(axis=1)
    largest = np.maximum(within, between)
    width = np.divide(between - within, largest, out=np.zeros_like(within), where=largest > 0)
    return float(np.where(own_size > 1, width, 0.0).mean())


def distance_matrix(vectors: FloatMatrix) -> npt.NDArray[np.float32]:
    """Return Euclidean distances (n, n), float32, with an exact zero diagonal."""
    squared = (vectors**2).sum(axis=1)
    apart = squared[:, None] + squared[None, :] - 2.0 * (vectors @ vectors.T)
    np.maximum(apart, 0.0, out=apart)
    np.fill_diagonal(apart, 0.0)
    return np.asarray(np.sqrt(apart, out=apart), dtype=np.float32)


def dispersion(vectors: FloatMatrix, centers: FloatMatrix, labels: Labels) -> float:
    """Return the sum of squared distances to the own center; vectors of no cluster left out."""
    kept = labels >= 0
    apart = vectors[kept] - centers[labels[kept]]
    return float(np.einsum("ij,ij->", apart, apart, dtype=np.float64))


def sampled_rows(count: int, most: int, seed: int) -> npt.NDArray[np.int64]:
    """Return all rows of `count`, or `most` of them drawn by the seed, in order."""
    if count <= most:
        return np.arange(count)
    return np.sort(np.random.default_rng(seed).choice(count, most, replace=False))


def matched(first: Labels, second: Labels) -> dict[int, int]:
    """Return which cluster of `second` goes with each of `first`: most members in common.

    One to one (Hungarian method, Kuhn 1955); clusters that are left over have no partner.
    """
    from scipy.optimize import linear_sum_assignment

    table = np.zeros((int(first.max(initial=-1)) + 1, int(second.max(initial=-1)) + 1))
    kept = (first >= 0) & (second >= 0)
    np.add.at(table, (first[kept], second[kept]), 1.0)
    rows, columns = linear_sum_assignment(-table)
    return {int(row): int(column) for row, column in zip(rows, columns, strict=True)}


def agreement(first: Labels, second: Labels) -> float:
    """Return the share of vectors whose labels agree after matching clusters one to one."""
    partner = matched(first, second)
    translated = np.array([partner.get(int(label), -2) for label in first])
    return float((translated == second).mean())
