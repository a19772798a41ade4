"""Clusterers on clouds that lie apart: found, numbered by size, the same every time."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score

from learn_assets.study.clusters import ClustererName
from learn_assets.subtypes.clustering import CLUSTERERS, HdbscanClusterer
from learn_assets.subtypes.kmeans import kmeans

SIZES = (60, 120, 90)


def clouds(seed: int = 0) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    generator = np.random.default_rng(seed)
    truth = np.repeat(np.arange(len(SIZES)), SIZES)
    centers = 4 * np.eye(3, 5)
    return (centers[truth] + generator.normal(size=(270, 5)) * 0.4).astype(np.float32), truth


@pytest.mark.parametrize("name", list(CLUSTERERS))
def test_clouds_are_found_and_numbered_by_size(name: ClustererName) -> None:
    vectors, truth = clouds()
    found = CLUSTERERS[name].fit(vectors, 3, seed=1)
    kept = found.labels >= 0
    assert kept.mean() > 0.9
    assert adjusted_rand_score(truth[kept], found.labels[kept]) > 0.98
    sizes = np.bincount(found.labels[kept])
    assert sizes.tolist() == sorted(sizes, reverse=True)
    assert np.allclose(found.centers[0], vectors[found.labels == 0].mean(axis=0), atol=1e-4)


@pytest.mark.parametrize("name", list(CLUSTERERS))
def test_later_vectors_get_the_label_of_their_cloud(name: ClustererName) -> None:
    vectors, _ = clouds()
    found = CLUSTERERS[name].fit(vectors, 3, seed=1)
    later, truth = clouds(seed=9)
    assert adjusted_rand_score(truth, found.assign(later)) > 0.98
    kept = found.labels >= 0
    assert (found.assign(vectors)[kept] == found.labels[kept]).mean() > 0.99


@pytest.mark.parametrize("name", list(CLUSTERERS))
def test_same_seed_same_labels(name: ClustererName) -> None:
    vectors = np.random.default_rng(3).normal(size=(150, 6)).astype(np.float32)
    first, second = (CLUSTERERS[name].fit(vectors, 4, seed=5) for _ in range(2))
    assert (first.labels == second.labels).all()


def test_hdbscan_may_find_nothing() -> None:
    vectors = np.random.default_rng(3).normal(size=(200, 6)).astype(np.float32)
    found = HdbscanClusterer(minimum_share=0.4).fit(vectors, 0, seed=1)
    assert found.count == 0
    assert found.assign(vectors[:3]).shape == (3,)


@pytest.mark.parametrize("count", [1, 2, 7, 20])
def test_kmeans_is_as_good_as_that_of_scikit_learn(count: int) -> None:
    vectors = np.random.default_rng(count).normal(size=(300, 5)).astype(np.float32) + 50
    ours = kmeans(vectors, count, starts=10, seed=1)
    theirs = KMeans(count, n_init=10, random_state=1).fit(vectors)
    assert ours.inertia < 1.04 * theirs.inertia_
    means = np.array([vectors[ours.labels == k].mean(axis=0) for k in range(count)])
    apart = np.linalg.norm(vectors[:, None] - means[None], axis=2)
    assert (apart.argmin(axis=1) == ours.labels).mean() > 0.98


def test_kmeans_leaves_no_cluster_empty() -> None:
    vectors = np.repeat(np.eye(3, dtype=np.float32), 4, axis=0)
    assert len(np.unique(kmeans(vectors, 5, starts=3, seed=0).labels)) == 5
    with pytest.raises(ValueError, match="13 clusters"):
        kmeans(vectors, 13, starts=1, seed=0)
