"""Maps: the vectors that were clustered in two dimensions, shown as means of groups of people.

What belongs here: coordinates, and the groups that may be drawn. A point of one admission would be
a record of a person; here each point is the mean of a group of at least `minimum_cell` patients of
one cluster (microaggregation, Domingo-Ferrer & Mateo-Sanz 2002).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from learn_assets.subtypes.clustering import FloatMatrix, Labels

MapName = Literal["pca", "umap"]
MAP_NAMES: tuple[MapName, ...] = ("pca", "umap")
MAP_WORDS: dict[MapName, str] = {"pca": "PCA", "umap": "UMAP"}
_NEIGHBORS = 15
_WIDEST = 3.0

Points = npt.NDArray[np.float64]


class UmapUnavailableError(RuntimeError):
    """umap-learn is not installed; the message says how to install it."""


@dataclass(frozen=True)
class MapPoints:
    """What may be drawn of one cluster: means of groups (g, 2) and of the whole cluster (2)."""

    cluster: int
    groups: Points
    center: Points


def coordinates(vectors: FloatMatrix, name: MapName, seed: int) -> Points:
    """Return coordinates (n, 2) of vectors, with PCA or UMAP (McInnes et al. 2018).

    UmapUnavailableError without umap-learn.
    """
    if name == "pca":
        return _principal(vectors)
    try:
        from umap import UMAP
    except ImportError:
        raise UmapUnavailableError(
            "UMAP needs the extra `subtypes`: pip install 'learn-assets[subtypes]'"
        ) from None
    neighbors = min(_NEIGHBORS, len(vectors) - 1)
    # One worker: with more, the same seed gives other maps.
    mapped = UMAP(n_neighbors=neighbors, random_state=seed, n_jobs=1).fit_transform(vectors)
    return np.asarray(mapped, dtype=np.float64)


def _principal(vectors: FloatMatrix) -> Points:
    centered = vectors.astype(np.float64) - vectors.mean(axis=0, dtype=np.float64)
    _, directions = np.linalg.eigh(centered.T @ centered)
    axes = directions[:, ::-1][:, :2]
    # An eigenvector may point either way: the largest part of each is taken for positive.
    largest = np.abs(axes).argmax(axis=0)
    return np.asarray(centered @ (axes * np.sign(axes[largest, [0, 1]])), dtype=np.float64)


def map_points(
    places: Points, labels: Labels, patients: npt.NDArray[np.int64], minimum_cell: int
) -> tuple[MapPoints, ...]:
    """Return what may be drawn of each cluster, by number; small clusters are left out.

    places: (n, 2); labels, patients: (n). A cluster is halved at the median of its wider axis as
    long as both halves hold at least `minimum_cell` patients.
    """
    found = []
    for cluster in np.unique(labels[labels >= 0]).tolist():
        rows = np.flatnonzero(labels == cluster)
        if len(np.unique(patients[rows])) < minimum_cell:
            continue
        groups = [places[group] for group in _groups(places, patients, rows, minimum_cell)]
        found.append(MapPoints(cluster, _means(groups), places[rows].mean(axis=0)))
    return tuple(found)


def _groups(
    places: Points, patients: npt.NDArray[np.int64], rows: Labels, minimum_cell: int
) -> Iterator[Labels]:
    own = places[rows]
    axis = int(np.ptp(own, axis=0).argmax())
    order = rows[np.argsort(own[:, axis], kind="stable")]
    halves = order[: len(order) // 2], order[len(order) // 2 :]
    if any(len(np.unique(patients[half])) < minimum_cell for half in halves):
        yield rows
        return
    for half in halves:
        yield from _groups(places, patients, half, minimum_cell)


def _means(groups: list[Points]) -> Points:
    spreads = np.array([float(np.sqrt(group.var(axis=0).sum())) for group in groups])
    kept = spreads <= _WIDEST * np.median(spreads)
    return np.array([group.mean(axis=0) for group, keep in zip(groups, kept, strict=True) if keep])
