"""The integrated calibration index against statsmodels' lowess, and what its interval holds."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, logit

from learn_assets.statistics.discrimination import OneClassError
from learn_assets.statistics.smoothed_calibration import NoSpreadError, calibration_errors


def predicted(
    patients: int, seed: int, slope: float = 1.0, shift: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    risk = expit(generator.normal(-1, 1, patients))
    true = expit(logit(risk) * slope + shift)
    return risk, (generator.random(patients) < true).astype(np.int64)


@pytest.mark.parametrize(("patients", "tolerance"), [(150, 1e-6), (900, 3e-4)])
def test_the_errors_are_those_of_lowess(patients: int, tolerance: float) -> None:
    from statsmodels.nonparametric.smoothers_lowess import lowess

    risk, labels = predicted(patients, 0, slope=0.5)
    fitted = lowess(labels, risk, frac=2 / 3, it=0, delta=0.0, return_sorted=False)
    errors = np.abs(np.clip(fitted, 0, 1) - risk)
    found = calibration_errors(risk, labels, resamples=10)
    assert found.ici.estimate == pytest.approx(errors.mean(), abs=tolerance)
    # Quantiles are those of an observed patient here, interpolated there.
    for ours, share in ((found.e50, 0.5), (found.e90, 0.9)):
        around = np.quantile(errors, [share - 0.02, share + 0.02])
        assert around[0] - tolerance <= ours.estimate <= around[1] + tolerance


def test_equal_risks_take_the_share_of_cases_among_them() -> None:
    risk = np.repeat([0.2, 0.6], 50)
    labels = np.tile([1, 0], 50)
    found = calibration_errors(risk, labels, resamples=10)
    assert found.ici.estimate == pytest.approx(0.2)
    assert found.e90.estimate == pytest.approx(0.3)


def test_the_interval_of_wrong_predictions_holds_the_truth() -> None:
    many, _ = predicted(100_000, 99)
    truth = float(np.abs(expit(logit(many) * 0.5 + 0.3) - many).mean())
    held = 0
    for seed in range(40):
        ici = calibration_errors(*predicted(400, seed, slope=0.5, shift=0.3), resamples=200).ici
        held += ici.lower <= truth <= ici.upper
    assert held >= 34


def test_the_interval_of_right_predictions_reaches_close_to_zero() -> None:
    lowest = [
        calibration_errors(*predicted(400, seed), resamples=200).ici.lower for seed in range(20)
    ]
    assert np.median(lowest) < 0.005


def test_one_class_has_no_calibration_error() -> None:
    with pytest.raises(OneClassError):
        calibration_errors(np.linspace(0.1, 0.9, 9), np.zeros(9, dtype=int))


def test_a_few_patients_with_other_risks_keep_their_interval() -> None:
    # A draw without the one patient of 0.5 holds nobody near that risk.
    risk = np.where(np.arange(300) == 0, 0.5, 0.2)
    labels = (np.arange(300) % 5 == 0).astype(np.int64)
    with np.errstate(all="raise"):
        found = calibration_errors(risk, labels, resamples=100)
    # 59 cases of 299 patients at 0.2, and one case at 0.5.
    assert found.ici.estimate == pytest.approx((299 * abs(59 / 299 - 0.2) + 0.5) / 300)
    limits = [(item.lower, item.upper) for item in (found.ici, found.e50, found.e90)]
    assert np.isfinite(limits).all()


@pytest.mark.parametrize("spread", [0.0, 1e-15, 1e-9])
def test_predictions_that_are_alike_have_no_curve(spread: float) -> None:
    generator = np.random.default_rng(0)
    risk = 0.2 + spread * generator.random(300)
    labels = (np.arange(300) % 5 == 0).astype(np.int64)
    with pytest.raises(NoSpreadError, match="alike"):
        calibration_errors(risk, labels, resamples=10)


def test_an_interval_holds_its_estimate() -> None:
    for seed in range(20):
        found = calibration_errors(*predicted(300, seed), resamples=50)
        for item in (found.ici, found.e50, found.e90):
            assert item.lower <= item.estimate <= item.upper
