"""Resampling: metrics of many models on the same resampled patients, all resamples at once.

What belongs here: draws of a metric for every resample, so that a difference of two models is a
subtraction of their draws. Draws with fixed numbers of cases and controls come from
`discrimination.resampled_weights`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from learn_assets.evaluation.discrimination import (
    BOOTSTRAP_CELLS,
    FloatVector,
    Labels,
    case_mask,
    resampled_weights,
    times_drawn,
    weighted_precision,
)

FloatMatrix = npt.NDArray[np.float64]
# Patient weights (resamples, n) -> one value a resample.
Statistic = Callable[[FloatMatrix], FloatVector]


def resampled_statistics(
    statistics: list[Statistic], labels: Labels, *, resamples: int, seed: int
) -> FloatMatrix:
    """Return draws (statistics, resamples): every statistic on the same resampled patients.

    Cases and controls are resampled apart. OneClassError when cases or controls are absent.
    """
    blocks = [
        np.stack([statistic(weights) for statistic in statistics])
        for weights in resampled_weights(case_mask(labels), resamples, seed)
    ]
    return np.concatenate(blocks, axis=1)


def patient_weights(patients: int, resamples: int, seed: int) -> Iterator[FloatMatrix]:
    """Yield how often each patient is drawn in each resample, in blocks (some resamples, n).

    Cases and controls are drawn together, so their shares vary: for measures that depend on how
    common cases are. A resample may hold one class only.
    """
    generator = np.random.default_rng(seed)
    block = max(1, min(resamples, BOOTSTRAP_CELLS // patients))
    for start in range(0, resamples, block):
        size = min(block, resamples - start)
        yield times_drawn(patients, size, generator).astype(np.float64)


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


def percentile_limits(draws: FloatVector, level: float = 0.95) -> tuple[float, float]:
    """Return the percentile interval of draws; draws without a value (NaN) are left out."""
    known = draws[np.isfinite(draws)]
    if not len(known):
        return float("nan"), float("nan")
    tail = (1 - level) / 2
    lower, upper = np.quantile(known, [tail, 1 - tail])
    return float(lower), float(upper)


def tie_groups(
    scores: FloatVector, members: npt.NDArray[np.intp]
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Return the members by rising score, and the last place of each group of ties."""
    order = members[np.argsort(scores[members], kind="stable")]
    return order, np.append(np.flatnonzero(np.diff(scores[order])), len(order) - 1)


def tie_sums(values: FloatMatrix, last_of_tie: npt.NDArray[np.intp]) -> FloatMatrix:
    """Return the sum over each group of ties of values (rows, members) in the order of scores."""
    return np.diff(np.cumsum(values, axis=1)[:, last_of_tie], axis=1, prepend=0.0)
