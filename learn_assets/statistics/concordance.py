"""Concordance under censoring: Uno's C, time-dependent AUC and Brier score, death competing.

Weighted by the inverse probability of staying uncensored (IPCW). A patient who died without the
event will never have it, so they stay comparable, as one who outlives every horizon.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from learn_assets.statistics.discrimination import Z95, FloatVector, Interval
from learn_assets.statistics.survival_curves import (
    DEATH,
    EVENT,
    FollowUp,
    StepCurve,
    censoring_curve,
)

_CHUNK_CELLS = 4_000_000

Folds = npt.NDArray[np.integer]
# Rows of patients with an event -> weight of each pair, float64 (events, patients).
PairWeights = Callable[[npt.NDArray[np.intp]], npt.NDArray[np.float64]]


class NoPairError(ValueError):
    """No event can be compared with anyone, so the measure does not exist."""


@dataclass(frozen=True)
class _Pairs:
    """Sums over the pairs of each patient, on either side: weighted wins and weights."""

    wins: FloatVector
    weights: FloatVector


def uno_c(
    scores: FloatVector,
    follow_up: FollowUp,
    horizon: float,
    *,
    folds: Folds | None = None,
) -> Interval:
    """Return the share of pairs in which the earlier event has the higher score, up to a horizon.

    scores float64 (n), higher = sooner; ties count half. folds (n): pairs within a fold only, since
    scores of two folds come from two models. Interval by the influence of each patient, the weights
    taken as known. NoPairError when nobody can be compared.
    Method: Uno et al. 2011; with death competing, Wolbers et al. 2014.
    """
    censoring = censoring_curve(follow_up)
    days, died = follow_up.days, follow_up.status == DEATH
    stay = censoring.before(days)

    def weights(rows: npt.NDArray[np.intp]) -> npt.NDArray[np.float64]:
        own = stay[rows][:, None]
        later = days[None, :] > days[rows][:, None]
        never = died[None, :] & ~later
        return np.asarray((later / own + never / stay[None, :]) / own)

    is_case = (follow_up.status == EVENT) & (days <= horizon)
    return _concordance(scores, is_case, weights, folds)


def time_dependent_auc(
    scores: FloatVector,
    follow_up: FollowUp,
    horizon: float,
    *,
    folds: Folds | None = None,
) -> Interval:
    """Return the AUC of scores (n) for having had the event by a day against not having had it.

    Arguments, interval and error as in `uno_c`. Method: cumulative/dynamic AUC with inverse
    probability weights, deaths before the day among the controls (Blanche et al. 2013).
    """
    weight = status_weights(follow_up, horizon)
    is_case = (follow_up.status == EVENT) & (follow_up.days <= horizon)
    control = np.where(is_case, 0.0, weight)

    def weights(rows: npt.NDArray[np.intp]) -> npt.NDArray[np.float64]:
        return np.asarray(weight[rows][:, None] * control[None, :])

    return _concordance(scores, is_case, weights, folds)


def status_weights(follow_up: FollowUp, horizon: float) -> FloatVector:
    """Return what each patient counts for at a day: 0 when censored before, else 1 / P(seen)."""
    censoring: StepCurve = censoring_curve(follow_up)
    known = (follow_up.status != 0) & (follow_up.days <= horizon)
    beyond = follow_up.days > horizon
    seen = np.where(known, censoring.before(follow_up.days), censoring.at(horizon))
    return np.divide(1.0, seen, out=np.zeros(len(follow_up)), where=(known | beyond) & (seen > 0))


def censored_brier(risk: FloatVector, follow_up: FollowUp, horizon: float) -> float:
    """Return the mean squared error of predicted risks (n) of the event by a day.

    NaN when nobody's status is known. Method: Graf et al. 1999; deaths count as no event.
    """
    weight = status_weights(follow_up, horizon)
    happened = (follow_up.status == EVENT) & (follow_up.days <= horizon)
    if not weight.any():
        return float("nan")
    return float((weight * (happened - risk) ** 2).sum() / len(follow_up))


def _concordance(
    scores: FloatVector,
    is_case: npt.NDArray[np.bool_],
    weights: PairWeights,
    folds: Folds | None,
) -> Interval:
    groups = np.zeros(len(scores), dtype=np.int64) if folds is None else folds
    pairs = _pair_sums(scores, is_case, weights, groups)
    total = pairs.weights.sum()
    if not total > 0:
        raise NoPairError("no event that can be compared with a patient who outlived it")
    estimate = float(pairs.wins.sum() / total)
    # Each patient's part of the ratio's numerator; a pair has two patients, hence twice.
    influence = 2 * (pairs.wins - estimate * pairs.weights) / total
    error = float(np.sqrt((influence**2).sum()))
    width = Z95 * error
    return Interval(estimate, max(0.0, estimate - width), min(1.0, estimate + width))


def _pair_sums(
    scores: FloatVector, is_case: npt.NDArray[np.bool_], weights: PairWeights, groups: Folds
) -> _Pairs:
    wins, total = np.zeros(len(scores)), np.zeros(len(scores))
    cases = np.flatnonzero(is_case)
    chunk = max(1, _CHUNK_CELLS // max(1, len(scores)))
    for start in range(0, len(cases), chunk):
        rows = cases[start : start + chunk]
        weight = weights(rows) * (groups[rows][:, None] == groups[None, :])
        weight[np.arange(len(rows)), rows] = 0.0
        margin = scores[rows][:, None] - scores[None, :]
        won = weight * ((margin > 0) + 0.5 * (margin == 0))
        # Half to either side, so that the sum over patients is the sum over pairs.
        wins[rows] += won.sum(axis=1) / 2
        total[rows] += weight.sum(axis=1) / 2
        wins += won.sum(axis=0) / 2
        total += weight.sum(axis=0) / 2
    return _Pairs(wins, total)
