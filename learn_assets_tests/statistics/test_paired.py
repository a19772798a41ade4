"""Paired differences against a double loop over pairs and a plain bootstrap."""

from __future__ import annotations

import numpy as np
import pytest

from learn_assets.statistics.paired import auroc_difference, brier_difference


def made_up(patients: int = 400) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(4)
    labels = (generator.random(patients) < 0.3).astype(np.int64)
    shared = generator.normal(size=patients) + labels
    good = 1 / (1 + np.exp(-(shared + 0.3 * generator.normal(size=patients))))
    poor = 1 / (1 + np.exp(-(shared + 1.5 * generator.normal(size=patients))))
    return good, poor, labels


def pairwise(scores: np.ndarray, labels: np.ndarray, groups: np.ndarray) -> float:
    wins, pairs = 0.0, 0
    for case in np.flatnonzero(labels == 1):
        for control in np.flatnonzero((labels == 0) & (groups == groups[case])):
            wins += (scores[case] > scores[control]) + 0.5 * (scores[case] == scores[control])
            pairs += 1
    return wins / pairs


def test_the_difference_is_that_of_all_pairs_within_groups() -> None:
    good, poor, labels = made_up(120)
    groups = np.arange(120) % 3
    expected = pairwise(good, labels, groups) - pairwise(poor, labels, groups)
    assert auroc_difference(good, poor, labels, groups).estimate == pytest.approx(expected)
    mirrored = auroc_difference(poor, good, labels, groups)
    assert mirrored.estimate == pytest.approx(-expected)


def test_intervals_agree_with_resampled_patients() -> None:
    good, poor, labels = made_up()
    generator = np.random.default_rng(0)
    areas, squares = [], []
    one = np.zeros(len(labels), dtype=np.int64)
    for _ in range(400):
        drawn = generator.integers(0, len(labels), len(labels))
        areas.append(auroc_difference(good[drawn], poor[drawn], labels[drawn], one).estimate)
        squares.append(brier_difference(good[drawn], poor[drawn], labels[drawn]).estimate)
    for interval, draws in (
        (auroc_difference(good, poor, labels), areas),
        (brier_difference(good, poor, labels), squares),
    ):
        half = (interval.upper - interval.lower) / 2
        assert half == pytest.approx(1.96 * np.std(draws), rel=0.15)
        assert not interval.lower <= 0 <= interval.upper


def test_equal_scores_do_not_differ() -> None:
    good, _, labels = made_up(60)
    gap = auroc_difference(good, good, labels)
    assert (gap.estimate, gap.lower, gap.upper) == pytest.approx((0, 0, 0), abs=1e-9)
