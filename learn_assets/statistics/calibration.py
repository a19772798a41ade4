"""Calibration: whether predicted probabilities match observed shares.

What belongs here: Brier scores, recalibration intercept and slope, and binned calibration curves.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import logit

from learn_assets.statistics.discrimination import (
    FloatVector,
    Interval,
    Labels,
    case_mask,
    wald,
)
from learn_assets.statistics.logistic_line import fit_intercept, fit_line
from learn_assets.statistics.patient_draws import patient_weights, percentile_limits

# Probabilities of exactly 0 or 1 have no logit; nothing a model here predicts is surer than this.
_SUREST = 1e-6


@dataclass(frozen=True)
class CalibrationBin:
    """Patients of similar predicted risk: their number, mean prediction and observed share."""

    patients: int
    cases: int
    mean_probability: float
    observed_share: float


def brier(
    probabilities: FloatVector,
    labels: Labels,
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> Interval:
    """Return the mean squared error of the probabilities with an interval over resampled patients.

    OneClassError when cases or controls are absent.
    """
    case_mask(labels)
    squared = (probabilities - labels) ** 2
    draws = [weights @ squared for weights in patient_weights(len(labels), resamples, seed)]
    lower, upper = percentile_limits(np.concatenate(draws) / len(labels))
    return Interval(float(squared.mean()), lower, upper)


def log_loss(
    probabilities: FloatVector,
    labels: Labels,
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> Interval:
    """Return the mean negative log likelihood (nats) with an interval over resampled patients.

    Probabilities nearer to 0 or 1 than one in a million count as that far. OneClassError when cases
    or controls are absent.
    """
    case_mask(labels)
    sure = np.clip(probabilities, _SUREST, 1 - _SUREST)
    losses = -np.where(np.asarray(labels) == 1, np.log(sure), np.log1p(-sure))
    draws = [weights @ losses for weights in patient_weights(len(labels), resamples, seed)]
    lower, upper = percentile_limits(np.concatenate(draws) / len(labels))
    return Interval(float(losses.mean()), lower, upper)


def scaled_brier(probabilities: FloatVector, labels: Labels) -> float:
    """Return 1 - Brier / Brier of the prevalence: 1 is perfect, 0 no better than the prevalence.

    OneClassError when cases or controls are absent.
    """
    prevalence = float(case_mask(labels).mean())
    achieved = float(((probabilities - labels) ** 2).mean())
    return 1.0 - achieved / (prevalence * (1 - prevalence))


def calibration_slope(probabilities: FloatVector, labels: Labels) -> Interval:
    """Return the slope of the outcome on logit(probability): below 1, predictions are too extreme.

    Wald interval. OneClassError when a class is absent, SeparationError without a finite slope.
    Method: logistic recalibration (Cox 1958; Van Calster et al. 2016).
    """
    case_mask(labels)
    line = fit_line(logits(probabilities), labels.astype(np.float64))
    return wald(line.slope, float(line.covariance[1, 1]))


def calibration_intercept(probabilities: FloatVector, labels: Labels) -> Interval:
    """Return calibration in the large, the intercept with the slope fixed at 1.

    Above 0, predictions are too low on average. Wald interval; errors as `calibration_slope`.
    """
    case_mask(labels)
    line = fit_intercept(logits(probabilities), labels.astype(np.float64))
    return wald(line.intercept, float(line.covariance[0, 0]))


def calibration_bins(
    probabilities: FloatVector, labels: Labels, *, minimum_cell: int, bins: int = 10
) -> tuple[CalibrationBin, ...]:
    """Return bins of equal size by predicted risk, merged until no cell is small.

    Neighbors are merged until every bin holds at least `minimum_cell` cases and as many controls,
    so no observed share gives a small count away. Empty when not even one bin can.
    """
    order = np.argsort(probabilities, kind="stable")
    pieces = [piece for piece in np.array_split(order, bins) if len(piece)]
    merged = _merged_until_large(pieces, np.asarray(labels), minimum_cell)
    return tuple(
        CalibrationBin(
            patients=len(members),
            cases=int(labels[members].sum()),
            mean_probability=float(probabilities[members].mean()),
            observed_share=float(labels[members].mean()),
        )
        for members in merged
    )


def _merged_until_large(
    pieces: list[npt.NDArray[np.intp]], labels: Labels, minimum_cell: int
) -> list[npt.NDArray[np.intp]]:
    merged: list[npt.NDArray[np.intp]] = []
    open_bin = np.array([], dtype=np.intp)
    for piece in pieces:
        open_bin = np.concatenate([open_bin, piece])
        if _large_enough(open_bin, labels, minimum_cell):
            merged.append(open_bin)
            open_bin = np.array([], dtype=np.intp)
    if len(open_bin) and merged:
        merged[-1] = np.concatenate([merged[-1], open_bin])
    return merged


def _large_enough(members: npt.NDArray[np.intp], labels: Labels, minimum_cell: int) -> bool:
    cases = int(labels[members].sum())
    return min(cases, len(members) - cases) >= minimum_cell


def logits(probabilities: FloatVector) -> FloatVector:
    """Return log odds, those of 0 and 1 cut to what no model is surer than."""
    return np.asarray(logit(np.clip(probabilities, _SUREST, 1 - _SUREST)), dtype=np.float64)
