"""Maps: coordinates as scikit-learn has them, and no point of fewer people than the minimum."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.decomposition import PCA

from learn_assets.subtypes.maps import coordinates, map_points
from learn_assets_tests.subtypes.test_clustering import clouds


def test_pca_is_that_of_scikit_learn() -> None:
    vectors, _ = clouds()
    theirs = PCA(2).fit_transform(vectors)
    ours = coordinates(vectors, "pca", 0)
    assert np.abs(ours) == pytest.approx(np.abs(theirs), abs=1e-3)


@given(st.integers(0, 1_000), st.integers(2, 15), st.integers(1, 4))
def test_each_point_is_a_mean_of_enough_patients(seed: int, minimum: int, repeats: int) -> None:
    generator = np.random.default_rng(seed)
    places = generator.normal(size=(200, 2))
    labels = generator.integers(-1, 3, size=200)
    patients = np.arange(200) // repeats
    found = map_points(places, labels, patients, minimum)
    for points in found:
        rows = labels == points.cluster
        assert len(np.unique(patients[rows])) >= minimum
        assert points.center == pytest.approx(places[rows].mean(axis=0))
        assert len(points.groups) * minimum <= len(np.unique(patients[rows])) * repeats
    assert {points.cluster for points in found} <= set(labels[labels >= 0])


def test_small_clusters_and_single_people_are_not_drawn() -> None:
    places = np.random.default_rng(1).normal(size=(60, 2))
    labels = np.array([0] * 45 + [1] * 10 + [-1] * 5)
    (only,) = map_points(places, labels, np.arange(60), 11)
    assert only.cluster == 0
    assert 1 <= len(only.groups) <= 45 // 11
    exact = {tuple(place) for place in places.tolist()}
    assert not exact & {tuple(point) for point in only.groups.tolist()}
    # One patient admitted 45 times is one person.
    assert map_points(places, labels, np.zeros(60, dtype=np.int64), 11) == ()


def test_a_group_of_far_away_people_has_no_point_between_them() -> None:
    generator = np.random.default_rng(2)
    places = generator.normal(size=(110, 2)) * 0.1
    places[:6] += 50
    found = map_points(places, np.zeros(110, dtype=np.int64), np.arange(110), 11)[0]
    assert np.abs(found.groups).max() < 1
