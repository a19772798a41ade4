"""Survival curves: follow-up with competing death, Kaplan-Meier of censoring, Aalen-Johansen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from learn_assets.statistics.discrimination import Z95, FloatVector, Interval

CENSORED, EVENT, DEATH = 0, 1, 2

Rows = npt.NDArray[np.integer] | npt.NDArray[np.bool_]


@dataclass(frozen=True)
class FollowUp:
    """Follow-up of n patients: days from time zero, float64 (n), and how it ended, int64 (n).

    status: `CENSORED`, `EVENT`, or `DEATH` before the event, which rules the event out.
    """

    days: FloatVector
    status: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.days)

    def rows(self, index: Rows) -> FollowUp:
        """Return the follow-up of some patients, by row number or mask."""
        return FollowUp(self.days[index], self.status[index])

    @property
    def events(self) -> int:
        """Number of events."""
        return int((self.status == EVENT).sum())

    @property
    def deaths(self) -> int:
        """Number of deaths before an event."""
        return int((self.status == DEATH).sum())

    def events_by(self, day: float) -> int:
        """Return the number of events up to and on a day."""
        return int(((self.status == EVENT) & (self.days <= day)).sum())


@dataclass(frozen=True)
class StepCurve:
    """A right-continuous survival curve that starts at 1: its value from each of `times` on."""

    times: FloatVector
    values: FloatVector

    def at(self, days: npt.ArrayLike) -> FloatVector:
        """Return P(T > day) for each day."""
        return self._read(np.searchsorted(self.times, days, side="right"))

    def before(self, days: npt.ArrayLike) -> FloatVector:
        """Return P(T >= day) for each day, the value just before it."""
        return self._read(np.searchsorted(self.times, days, side="left"))

    def _read(self, steps: npt.NDArray[np.intp]) -> FloatVector:
        return np.asarray(np.append(1.0, self.values)[steps], dtype=np.float64)


@dataclass(frozen=True)
class _Counts:
    """At each distinct day: events, deaths, censored and patients still at risk just before."""

    times: FloatVector
    events: FloatVector
    deaths: FloatVector
    censored: FloatVector
    at_risk: FloatVector


def censoring_curve(follow_up: FollowUp) -> StepCurve:
    """Return the Kaplan-Meier curve of staying uncensored, P(C > day).

    Events and deaths come before censorings of the same day, so they leave the risk set first.
    """
    counts = _counts(follow_up)
    at_risk = counts.at_risk - counts.events - counts.deaths
    return _product_limit(counts.times, counts.censored, at_risk)


def death_curve(follow_up: FollowUp) -> StepCurve:
    """Return the Kaplan-Meier curve of staying alive, events taken as censorings."""
    counts = _counts(follow_up)
    return _product_limit(counts.times, counts.deaths, counts.at_risk - counts.events)


def cumulative_incidence(follow_up: FollowUp, horizons: Sequence[float]) -> tuple[Interval, ...]:
    """Return the probability of the event by each day, death competing (Aalen-Johansen).

    Variance by the delta method (Marubini & Valsecchi 1995), limits on the log(-log) scale; NaN
    where the estimate is 0 or 1. ValueError without patients.
    """
    estimates, variances = incidence_and_variance(follow_up, horizons)
    return tuple(
        _log_log_interval(float(estimate), float(variance))
        for estimate, variance in zip(estimates, variances, strict=True)
    )


def incidence_and_variance(
    follow_up: FollowUp, horizons: Sequence[float]
) -> tuple[FloatVector, FloatVector]:
    """Return the Aalen-Johansen estimate and its variance at each day, float64 (horizons)."""
    if not len(follow_up):
        raise ValueError("no patient is followed")
    counts = _counts(follow_up)
    either = counts.events + counts.deaths
    alive_after = np.cumprod(1 - either / counts.at_risk)
    alive_before = np.append(1.0, alive_after[:-1])
    incidence = np.cumsum(alive_before * counts.events / counts.at_risk)
    left = counts.at_risk - either
    # The last patient's term is 0 / 0: what it weighs, F(t) - F(t_i), is 0 as well.
    spread = np.divide(either, counts.at_risk * left, out=np.zeros_like(left), where=left > 0)
    own = alive_before**2 * counts.events * (counts.at_risk - counts.events) / counts.at_risk**3
    cross = alive_before * counts.events / counts.at_risk**2
    last = np.searchsorted(counts.times, horizons, side="right")
    value = np.append(0.0, incidence)[last]
    variance = (
        value**2 * _running(spread)[last]
        - 2 * value * _running(incidence * spread)[last]
        + _running(incidence**2 * spread)[last]
        + _running(own)[last]
        - 2 * (value * _running(cross)[last] - _running(incidence * cross)[last])
    )
    return value, np.maximum(variance, 0.0)


def _counts(follow_up: FollowUp) -> _Counts:
    times, place = np.unique(follow_up.days, return_inverse=True)
    totals = [
        np.bincount(place[follow_up.status == status], minlength=len(times)).astype(np.float64)
        for status in (EVENT, DEATH, CENSORED)
    ]
    leaving = totals[0] + totals[1] + totals[2]
    at_risk = np.cumsum(leaving[::-1])[::-1]
    return _Counts(times, totals[0], totals[1], totals[2], at_risk)


def _product_limit(times: FloatVector, leaving: FloatVector, at_risk: FloatVector) -> StepCurve:
    share = np.divide(leaving, at_risk, out=np.zeros_like(leaving), where=at_risk > 0)
    return StepCurve(times, np.cumprod(1 - share))


def _running(values: FloatVector) -> FloatVector:
    return np.append(0.0, np.cumsum(values))


def _log_log_interval(estimate: float, variance: float) -> Interval:
    if not 0.0 < estimate < 1.0:
        return Interval(estimate, float("nan"), float("nan"))
    survival = 1 - estimate
    width = Z95 * np.sqrt(variance) / (survival * abs(np.log(survival)))
    lower, upper = (1 - survival ** np.exp(sign * width) for sign in (-1, 1))
    return Interval(estimate, float(lower), float(upper))
