"""Brier, recalibration and calibration bins against scikit-learn and by construction."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression

from learn_assets.statistics.calibration import (
    brier,
    calibration_bins,
    calibration_intercept,
    calibration_slope,
    scaled_brier,
)
from learn_assets.statistics.discrimination import OneClassError
from learn_assets.statistics.logistic_line import SeparationError


def predictions(seed: int, patients: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """Return probabilities that are twice too extreme on the logit scale, and outcomes."""
    generator = np.random.default_rng(seed)
    linear = generator.normal(-1, 1, patients)
    labels = (generator.random(patients) < expit(linear)).astype(int)
    return expit(2 * linear), labels


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_slope_equals_an_unpenalized_logistic_regression(seed: int) -> None:
    probabilities, labels = predictions(seed)
    logits = logit(np.clip(probabilities, 1e-6, 1 - 1e-6))[:, None]
    oracle = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(logits, labels)
    slope = calibration_slope(probabilities, labels)
    assert slope.estimate == pytest.approx(oracle.coef_[0, 0], rel=1e-4)
    assert slope.lower < slope.estimate < slope.upper


def test_slope_of_predictions_twice_too_extreme_is_a_half() -> None:
    slope = calibration_slope(*predictions(4, 20_000))
    assert slope.lower < 0.5 < slope.upper
    assert slope.upper - slope.lower < 0.06


def test_intercept_solves_its_score_equation() -> None:
    """Shifted by it, the mean prediction is the observed share."""
    probabilities, labels = predictions(5)
    shift = calibration_intercept(probabilities, labels).estimate
    assert expit(logit(probabilities) + shift).mean() == pytest.approx(labels.mean(), abs=1e-6)


def test_separated_classes_have_no_slope() -> None:
    with pytest.raises(SeparationError):
        calibration_slope(np.array([0.1, 0.2, 0.8, 0.9]), np.array([0, 0, 1, 1]))


def test_constant_predictions_have_no_slope_but_an_intercept() -> None:
    probabilities, labels = np.full(10, 0.5), np.array([1, 0, 0, 0, 0] * 2)
    with pytest.raises(SeparationError):
        calibration_slope(probabilities, labels)
    assert calibration_intercept(probabilities, labels).estimate == pytest.approx(logit(0.2))


def test_certain_predictions_are_handled() -> None:
    probabilities, labels = np.array([0.0, 1.0, 0.0, 1.0, 0.5]), np.array([0, 1, 1, 0, 1])
    assert np.isfinite(calibration_slope(probabilities, labels).estimate)


def test_brier_and_scaled_brier() -> None:
    labels = np.array([0, 0, 1, 1])
    assert brier(np.full(4, 0.5), labels).estimate == pytest.approx(0.25)
    assert scaled_brier(np.full(4, 0.5), labels) == pytest.approx(0.0)
    assert scaled_brier(labels.astype(float), labels) == pytest.approx(1.0)
    with pytest.raises(OneClassError):
        scaled_brier(np.full(4, 0.5), np.zeros(4, dtype=int))


@given(
    seed=st.integers(0, 10_000),
    patients=st.integers(0, 300),
    minimum_cell=st.integers(1, 30),
)
def test_bins_hold_every_patient_and_no_small_cell(
    seed: int, patients: int, minimum_cell: int
) -> None:
    generator = np.random.default_rng(seed)
    probabilities = generator.random(patients).round(1)
    labels = (generator.random(patients) < probabilities).astype(int)
    bins = calibration_bins(probabilities, labels, minimum_cell=minimum_cell)
    for item in bins:
        assert item.cases >= minimum_cell
        assert item.patients - item.cases >= minimum_cell
    if bins:
        assert sum(item.patients for item in bins) == patients
        means = [item.mean_probability for item in bins]
        assert means == sorted(means)
    else:
        assert min(labels.sum(), patients - labels.sum()) < 2 * minimum_cell
