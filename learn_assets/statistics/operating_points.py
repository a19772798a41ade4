"""Operating points: sensitivity and predictive values where a model reaches a given specificity.

What belongs here: what a threshold yields when it is set inside each fold, so that scores of models
of different folds are never held against one threshold.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from learn_assets.statistics.discrimination import (
    FloatVector,
    Interval,
    Labels,
    case_mask,
)
from learn_assets.statistics.patient_draws import FloatMatrix, percentile_limits
from learn_assets.statistics.resampling import (
    Statistic,
    resampled_statistics,
    share_of_cases_statistic,
    tie_groups,
    tie_sums,
)

_ROUNDING = 1e-9


@dataclass(frozen=True)
class OperatingPoint:
    """What a model yields at one specificity; `found` and `missed` are numbers of cases."""

    specificity: float
    sensitivity: Interval
    positive_predictive_value: Interval
    negative_predictive_value: Interval
    found: int
    missed: int


def operating_point(
    scores: FloatVector,
    labels: Labels,
    folds: Labels,
    specificity: float,
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> OperatingPoint:
    """Return sensitivity and predictive values at a specificity, with bootstrap intervals.

    In each fold the threshold is the lowest that leaves the share `specificity` of its controls
    below; scores tied across it count in part (the ROC curve is interpolated). Predictive values
    follow from sensitivity, the nominal specificity and the share of cases among these patients, by
    Bayes' theorem; a resample has its own share. OneClassError when cases or controls are absent.
    """
    cases = int(case_mask(labels).sum())
    share = cases / len(labels)
    statistic = sensitivity_statistic(scores, labels, folds, specificity)
    estimate = float(statistic(np.ones((1, len(labels))))[0])
    statistics = [statistic, share_of_cases_statistic(labels)]
    found_draws, share_draws = resampled_statistics(
        statistics, labels, resamples=resamples, seed=seed
    )
    found = round(estimate * cases)
    return OperatingPoint(
        specificity=specificity,
        sensitivity=Interval(estimate, *percentile_limits(found_draws)),
        positive_predictive_value=Interval(
            float(positive_predictive_value(estimate, specificity, share)),
            *percentile_limits(positive_predictive_value(found_draws, specificity, share_draws)),
        ),
        negative_predictive_value=Interval(
            float(negative_predictive_value(estimate, specificity, share)),
            *percentile_limits(negative_predictive_value(found_draws, specificity, share_draws)),
        ),
        found=found,
        missed=cases - found,
    )


def positive_predictive_value(
    sensitivity: float | FloatVector, specificity: float, prevalence: float | FloatVector
) -> FloatVector:
    """Return the share of cases among those flagged (shape of the inputs); NaN when nobody is."""
    true = np.multiply(sensitivity, prevalence)
    false = (1 - specificity) * np.subtract(1.0, prevalence)
    return _share(true, false)


def negative_predictive_value(
    sensitivity: float | FloatVector, specificity: float, prevalence: float | FloatVector
) -> FloatVector:
    """Return the share of controls among those not flagged (shape of inputs); NaN when all are."""
    true = specificity * np.subtract(1.0, prevalence)
    false = np.multiply(np.subtract(1.0, sensitivity), prevalence)
    return _share(true, false)


def sensitivity_statistic(
    scores: FloatVector, labels: Labels, folds: Labels, specificity: float
) -> Statistic:
    """Return sensitivity at a specificity within folds as a function of patient weights.

    A fold counts by its cases; a fold without cases or controls is left out.
    """
    is_case = case_mask(labels)
    orders = [tie_groups(-scores, np.flatnonzero(folds == fold)) for fold in np.unique(folds)]

    def statistic(weights: FloatMatrix) -> FloatVector:
        found, cases = np.zeros(len(weights)), np.zeros(len(weights))
        for order, last_of_tie in orders:
            drawn = weights[:, order]
            true = np.cumsum(tie_sums(drawn * is_case[order], last_of_tie), axis=1)
            false = np.cumsum(tie_sums(drawn * ~is_case[order], last_of_tie), axis=1)
            usable = (true[:, -1] > 0) & (false[:, -1] > 0)
            reached = _true_at(true, false, (1 - specificity) * false[:, -1])
            found += np.where(usable, reached, 0.0)
            cases += np.where(usable, true[:, -1], 0.0)
        share: FloatVector = np.full(len(weights), np.nan)
        np.divide(found, cases, out=share, where=cases > 0)
        return share

    return statistic


def fold_thresholds(
    scores: FloatVector, labels: Labels, folds: Labels, specificity: float
) -> FloatVector:
    """Return for each patient the threshold of the fold: flagged is who scores above it.

    It is the lowest score of the fold's controls that leaves at least the share `specificity` of
    them at or below it; infinite in a fold without controls.
    """
    thresholds: FloatVector = np.full(len(scores), np.inf)
    for fold in np.unique(folds):
        members = folds == fold
        controls = np.sort(scores[members & (labels == 0)])
        if len(controls):
            place = int(np.ceil(specificity * len(controls) - _ROUNDING)) - 1
            thresholds[members] = controls[max(place, 0)]
    return thresholds


def _true_at(true: FloatMatrix, false: FloatMatrix, allowed: FloatVector) -> FloatVector:
    """Return true positives where false positives reach `allowed`, between ties in proportion."""
    true = np.concatenate([np.zeros((len(true), 1)), true], axis=1)
    false = np.concatenate([np.zeros((len(false), 1)), false], axis=1)
    within = false <= allowed[:, None] + _ROUNDING
    here = within.sum(axis=1) - 1
    beyond = np.minimum(here + 1, false.shape[1] - 1)
    rows = np.arange(len(true))
    step = false[rows, beyond] - false[rows, here]
    left = np.clip(allowed - false[rows, here], 0.0, None)
    part = np.divide(left, step, out=np.zeros_like(step), where=step > 0)
    gained: FloatVector = true[rows, beyond] - true[rows, here]
    reached: FloatVector = true[rows, here] + part * gained
    return reached


def _share(part: FloatVector, rest: FloatVector) -> FloatVector:
    whole = np.asarray(part + rest, dtype=np.float64)
    share: FloatVector = np.full(whole.shape, np.nan)
    np.divide(part, whole, out=share, where=whole > 0)
    return share
