"""Resampling: metrics of many models on the same resampled patients, all resamples at once.

What belongs here: draws of a metric for every resample, so that a difference of two models is a
subtraction of their draws.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from learn_assets.statistics.discrimination import (
    FloatVector,
    Labels,
    case_mask,
    weighted_precision,
)
from learn_assets.statistics.patient_draws import FloatMatrix, patient_weights

# Patient weights (resamples, n) -> one value a resample.
Statistic = Callable[[FloatMatrix], FloatVector]


def resampled_statistics(
    statistics: list[Statistic], labels: Labels, *, resamples: int, seed: int
) -> FloatMatrix:
    """Return draws (statistics, resamples): every statistic on the same resampled patients.

    OneClassError when cases or controls are absent.
    """
    case_mask(labels)
    blocks = [
        np.stack([statistic(weights) for statistic in statistics])
        for weights in patient_weights(len(labels), resamples, seed)
    ]
    return np.concatenate(blocks, axis=1)


def auroc_statistic(scores: FloatVector, labels: Labels, folds: Labels) -> Statistic:
    """Return AUROC within folds as a function of patient weights; NaN without a pair."""
    is_case = case_mask(labels)
    orders = [tie_groups(scores, np.flatnonzero(folds == fold)) for fold in np.unique(folds)]

    def statistic(weights: FloatMatrix) -> FloatVector:
        wins, pairs = np.zeros(len(weights)), np.zeros(len(weights))
        for order, last_of_tie in orders:
            drawn = weights[:, order]
            cases = tie_sums(drawn * is_case[order], last_of_tie)
            controls = tie_sums(drawn * ~is_case[order], last_of_tie)
            below = np.cumsum(controls, axis=1) - 0.5 * controls
            wins += (cases * below).sum(axis=1)
            pairs += cases.sum(axis=1) * controls.sum(axis=1)
        areas: FloatVector = np.full(len(weights), np.nan)
        np.divide(wins, pairs, out=areas, where=pairs > 0)
        return areas

    return statistic


def auprc_statistic(scores: FloatVector, labels: Labels) -> Statistic:
    """Return average precision as a function of patient weights."""
    is_case = case_mask(labels)
    return lambda weights: weighted_precision(scores, is_case, weights)


def brier_statistic(probabilities: FloatVector, labels: Labels) -> Statistic:
    """Return the Brier score as a function of patient weights."""
    squared = (probabilities - labels) ** 2

    def statistic(weights: FloatMatrix) -> FloatVector:
        return np.asarray((weights @ squared) / weights.sum(axis=1), dtype=np.float64)

    return statistic


def share_of_cases_statistic(labels: Labels) -> Statistic:
    """Return the share of cases as a function of patient weights."""
    is_case = case_mask(labels)
    return lambda weights: np.asarray((weights @ is_case) / weights.sum(axis=1), dtype=np.float64)


def tie_groups(
    scores: FloatVector, members: npt.NDArray[np.intp]
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Return the members by rising score, and the last place of each group of ties."""
    order = members[np.argsort(scores[members], kind="stable")]
    return order, np.append(np.flatnonzero(np.diff(scores[order])), len(order) - 1)


def tie_sums(values: FloatMatrix, last_of_tie: npt.NDArray[np.intp]) -> FloatMatrix:
    """Return the sum over each group of ties of values (rows, members) in the order of scores."""
    return np.diff(np.cumsum(values, axis=1)[:, last_of_tie], axis=1, prepend=0.0)
