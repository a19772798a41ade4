"""K-means for thousands of small fits: Lloyd's algorithm, all starts in one matrix product.

Resamples and null files ask for tens of thousands of fits of a few hundred vectors, where checking
the arguments costs scikit-learn more than the fit. Results are held against its own in the tests.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatMatrix = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]

_ITERATIONS = 300
# Share of the mean variance by which centers may still move at the end, as in scikit-learn.
_TOLERANCE = 1e-4
# Distances of all starts at once, unless that takes more than 80 MB.
_MOST_DISTANCES = 20_000_000


@dataclass(frozen=True)
class Partition:
    """Labels (n) of the best start and its sum of squared distances to the own center."""

    labels: Labels
    inertia: float


def kmeans(vectors: FloatMatrix, count: int, *, starts: int, seed: int) -> Partition:
    """Return the best of `starts` runs of Lloyd's algorithm from greedy k-means++ centers.

    Arthur & Vassilvitskii 2007, with 2 + ln(count) candidates a center as in scikit-learn. A
    cluster that loses its last vector takes the one that lies furthest from its center. ValueError
    when there are fewer vectors than clusters.
    """
    if len(vectors) < count:
        raise ValueError(f"{count} clusters need as many vectors, there are {len(vectors)}")
    # Around the mean, so that single precision is not spent on a common offset.
    centered = vectors - vectors.mean(axis=0, dtype=np.float64).astype(np.float32)
    generator = np.random.default_rng(seed)
    together = max(1, _MOST_DISTANCES // (len(vectors) * count))
    best: Partition | None = None
    for first in range(0, starts, together):
        drawn = min(together, starts - first)
        centers = np.stack([_first_centers(centered, count, generator) for _ in range(drawn)])
        found = _lloyd(centered, centers)
        if best is None or found.inertia < best.inertia:
            best = found
    if best is None:
        raise ValueError("at least one start is needed")
    return best


def _first_centers(vectors: FloatMatrix, count: int, generator: np.random.Generator) -> FloatMatrix:
    """Return distinct vectors far from each other, each the best of a few drawn by distance."""
    candidates = 2 + int(np.log(count))
    squared = np.einsum("ij,ij->i", vectors, vectors)
    chosen = [int(generator.integers(len(vectors)))]
    closest = _squared_distances(vectors, squared, chosen)[:, 0]
    for _ in range(1, count):
        cumulated = np.cumsum(closest, dtype=np.float64)
        draws = generator.random(candidates) * cumulated[-1]
        drawn = np.minimum(np.searchsorted(cumulated, draws), len(vectors) - 1)
        options = np.minimum(closest[:, None], _squared_distances(vectors, squared, drawn))
        best = int(options.sum(axis=0).argmin())
        chosen.append(int(drawn[best]))
        closest = options[:, best]
    return vectors[chosen]


def _squared_distances(
    vectors: FloatMatrix, squared: FloatMatrix, rows: list[int] | Labels
) -> FloatMatrix:
    apart = squared[:, None] + squared[rows][None, :] - 2.0 * (vectors @ vectors[rows].T)
    return np.maximum(apart, 0.0, out=apart)


def _lloyd(vectors: FloatMatrix, centers: npt.NDArray[np.float32]) -> Partition:
    """Move centers (starts, k, d) until no label changes, and return the best start."""
    from scipy.sparse import csr_matrix

    starts, count, width = centers.shape
    rows = len(vectors)
    ends = np.arange(0, rows * starts + 1, starts)
    ones = np.ones(rows * starts, dtype=np.float32)
    offsets = (np.arange(starts) * count)[None, :]
    labels = np.full((rows, starts), -1, dtype=np.int64)
    still = _TOLERANCE * float(vectors.var(axis=0).mean())
    for _ in range(_ITERATIONS):
        apart = _to_centers(vectors, centers)
        moved = apart.argmin(axis=2)
        _fill_empty(moved, apart, count)
        if (moved == labels).all():
            break
        labels = moved
        places = (labels + offsets).ravel()
        members = csr_matrix((ones, places, ends), shape=(rows, starts * count))
        sizes = np.bincount(places, minlength=starts * count)
        means = (members.T @ vectors) / np.maximum(sizes, 1).astype(np.float32)[:, None]
        before, centers = centers, np.asarray(means).reshape(starts, count, width)
        if ((centers - before) ** 2).sum(axis=(1, 2)).max() <= still:
            break
    inertia = np.array([_inertia(vectors, centers[s], labels[:, s]) for s in range(starts)])
    best = int(inertia.argmin())
    return Partition(labels[:, best], float(inertia[best]))


def _to_centers(vectors: FloatMatrix, centers: npt.NDArray[np.float32]) -> FloatMatrix:
    """Return squared distances less the vectors' own length, (n, starts, k)."""
    starts, count, width = centers.shape
    flat = centers.reshape(starts * count, width)
    lengths = np.einsum("ij,ij->i", flat, flat)
    apart = lengths[None, :] - 2.0 * (vectors @ flat.T)
    return np.asarray(apart.reshape(len(vectors), starts, count), dtype=np.float32)


def _fill_empty(labels: Labels, apart: FloatMatrix, count: int) -> None:
    """Give each empty cluster of a start the vector that lies furthest from its center."""
    for start in range(labels.shape[1]):
        column = labels[:, start]
        sizes = np.bincount(column, minlength=count)
        for empty in np.flatnonzero(sizes == 0):
            own = apart[np.arange(len(column)), start, column]
            # A cluster's only vector stays, or another cluster would be empty in turn.
            furthest = int(np.where(sizes[column] > 1, own, -np.inf).argmax())
            sizes[column[furthest]] -= 1
            column[furthest] = empty
            sizes[empty] = 1


def _inertia(vectors: FloatMatrix, centers: FloatMatrix, labels: Labels) -> float:
    apart = vectors - centers[labels]
    return float(np.einsum("ij,ij->", apart, apart, dtype=np.float64))
