"""Representations against scikit-learn and plain loops; length invariance where means betray it."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import adjusted_mutual_info_score

from learn_assets.subtypes.coded import CodedAdmissions
from learn_assets.subtypes.representations import (
    DescriptionRepresentation,
    TfidfRepresentation,
    length_means,
    pool_codes,
    smooth_rarity,
)
from learn_assets_tests.subtypes.made import make_admissions


def test_tfidf_is_that_of_scikit_learn() -> None:
    coded = make_admissions(60, clusters=3, seed=1).coded
    everything = min(len(coded), len(coded.codes)) - 1
    ours = TfidfRepresentation(dimensions=everything).fit(coded).transform(coded)
    theirs = TfidfVectorizer(analyzer=lambda row: row).fit_transform(coded.lists()).toarray()
    # One direction is left out, so the products agree up to what it held.
    assert np.abs(ours @ ours.T - theirs @ theirs.T).max() < 0.05


def test_pooling_is_a_weighted_mean() -> None:
    coded = CodedAdmissions.of([["A", "B", "C"], ["C"], ["B", "A"]])
    vectors = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    rarity = smooth_rarity(coded)
    pooled = pool_codes(coded, vectors, rarity, 2.0)
    for row, codes in zip(pooled, coded.lists(), strict=True):
        places = [coded.codes.index(code) for code in codes]
        weights = [rarity[p] * (2.0 if i == 0 else 1.0) for i, p in enumerate(places)]
        expected = sum(w * vectors[p] for w, p in zip(weights, places, strict=True)) / sum(weights)
        assert row == pytest.approx(expected)


def test_rare_lengths_share_a_mean() -> None:
    lengths = np.array([1] * 60 + [2] * 30 + [3] * 30 + [9] * 5)
    means = length_means(np.arange(125.0)[:, None], lengths, invariant=True)
    assert len({int(means.row_of[k]) for k in (2, 3, 9)}) == 1
    assert means.row_of[1] != means.row_of[2]
    one = length_means(np.arange(125.0)[:, None], lengths, invariant=False)
    assert one.means.tolist() == [[62.0]]


def test_length_invariant_pooling_hides_what_means_betray() -> None:
    # Principal codes lie elsewhere than further ones: the more there are, the less a mean shows it.
    generator = np.random.default_rng(4)
    rows = [
        [f"F{generator.integers(8)}", *(f"Z{c}" for c in generator.permutation(30)[:further])]
        for further in generator.integers(1, 15, size=600)
    ]
    coded = CodedAdmissions.of(rows)
    vectors = generator.normal(size=(len(coded.codes), 16)).astype(np.float32) * 0.2
    vectors[:, 0] += [3.0 if code.startswith("F") else 0.0 for code in coded.codes]

    def says_length(pooling: str) -> float:
        representation = DescriptionRepresentation(vectors, dimensions=8, pooling=pooling)
        made = representation.fit(coded).transform(coded)
        labels = KMeans(4, n_init=5, random_state=0).fit_predict(made)
        return float(adjusted_mutual_info_score(coded.lengths, labels))

    assert says_length("mean") > 0.05
    assert says_length("length_invariant") < 0.05


def test_later_admissions_get_the_vectors_they_would_have_had() -> None:
    coded = make_admissions(300, clusters=3, seed=2).coded
    vectors = np.random.default_rng(0).normal(size=(len(coded.codes), 20)).astype(np.float32)
    for representation in (TfidfRepresentation(10), DescriptionRepresentation(vectors, 10)):
        fitted = representation.fit(coded)
        some = np.array([5, 250, 17])
        assert fitted.transform(coded.take(some)) == pytest.approx(
            fitted.transform(coded)[some], abs=1e-5
        )


def test_vectors_must_belong_to_the_vocabulary() -> None:
    coded = CodedAdmissions.of([["A", "B"]])
    with pytest.raises(ValueError, match="3 vectors for a vocabulary of 2"):
        DescriptionRepresentation(np.zeros((3, 4), dtype=np.float32)).fit(coded)
