"""Operating points against counts made by hand and scikit-learn's ROC curve."""

from __future__ import annotations

import numpy as np
import pytest

from learn_assets.statistics.discrimination import OneClassError
from learn_assets.statistics.operating_points import (
    fold_thresholds,
    operating_point,
    sensitivity_statistic,
)


def scored(
    patients: int, seed: int, *, folds: int = 1
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    labels = (generator.random(patients) < 0.3).astype(np.int64)
    return generator.normal(labels * 1.0), labels, np.arange(patients) % folds


def naive_sensitivity(scores: np.ndarray, labels: np.ndarray, specificity: float) -> float:
    """Return the best share of cases above any threshold that keeps the specificity."""
    best = 0.0
    for threshold in [-np.inf, *scores]:
        kept = np.mean(scores[labels == 0] <= threshold)
        if kept >= specificity - 1e-12:
            best = max(best, float(np.mean(scores[labels == 1] > threshold)))
    return best


@pytest.mark.parametrize("specificity", [0.5, 0.8, 0.9, 0.95])
def test_sensitivity_is_the_best_of_all_thresholds_in_each_fold(specificity: float) -> None:
    scores, labels, folds = scored(240, 3, folds=3)
    found = sum(
        naive_sensitivity(scores[folds == fold], labels[folds == fold], specificity)
        * labels[folds == fold].sum()
        for fold in range(3)
    )
    point = operating_point(scores, labels, folds, specificity, resamples=10)
    assert point.sensitivity.estimate == pytest.approx(found / labels.sum())
    assert (point.found, point.missed) == (round(found), labels.sum() - round(found))


def test_ties_across_the_threshold_count_in_part_as_on_the_roc_curve() -> None:
    from sklearn.metrics import roc_curve

    scores, labels, folds = scored(300, 5)
    coarse = np.round(scores)
    false, true, _ = roc_curve(labels, coarse, drop_intermediate=False)
    point = operating_point(coarse, labels, folds, 0.9, resamples=10)
    assert point.sensitivity.estimate == pytest.approx(np.interp(0.1, false, true))


def test_predictive_values_are_those_of_the_counted_table() -> None:
    scores, labels, folds = scored(400, 7)
    # A specificity that the controls can have exactly, so nominal and counted table are the same.
    controls = int((labels == 0).sum())
    specificity = 1 - 30 / controls
    point = operating_point(scores, labels, folds, specificity, resamples=10)
    flagged = scores > fold_thresholds(scores, labels, folds, specificity)
    assert int((flagged & (labels == 0)).sum()) == 30
    assert point.positive_predictive_value.estimate == pytest.approx(labels[flagged].mean())
    assert point.negative_predictive_value.estimate == pytest.approx(1 - labels[~flagged].mean())


def test_weights_are_the_same_as_repeated_patients() -> None:
    scores, labels, folds = scored(60, 11, folds=2)
    weights = np.random.default_rng(0).integers(0, 3, size=(4, 60)).astype(np.float64)
    drawn = sensitivity_statistic(scores, labels, folds, 0.8)(weights)
    for row, value in zip(weights, drawn, strict=True):
        repeated = np.repeat(np.arange(60), row.astype(int))
        again = sensitivity_statistic(scores[repeated], labels[repeated], folds[repeated], 0.8)
        assert value == pytest.approx(again(np.ones((1, len(repeated))))[0])


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    from scipy.stats import norm

    truth = float(norm.sf(norm.ppf(0.9) - 1.0))
    held = 0
    for seed in range(40):
        scores, labels, folds = scored(500, seed)
        interval = operating_point(scores, labels, folds, 0.9, resamples=200).sensitivity
        held += interval.lower <= truth <= interval.upper
    assert held >= 34


def test_no_signal_finds_as_many_cases_as_controls() -> None:
    generator = np.random.default_rng(1)
    labels = np.repeat([1, 0], 2000)
    scores = generator.random(4000)
    point = operating_point(scores, labels, np.arange(4000) % 5, 0.9, resamples=20)
    assert point.sensitivity.estimate == pytest.approx(0.1, abs=0.03)
    assert point.positive_predictive_value.estimate == pytest.approx(0.5, abs=0.08)


def test_one_class_has_no_operating_point() -> None:
    with pytest.raises(OneClassError):
        operating_point(np.arange(5.0), np.ones(5, dtype=int), np.zeros(5, dtype=int), 0.9)
