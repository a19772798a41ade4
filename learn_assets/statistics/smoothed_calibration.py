"""Smoothed calibration: how far predicted risk is from a smooth curve of the observed share.

What belongs here: the integrated calibration index and its median and 90th percentile.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from learn_assets.statistics.discrimination import (
    FloatVector,
    Interval,
    Labels,
    case_mask,
)
from learn_assets.statistics.patient_draws import FloatMatrix, patient_weights

# Cleveland's span, as `val.prob` of R's rms has it.
_SPAN = 2 / 3
_MAXIMUM_BINS = 400
_FLAT = 1e-12
# Risks closer than one in a million are one risk: a curve over them would follow rounding.
_ALIKE = 1e-6


class NoSpreadError(ValueError):
    """All predicted risks are alike, so there is no curve of observed by predicted risk."""


@dataclass(frozen=True)
class CalibrationErrors:
    """|smoothed observed share - predicted risk| over patients: mean, median, 90th percentile."""

    ici: Interval
    e50: Interval
    e90: Interval


@dataclass(frozen=True)
class _Bins:
    """Patients of equal (or, past 400 distinct values, nearly equal) risk, by rising risk."""

    order: npt.NDArray[np.intp]
    starts: npt.NDArray[np.intp]
    risk: FloatVector

    def sums(self, weights: FloatMatrix) -> FloatMatrix:
        """Return what patient weights (rows, n) sum to in each bin."""
        return np.add.reduceat(weights[:, self.order], self.starts, axis=1)


def calibration_errors(
    probabilities: FloatVector,
    labels: Labels,
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> CalibrationErrors:
    """Return the integrated calibration index, E50 and E90 with intervals over patients.

    The curve is a local line with tricube weights on the nearest two thirds of the patients
    (lowess without robustness steps). Intervals are basic ("reverse percentile") ones, cut at 0:
    an absolute difference is too large on average in every resample, which percentile intervals
    would add a second time; an upper limit below the estimate (every resample is larger) is raised
    to it. OneClassError when cases or controls are absent, NoSpreadError when
    predicted risks are alike. Method: Austin & Steyerberg 2019.
    """
    is_case = case_mask(labels)
    if np.ptp(probabilities) < _ALIKE:
        raise NoSpreadError("predicted risks are alike, so observed risk has no curve over them")
    bins = _bins(probabilities)
    kernel = _kernel(bins, len(probabilities))

    def errors(weights: FloatMatrix) -> FloatMatrix:
        patients = bins.sums(weights)
        curve = _smoothed(kernel, bins.risk, patients, bins.sums(weights * is_case))
        return _summaries(np.abs(curve - bins.risk), patients)

    observed = errors(np.ones((1, len(labels))))[0]
    draws = np.concatenate(
        [errors(weights) for weights in patient_weights(len(labels), resamples, seed)]
    )
    tail = (1 - 0.95) / 2
    low, high = np.quantile(draws, [tail, 1 - tail], axis=0)
    lower, upper = np.maximum(2 * observed - high, 0.0), np.maximum(2 * observed - low, observed)
    ici, e50, e90 = (
        Interval(float(value), float(below), float(above))
        for value, below, above in zip(observed, lower, upper, strict=True)
    )
    return CalibrationErrors(ici, e50, e90)


def _bins(probabilities: FloatVector) -> _Bins:
    order = np.argsort(probabilities, kind="stable")
    ordered = probabilities[order]
    starts = np.flatnonzero(np.diff(ordered, prepend=-1.0))
    if len(starts) > _MAXIMUM_BINS:
        even = np.linspace(0, len(starts), _MAXIMUM_BINS, endpoint=False).astype(np.intp)
        starts = starts[even]
    sizes = np.diff(starts, append=len(ordered))
    return _Bins(order, starts, np.add.reduceat(ordered, starts) / sizes)


def _kernel(bins: _Bins, patients: int) -> FloatMatrix:
    """Return how much the patients of a bin (columns) count for the curve at each bin (rows)."""
    sizes = np.diff(bins.starts, append=patients)
    distance = np.abs(bins.risk[:, None] - bins.risk[None, :])
    nearest = np.argsort(distance, axis=1, kind="stable")
    reached = np.cumsum(sizes[nearest], axis=1) >= max(2, int(_SPAN * patients + 1e-10))
    rows = np.arange(len(distance))
    reach = np.maximum(distance[rows, nearest[rows, reached.argmax(axis=1)]], _FLAT)
    kernel: FloatMatrix = np.clip(1 - (distance / reach[:, None]) ** 3, 0.0, 1.0) ** 3
    return kernel


def _smoothed(
    kernel: FloatMatrix, risk: FloatVector, patients: FloatMatrix, cases: FloatMatrix
) -> FloatMatrix:
    """Return the local line at each bin (draws, bins) for patients and cases drawn in each.

    Where a draw holds nobody near a bin the line is 0: nobody of that draw is in the bin either.
    """
    total = patients @ kernel.T

    def mean(sums: FloatMatrix) -> FloatMatrix:
        return np.divide(sums @ kernel.T, total, out=np.zeros_like(total), where=total > 0)

    mean_risk, mean_case = mean(patients * risk), mean(cases)
    spread = mean(patients * risk**2) - mean_risk**2
    joint = mean(cases * risk) - mean_risk * mean_case
    slope = np.divide(joint, spread, out=np.zeros_like(joint), where=spread > _FLAT)
    return np.clip(mean_case + slope * (risk - mean_risk), 0.0, 1.0)


def _summaries(errors: FloatMatrix, patients: FloatMatrix) -> FloatMatrix:
    """Return mean, median and 90th percentile over patients (draws, 3)."""
    mean = (errors * patients).sum(axis=1) / patients.sum(axis=1)
    order = np.argsort(errors, axis=1, kind="stable")
    ordered = np.take_along_axis(errors, order, axis=1)
    reached = np.cumsum(np.take_along_axis(patients, order, axis=1), axis=1)
    rows = np.arange(len(errors))
    quantiles = [
        ordered[rows, (reached >= share * reached[:, -1:] - 1e-9).argmax(axis=1)]
        for share in (0.5, 0.9)
    ]
    return np.stack([mean, *quantiles], axis=1)
