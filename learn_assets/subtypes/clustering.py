"""Clustering: K-means and its alternatives behind one protocol; a fit labels later admissions too.

Clusters are numbered from 0, the largest first (ties: the center that sorts first), so the same
vectors give the same numbers whatever order an algorithm found them in. -1 means no cluster.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from learn_assets.study.clusters import ClustererName
from learn_assets.subtypes.kmeans import kmeans

FloatMatrix = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]

_CONSENSUS_LANDMARKS = 1_500
_CONSENSUS_SHARE = 0.8


@dataclass(frozen=True)
class Clusters:
    """Labels (n) of the vectors that were fitted and the centers (k, d) of the clusters."""

    labels: Labels
    centers: FloatMatrix
    assign: Callable[[FloatMatrix], Labels]

    @property
    def count(self) -> int:
        """Return the number of clusters."""
        return len(self.centers)


class Clusterer(Protocol):
    """An algorithm; `chooses_count` says that it finds the number of clusters on its own."""

    @property
    def name(self) -> ClustererName:
        """Name as the study writes it."""

    @property
    def chooses_count(self) -> bool:
        """Whether `count` is ignored."""

    def fit(self, vectors: FloatMatrix, count: int, seed: int, starts: int = 10) -> Clusters:
        """Find `count` clusters; `starts` random starts where the algorithm has some."""


@dataclass(frozen=True)
class KMeansClusterer:
    """K-means (Lloyd, greedy k-means++ starts), as published with 10 starts and seed 42."""

    name: ClustererName = "kmeans"
    chooses_count: bool = False

    def fit(self, vectors: FloatMatrix, count: int, seed: int, starts: int = 10) -> Clusters:
        """Find clusters; ValueError when there are fewer vectors than clusters."""
        return _ordered(vectors, kmeans(vectors, count, starts=starts, seed=seed).labels)


@dataclass(frozen=True)
class GaussianMixtureClusterer:
    """A mixture of Gaussians with diagonal covariances: clusters may differ in size and spread."""

    name: ClustererName = "gaussian_mixture"
    chooses_count: bool = False

    def fit(self, vectors: FloatMatrix, count: int, seed: int, starts: int = 10) -> Clusters:
        """Find clusters by expectation maximization; a label is the likeliest component."""
        from sklearn.mixture import GaussianMixture

        mixture = GaussianMixture(
            count,
            covariance_type="diag",
            n_init=min(starts, 3),
            reg_covar=1e-4,
            random_state=seed,
        ).fit(vectors.astype(np.float64))

        def likeliest(later: FloatMatrix) -> Labels:
            return np.asarray(mixture.predict(later.astype(np.float64)), dtype=np.int64)

        return _ordered(vectors, likeliest(vectors), likeliest)


@dataclass(frozen=True)
class HdbscanClusterer:
    """HDBSCAN (Campello et al. 2013): dense regions of any shape; the rest has no cluster."""

    minimum_share: float = 0.02
    name: ClustererName = "hdbscan"
    chooses_count: bool = True

    def fit(self, vectors: FloatMatrix, count: int, seed: int, starts: int = 10) -> Clusters:  # noqa: ARG002
        """Find clusters of at least `minimum_share` of the vectors; `count` is ignored.

        Later vectors get the cluster whose center is nearest: the hierarchy holds no place for them
        without being built anew.
        """
        from sklearn.cluster import HDBSCAN

        smallest = max(5, int(np.ceil(self.minimum_share * len(vectors))))
        # Neighborhoods as large as the smallest cluster find none in dozens of dimensions.
        found = HDBSCAN(min_cluster_size=smallest, min_samples=5, copy=True).fit(vectors)
        return _ordered(vectors, np.asarray(found.labels_, dtype=np.int64))


@dataclass(frozen=True)
class ConsensusClusterer:
    """Consensus of K-means over resamples (Monti et al. 2003), cut by average linkage.

    How often two vectors share a cluster is counted on at most 1,500 of them, chosen by the seed;
    the others get the cluster whose center is nearest.
    """

    resamples: int = 50
    name: ClustererName = "consensus"
    chooses_count: bool = False

    def fit(self, vectors: FloatMatrix, count: int, seed: int, starts: int = 10) -> Clusters:  # noqa: ARG002
        """Find clusters; one K-means start a resample, as their differences are what is counted."""
        from scipy.cluster.hierarchy import fcluster, linkage
        from scipy.spatial.distance import squareform

        generator = np.random.default_rng(seed)
        size = min(len(vectors), _CONSENSUS_LANDMARKS)
        chosen = np.sort(generator.choice(len(vectors), size, replace=False))
        apart = 1.0 - self._agreement(vectors[chosen], count, generator)
        np.fill_diagonal(apart, 0.0)
        tree = linkage(squareform(apart, checks=False), method="average")
        among = np.asarray(fcluster(tree, count, criterion="maxclust"), dtype=np.int64) - 1
        centers = _centers(vectors[chosen], among)
        return _ordered(vectors, nearest(vectors, centers))

    def _agreement(
        self, vectors: FloatMatrix, count: int, generator: np.random.Generator
    ) -> npt.NDArray[np.float32]:
        """Return how often each pair shared a cluster among the resamples that held both."""
        size = len(vectors)
        together = np.zeros((size, size), dtype=np.float32)
        drawn_both = np.zeros((size, size), dtype=np.float32)
        for _ in range(self.resamples):
            rows = generator.choice(size, max(count, int(_CONSENSUS_SHARE * size)), replace=False)
            seed = int(generator.integers(2**31))
            labels = KMeansClusterer().fit(vectors[rows], count, seed, starts=1).labels
            members = np.zeros((size, count), dtype=np.float32)
            members[rows, labels] = 1.0
            drawn = members.sum(axis=1)
            together += members @ members.T
            drawn_both += np.outer(drawn, drawn)
        return np.divide(together, drawn_both, out=np.zeros_like(together), where=drawn_both > 0)


CLUSTERERS: dict[ClustererName, Clusterer] = {
    "kmeans": KMeansClusterer(),
    "gaussian_mixture": GaussianMixtureClusterer(),
    "hdbscan": HdbscanClusterer(),
    "consensus": ConsensusClusterer(),
}


def nearest(vectors: FloatMatrix, centers: FloatMatrix) -> Labels:
    """Return the position of the nearest center (Euclidean) of each vector."""
    squared = (centers.astype(np.float64) ** 2).sum(axis=1)
    return np.asarray((squared - 2.0 * (vectors @ centers.T)).argmin(axis=1), dtype=np.int64)


def _centers(vectors: FloatMatrix, labels: Labels) -> FloatMatrix:
    """Return the mean vector of each label from 0 up, labels without members left out."""
    present = np.unique(labels[labels >= 0])
    means = [vectors[labels == label].mean(axis=0, dtype=np.float64) for label in present]
    return np.asarray(means, dtype=np.float32).reshape(len(present), vectors.shape[1])


def _ordered(
    vectors: FloatMatrix, found: Labels, assign: Callable[[FloatMatrix], Labels] | None = None
) -> Clusters:
    """Return clusters numbered by size; `assign` speaks in the numbers as they were found."""
    names, sizes = np.unique(found[found >= 0], return_counts=True)
    centers = _centers(vectors, found)
    order = np.lexsort((*centers.T[::-1], -sizes))
    number_of = np.full(max(found.max(initial=-1), names.max(initial=-1)) + 2, -1, dtype=np.int64)
    number_of[names[order]] = np.arange(len(names))
    ordered = centers[order]

    def by_center(later: FloatMatrix) -> Labels:
        if not len(ordered):
            return np.full(len(later), -1, dtype=np.int64)
        return nearest(later, ordered)

    def by_model(later: FloatMatrix) -> Labels:
        # A component that won no fitted vector has no number.
        found_later = by_center(later) if assign is None else assign(later)
        numbers = number_of[np.minimum(found_later, len(number_of) - 1)]
        return np.where(numbers < 0, by_center(later), numbers)

    return Clusters(number_of[found], ordered, by_center if assign is None else by_model)
