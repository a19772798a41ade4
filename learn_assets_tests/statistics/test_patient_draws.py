"""Resampled patients: intervals of what depends on prevalence hold the truth often enough."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from scipy.special import expit

from learn_assets.statistics.calibration import brier
from learn_assets.statistics.discrimination import auprc, average_precision
from learn_assets.statistics.operating_points import operating_point
from learn_assets.statistics.patient_draws import patient_weights, percentile_limits

PATIENTS, COHORTS = 300, 150
# Of 150 cohorts 95 % is 142.5; seven below is 2.7 standard deviations.
ENOUGH = 135


def cohort(patients: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return predicted risks that are somewhat wrong, and outcomes of about 15 % cases."""
    generator = np.random.default_rng(seed)
    risk = generator.normal(-2.2, 1.3, patients)
    labels = (generator.random(patients) < expit(risk)).astype(np.int64)
    return expit(0.9 * risk + generator.normal(0, 0.6, patients)), labels


def test_the_share_of_cases_varies_as_from_cohort_to_cohort() -> None:
    _, labels = cohort(PATIENTS, 0)
    (weights,) = patient_weights(PATIENTS, 4000, seed=1)
    assert np.array_equal(weights.sum(axis=1), np.full(4000, PATIENTS))
    share = labels.mean()
    expected = np.sqrt(share * (1 - share) / PATIENTS)
    assert (weights @ labels / PATIENTS).std() == pytest.approx(expected, rel=0.05)


def test_draws_without_a_value_are_left_out_of_limits() -> None:
    draws = np.array([np.nan, *range(101)], dtype=np.float64)
    assert percentile_limits(draws) == pytest.approx((2.5, 97.5))
    assert np.isnan(percentile_limits(np.array([np.nan]))).all()


def test_a_resample_without_cases_has_no_average_precision_and_costs_no_interval() -> None:
    labels = np.array([1, *[0] * 29])
    scores = np.linspace(0.9, 0.1, 30)
    with np.errstate(all="raise"):
        found = auprc(scores, labels, resamples=200)
    assert found.estimate == 1.0
    assert np.isfinite([found.lower, found.upper]).all()


def test_the_interval_of_the_brier_score_is_that_of_a_mean() -> None:
    risk, labels = cohort(2000, 3)
    squared = (risk - labels) ** 2
    half = 1.96 * squared.std() / np.sqrt(len(squared))
    found = brier(risk, labels, resamples=4000)
    assert found.lower == pytest.approx(squared.mean() - half, rel=0.02)
    assert found.upper == pytest.approx(squared.mean() + half, rel=0.02)


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    many, outcomes = cohort(400_000, 99)
    cut = np.quantile(many[outcomes == 0], 0.9)
    flagged = many > cut
    truth = {
        "brier": float(((many - outcomes) ** 2).mean()),
        "auprc": average_precision(many, outcomes),
        "predictive": float(outcomes[flagged].mean()),
    }
    held: Counter[str] = Counter()
    for seed in range(COHORTS):
        risk, labels = cohort(PATIENTS, seed)
        folds = np.zeros(PATIENTS, dtype=np.int64)
        point = operating_point(risk, labels, folds, 0.9, resamples=200, seed=seed)
        intervals = {
            "brier": brier(risk, labels, resamples=200, seed=seed),
            "auprc": auprc(risk, labels, resamples=200, seed=seed),
            "predictive": point.positive_predictive_value,
        }
        for name, interval in intervals.items():
            held[name] += interval.lower <= truth[name] <= interval.upper
    assert all(held[name] >= ENOUGH for name in truth), held
