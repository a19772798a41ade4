"""Time-to-event performance: concordance, AUC, Brier score, calibration at the horizon."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from learn_assets.disclosure import shown, shown_parts
from learn_assets.evaluation.outcome_estimates import Estimate, score_groups
from learn_assets.schemas.registry import empty_frame
from learn_assets.statistics.concordance import (
    NoPairError,
    censored_brier,
    time_dependent_auc,
    uno_c,
)
from learn_assets.statistics.discrimination import FloatVector, Interval
from learn_assets.statistics.survival_curves import FollowUp, cumulative_incidence

_YEAR = 365.25
_CALIBRATION_GROUPS = 10


@dataclass(frozen=True)
class _Scored:
    risk: FloatVector
    follow_up: FollowUp
    folds: npt.NDArray[np.int64]


def time_to_event_performance(
    scores: pl.DataFrame, *, horizon_days: int, minimum_cell: int
) -> pl.DataFrame:
    """Return every measure of every feature set and learner (table `time_to_event_performance`).

    scores: patient_id, fold, feature_set, learner, probability (risk by the horizon), days, status.

    Metrics: counts (`patients`, `events`, `deaths`); `uno_c` up to the horizon and
    `time_dependent_auc` at each year and at the horizon, within folds; `brier` and `scaled_brier`;
    `observed_risk` (Aalen-Johansen), `mean_predicted_risk` and `observed_to_expected`; and by group
    of predicted risk, 1 lowest, `calibration_predicted` and `calibration_observed`. What cannot be
    estimated or shown has an empty estimate and a reason.
    """
    rows: list[dict[str, object]] = []
    for (feature_set, learner), group in scores.sort(
        "feature_set", "learner", "patient_id"
    ).group_by("feature_set", "learner", maintain_order=True):
        scored = _Scored(
            group["probability"].to_numpy().astype(np.float64),
            FollowUp(
                group["days"].to_numpy().astype(np.float64),
                group["status"].to_numpy().astype(np.int64),
            ),
            group["fold"].to_numpy().astype(np.int64),
        )
        place = {"feature_set": feature_set, "learner": learner}
        rows += [{**place, **item.row} for item in _estimates(scored, horizon_days, minimum_cell)]
    return pl.DataFrame(rows, schema=empty_frame("time_to_event_performance").schema)


def _estimates(scored: _Scored, horizon: int, minimum_cell: int) -> Iterator[Estimate]:
    follow_up = scored.follow_up
    rest = len(follow_up) - follow_up.events - follow_up.deaths
    counts = shown_parts([follow_up.events, follow_up.deaths, rest], minimum_cell)
    yield _count("patients", shown(len(follow_up), minimum_cell).value)
    yield _count("events", counts[0].value)
    yield _count("deaths", counts[1].value)
    events = follow_up.events_by(horizon)
    if min(events, len(follow_up) - events) < max(1, minimum_cell):
        reason = f"fewer than {minimum_cell} patients with the outcome by the horizon, or without"
        for metric in ("uno_c", "time_dependent_auc", "brier", "observed_risk"):
            yield Estimate(metric, None, horizon, reason=reason)
        return
    yield _attempt(
        "uno_c", horizon, lambda: uno_c(scored.risk, follow_up, horizon, folds=scored.folds)
    )
    for day in _years(horizon):
        if shown(follow_up.events_by(day), minimum_cell).value:
            yield _time_dependent(scored, day)
    yield from _overall(scored, horizon)
    yield from _calibration(scored, horizon, minimum_cell)


def _time_dependent(scored: _Scored, day: int) -> Estimate:
    return _attempt(
        "time_dependent_auc",
        day,
        lambda: time_dependent_auc(scored.risk, scored.follow_up, day, folds=scored.folds),
    )


def _overall(scored: _Scored, horizon: int) -> Iterator[Estimate]:
    observed = cumulative_incidence(scored.follow_up, [horizon])[0]
    expected = float(scored.risk.mean())
    brier = censored_brier(scored.risk, scored.follow_up, horizon)
    everyone = np.full(len(scored.risk), observed.estimate)
    without_model = censored_brier(everyone, scored.follow_up, horizon)
    yield Estimate("brier", brier, horizon)
    yield Estimate("scaled_brier", 1 - brier / without_model, horizon)
    yield Estimate("observed_risk", observed, horizon)
    yield Estimate("mean_predicted_risk", expected, horizon)
    ratio = np.array([observed.estimate, observed.lower, observed.upper]) / expected
    yield Estimate("observed_to_expected", Interval(*ratio.tolist()), horizon)


def _calibration(scored: _Scored, horizon: int, minimum_cell: int) -> Iterator[Estimate]:
    """Yield predicted and observed risk of groups, as many as have no small cell."""
    for groups in range(_CALIBRATION_GROUPS, 1, -1):
        place = score_groups(scored.risk, groups)
        members = [place == group for group in range(1, groups + 1)]
        if all(_is_large(scored.follow_up.rows(rows), horizon, minimum_cell) for rows in members):
            break
    else:
        reason = f"fewer than {minimum_cell} patients with the outcome in a group"
        yield Estimate("calibration_observed", None, horizon, reason=reason)
        return
    for group, rows in enumerate(members, start=1):
        observed = cumulative_incidence(scored.follow_up.rows(rows), [horizon])[0]
        yield Estimate("calibration_predicted", float(scored.risk[rows].mean()), horizon, group)
        yield Estimate("calibration_observed", observed, horizon, group)


def _is_large(follow_up: FollowUp, horizon: int, minimum_cell: int) -> bool:
    events = follow_up.events_by(horizon)
    return min(events, len(follow_up) - events) >= max(1, minimum_cell)


def _years(horizon: int) -> list[int]:
    whole = [round(year * _YEAR) for year in range(1, int(horizon / _YEAR) + 1)]
    return [*(day for day in whole if day < horizon - _YEAR / 2), horizon]


def _count(metric: str, value: int | None) -> Estimate:
    reason = None if value is not None else "withheld: a small count could be worked out"
    return Estimate(metric, None if value is None else float(value), reason=reason)


def _attempt(metric: str, day: int, measure: Callable[[], Interval]) -> Estimate:
    try:
        return Estimate(metric, measure(), day)
    except NoPairError as error:
        return Estimate(metric, None, day, reason=str(error))
