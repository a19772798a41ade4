"""Stability measures against scikit-learn, double loops and cases with a known answer."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import silhouette_score

from learn_assets.subtypes.clustering import KMeansClusterer
from learn_assets.subtypes.stability import (
    Resampling,
    agreement,
    best_overlaps,
    bootstrap_stability,
    distance_matrix,
    matched,
    prediction_strength,
    silhouette,
)
from learn_assets_tests.subtypes.test_clustering import clouds

LABELS = st.lists(st.integers(-1, 3), min_size=5, max_size=40)
FEW = Resampling(resamples=20)


@given(LABELS, st.integers(0, 50))
def test_overlaps_are_those_of_a_double_loop(labels: list[int], seed: int) -> None:
    reference = np.array(labels)
    found = np.random.default_rng(seed).integers(-1, 3, size=len(labels))
    ours = best_overlaps(reference, found, 4)
    for cluster in range(4):
        members = set(np.flatnonzero(reference == cluster))
        others = [set(np.flatnonzero(found == other)) for other in range(3)]
        if not members:
            assert np.isnan(ours[cluster])
            continue
        best = max(len(members & other) / len(members | other) for other in others)
        assert ours[cluster] == pytest.approx(best)


@pytest.mark.parametrize("clusters", [2, 5, 40])
def test_silhouette_is_that_of_scikit_learn(clusters: int) -> None:
    generator = np.random.default_rng(clusters)
    vectors = generator.normal(size=(60, 4)).astype(np.float32)
    labels = generator.integers(clusters, size=60)
    expected = silhouette_score(vectors, labels)
    assert silhouette(distance_matrix(vectors), labels) == pytest.approx(expected, abs=1e-4)
    assert np.isnan(silhouette(distance_matrix(vectors), np.zeros(60, dtype=np.int64)))


def test_vectors_without_a_cluster_have_no_silhouette() -> None:
    vectors, truth = clouds()
    labels = np.where(np.arange(len(truth)) % 7 == 0, -1, truth)
    kept = labels >= 0
    expected = silhouette_score(vectors[kept], labels[kept])
    assert silhouette(distance_matrix(vectors), labels) == pytest.approx(expected, abs=1e-4)


def test_clouds_come_back_at_their_number_only() -> None:
    vectors, truth = clouds()
    three = bootstrap_stability(vectors, truth, 3, KMeansClusterer(), FEW)
    assert three.lowest_jaccard > 0.98
    assert three.rand > 0.98
    torn = KMeansClusterer().fit(vectors, 6, 1).labels
    assert bootstrap_stability(vectors, torn, 6, KMeansClusterer(), FEW).lowest_jaccard < 0.75
    assert prediction_strength(vectors, 3, KMeansClusterer()) > 0.95
    assert prediction_strength(vectors, 6, KMeansClusterer()) < 0.8


def test_resamples_draw_whole_patients() -> None:
    seen: list[int] = []

    class Spy(KMeansClusterer):
        def fit(self, vectors, count, seed, starts=10):  # type: ignore[no-untyped-def]
            seen.append(len(np.unique(vectors[:, 0])) * 3 - len(vectors))
            return super().fit(vectors, count, seed, starts)

    # Three admissions a patient, told by the first column.
    patients = np.repeat(np.arange(40), 3)
    vectors = np.random.default_rng(0).normal(size=(120, 3)).astype(np.float32)
    vectors[:, 0] = patients
    bootstrap_stability(vectors, patients % 2, 2, Spy(), FEW, patients=patients)
    assert set(seen) == {0}


@given(st.permutations(range(4)))
def test_renamed_labels_agree_wholly(names: list[int]) -> None:
    labels = np.array([0, 0, 1, 1, 1, 2, 3, 3])
    renamed = np.array(names)[labels]
    assert matched(labels, renamed) == dict(enumerate(names))
    assert agreement(labels, renamed) == 1.0


def test_agreement_counts_what_the_best_match_leaves() -> None:
    assert agreement(np.array([0, 0, 0, 1, 1]), np.array([1, 1, 0, 0, 0])) == pytest.approx(0.8)
