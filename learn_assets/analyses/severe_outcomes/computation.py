"""Severe outcomes against the score: incidence by score group, hazard and odds ratios.

What belongs here: one table of estimates for any outcome that is dated after the index date. Time
zero is the index date; whoever has the outcome by then is excluded and counted; death competes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import numpy.typing as npt
import polars as pl

from learn_assets.disclosure import shown, shown_parts
from learn_assets.evaluation.outcome_estimates import Estimate, score_groups
from learn_assets.schemas.registry import empty_frame
from learn_assets.statistics.calibration import logits
from learn_assets.statistics.cox import CoxError, fit_cox
from learn_assets.statistics.discrimination import FloatVector, Interval, OneClassError
from learn_assets.statistics.logistic import fit_logistic
from learn_assets.statistics.logistic_line import SeparationError
from learn_assets.statistics.survival_curves import (
    CENSORED,
    DEATH,
    EVENT,
    FollowUp,
    cumulative_incidence,
)

POPULATIONS = ("all", "progressed")

_STATUS = {"censored": CENSORED, "event": EVENT, "death": DEATH}
_REFERENCE_DECILES = 5


@dataclass(frozen=True)
class SevereOutcomeTables:
    """Lake tables of one cell, as the contracts of `schemas` describe them.

    scores: patient_id, feature_set, learner, probability; one out-of-fold score a patient and
    model. charlson: patient_id and `index`, the comorbidity index to adjust for.
    """

    follow_up: pl.DataFrame
    cohort: pl.DataFrame
    scores: pl.DataFrame
    charlson: pl.DataFrame


@dataclass(frozen=True)
class OutcomeOptions:
    """Horizon and steps of the curves in days, number of score groups, and the smallest cell."""

    horizon_days: int
    minimum_cell: int
    groups: int = 4
    step_days: int = 90

    @property
    def curve_days(self) -> tuple[int, ...]:
        """Days at which incidence is reported; the horizon is the last."""
        return (*range(self.step_days, self.horizon_days, self.step_days), self.horizon_days)


@dataclass(frozen=True)
class _Population:
    """Patients of one analysis, row by row: logit of the score, follow-up, covariates (n, k)."""

    prevalent: int
    score: FloatVector
    follow_up: FollowUp
    covariates: npt.NDArray[np.float64]


@dataclass
class _Disclosed:
    """Counts shown so far of each measure: a further one must not differ from them by a few."""

    minimum_cell: int
    seen: dict[str, set[int]] = field(default_factory=dict)

    def allows(self, measure: str, count: int) -> bool:
        """Return whether a count can be shown, and remember it when it can."""
        before = self.seen.setdefault(measure, set())
        near = [abs(count - other) for other in before if count != other]
        if any(shown(gap, self.minimum_cell).value is None for gap in near):
            return False
        before.add(count)
        return True


def severe_outcome_estimates(
    tables: SevereOutcomeTables, outcomes: Sequence[str], options: OutcomeOptions
) -> pl.DataFrame:
    """Return estimates by outcome, population and model (table `severe_outcome_evaluation`).

    Populations: `all` scored patients, and those who `progressed` to the study's outcome. Score
    groups and deciles are cut inside the population, ties kept together. Metrics: counts
    (`patients`, `prevalent`, `events`, `deaths`); `cumulative_incidence` by group (1 lowest) and
    day; `hazard_ratio_per_sd` of the logit of the score, `_adjusted` for age, sex and Charlson
    index; `hazard_ratio_per_decile` and `hazard_ratio_decile` against the lower half;
    `odds_ratio_top_decile` of the outcome within the horizon. What cannot be estimated or shown has
    an empty estimate and a reason.
    """
    rows: list[dict[str, object]] = []
    patients = _patients(tables)
    models = tables.scores.select("feature_set", "learner").unique().sort(pl.all())
    for outcome in outcomes:
        followed = tables.follow_up.filter(pl.col("outcome") == outcome)
        disclosed = _Disclosed(options.minimum_cell)
        for population in POPULATIONS:
            chosen = patients if population == "all" else patients.filter("progressed")
            for feature_set, learner in models.iter_rows():
                scores = tables.scores.filter(feature_set=feature_set, learner=learner)
                members = _population(chosen, followed, scores)
                names = {"feature_set": feature_set, "learner": learner}
                place = {"outcome": outcome, "population": population, **names}
                rows += [
                    {**place, **estimate.row}
                    for estimate in _estimates(members, options, disclosed)
                ]
    return pl.DataFrame(rows, schema=empty_frame("severe_outcome_evaluation").schema)


def _patients(tables: SevereOutcomeTables) -> pl.DataFrame:
    charlson = tables.charlson.select("patient_id", pl.col("index").cast(pl.Float64))
    return tables.cohort.select(
        "patient_id",
        pl.col("age_at_index").cast(pl.Float64).fill_null(pl.col("age_at_index").median()),
        (pl.col("sex") == "M").cast(pl.Float64).alias("male"),
        (pl.col("sex") == "U").cast(pl.Float64).alias("sex_unknown"),
        pl.col("event_observed").alias("progressed"),
    ).join(charlson, on="patient_id")


def _population(
    patients: pl.DataFrame, followed: pl.DataFrame, scores: pl.DataFrame
) -> _Population:
    joined = (
        scores.select("patient_id", "probability")
        .join(patients, on="patient_id")
        .join(followed, on="patient_id")
        .sort("patient_id")
    )
    at_risk = joined.filter(~pl.col("prevalent"))
    status = at_risk["status"].replace_strict(_STATUS, return_dtype=pl.Int64)
    covariates = at_risk.select("age_at_index", "male", "sex_unknown", "index").to_numpy()
    return _Population(
        prevalent=joined.height - at_risk.height,
        score=logits(at_risk["probability"].to_numpy().astype(np.float64)),
        follow_up=FollowUp(at_risk["days"].to_numpy().astype(np.float64), status.to_numpy()),
        covariates=covariates.astype(np.float64),
    )


def _estimates(
    members: _Population, options: OutcomeOptions, disclosed: _Disclosed
) -> Iterator[Estimate]:
    minimum, follow_up = options.minimum_cell, members.follow_up
    yield from _counts(members, disclosed)
    if min(follow_up.events, len(follow_up) - follow_up.events) < max(1, minimum):
        reason = f"fewer than {minimum} patients with the outcome, or without it"
        for metric in ("cumulative_incidence", "hazard_ratio_per_sd", "odds_ratio_top_decile"):
            yield Estimate(metric, None, reason=reason)
        return
    yield from _incidence(members, options)
    yield from _hazard_ratios(members)
    yield from _by_decile(members, minimum)
    yield from _odds_ratios(members, options)


def _counts(members: _Population, disclosed: _Disclosed) -> Iterator[Estimate]:
    follow_up, minimum = members.follow_up, disclosed.minimum_cell
    rest = len(follow_up) - follow_up.events - follow_up.deaths
    whole = shown_parts([len(follow_up), members.prevalent], minimum)
    ends = shown_parts([follow_up.events, follow_up.deaths, rest], minimum)
    parts = zip(("patients", "prevalent", "events", "deaths"), (*whole, *ends[:2]), strict=True)
    for metric, part in parts:
        told = part.value is not None and disclosed.allows(metric, part.value)
        reason = None if told else "withheld: a small count could be worked out"
        yield Estimate(metric, float(part.value) if told and part.value is not None else None,
                        reason=reason)  # fmt: skip


def _incidence(members: _Population, options: OutcomeOptions) -> Iterator[Estimate]:
    groups = score_groups(members.score, options.groups)
    parts = [members.follow_up.rows(groups == group) for group in range(1, options.groups + 1)]
    events = [part.events for part in parts]
    visible = shown_parts(events, options.minimum_cell)
    for group, (part, count) in enumerate(zip(parts, visible, strict=True), start=1):
        if count.value is None or not len(part):
            reason = f"fewer than {options.minimum_cell} patients with the outcome in a group"
            yield Estimate("cumulative_incidence", None, group=group, reason=reason)
            continue
        curve = cumulative_incidence(part, options.curve_days)
        for day, value in zip(options.curve_days, curve, strict=True):
            if shown(part.events_by(day), options.minimum_cell).value is None:
                continue
            yield Estimate("cumulative_incidence", value, day, group)


def _hazard_ratios(members: _Population) -> Iterator[Estimate]:
    standard = _standardized(members.score)
    covariates = _varying(members.covariates)
    yield _hazard_ratio("hazard_ratio_per_sd", standard[:, None], members.follow_up)
    adjusted = np.column_stack([standard, covariates])
    yield _hazard_ratio("hazard_ratio_per_sd_adjusted", adjusted, members.follow_up)
    decile = score_groups(members.score, 10).astype(np.float64)
    yield _hazard_ratio("hazard_ratio_per_decile", decile[:, None], members.follow_up)


def _by_decile(members: _Population, minimum: int) -> Iterator[Estimate]:
    """Yield the hazard ratio of each upper decile against the lower half.

    The lowest decile alone would be the usual reference, but hardly anyone in it has the outcome.
    """
    decile = score_groups(members.score, 10)
    lower = decile <= _REFERENCE_DECILES
    upper = range(_REFERENCE_DECILES + 1, 11)
    happened = members.follow_up.status == EVENT
    events = [int((happened & lower).sum())]
    events += [int((happened & (decile == number)).sum()) for number in upper]
    visible = shown_parts(events, minimum)
    for number, part in zip(upper, visible[1:], strict=True):
        if not (part.value and visible[0].value):
            reason = f"fewer than {minimum} patients with the outcome in the decile or lower half"
            yield Estimate("hazard_ratio_decile", None, group=number, reason=reason)
            continue
        rows = lower | (decile == number)
        yield _hazard_ratio(
            "hazard_ratio_decile",
            (decile[rows] == number).astype(np.float64)[:, None],
            members.follow_up.rows(rows),
            number,
        )


def _odds_ratios(members: _Population, options: OutcomeOptions) -> Iterator[Estimate]:
    """Yield odds ratios of the top decile; whoever is censored before the horizon tells nothing."""
    follow_up, horizon = members.follow_up, options.horizon_days
    happened = (follow_up.status == EVENT) & (follow_up.days <= horizon)
    known = happened | (follow_up.days > horizon) | (follow_up.status == DEATH)
    top = (score_groups(members.score, 10) == 10)[known]
    labels = happened[known].astype(np.int64)
    cells = [int((top == side)[labels == label].sum()) for side in (0, 1) for label in (0, 1)]
    names = ("odds_ratio_top_decile", "odds_ratio_top_decile_adjusted")
    if any(shown(cell, options.minimum_cell).value is None for cell in cells):
        for name in names:
            reason = f"fewer than {options.minimum_cell} patients in a cell"
            yield Estimate(name, None, horizon_days=horizon, reason=reason)
        return
    covariates = _varying(members.covariates[known])
    designs = (top.astype(np.float64)[:, None], np.column_stack([top, covariates]))
    for name, design in zip(names, designs, strict=True):
        yield _attempt(name, partial(_odds_ratio, design, labels), None, horizon)


def _odds_ratio(design: npt.NDArray[np.float64], labels: npt.NDArray[np.int64]) -> Interval:
    return fit_logistic(design, labels).odds_ratio(0)


def _hazard_ratio(
    metric: str, design: npt.NDArray[np.float64], follow_up: FollowUp, group: int | None = None
) -> Estimate:
    return _attempt(metric, lambda: fit_cox(design, follow_up).hazard_ratio(0), group)


def _attempt(
    metric: str,
    measure: Callable[[], Interval],
    group: int | None = None,
    horizon_days: int | None = None,
) -> Estimate:
    try:
        return Estimate(metric, measure(), horizon_days, group)
    except (CoxError, SeparationError, OneClassError) as error:
        return Estimate(metric, None, horizon_days, group, str(error))


def _standardized(values: FloatVector) -> FloatVector:
    spread = values.std()
    return np.asarray((values - values.mean()) / spread if spread > 0 else values * 0.0)


def _varying(covariates: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return covariates[:, covariates.std(axis=0) > 1e-12]
