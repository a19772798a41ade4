"""Genetics beside the clinical score: added value, risk by genetic group, interaction.

What belongs here: how a genetic score given by the site changes what an out-of-fold score says. It
never enters a model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy.special import ndtr

from learn_assets.disclosure import shown_parts
from learn_assets.evaluation.outcome_estimates import score_groups
from learn_assets.schemas.registry import empty_frame
from learn_assets.statistics import logistic
from learn_assets.statistics.calibration import logits
from learn_assets.statistics.cox import CoxError, fit_cox
from learn_assets.statistics.discrimination import (
    Z95,
    FloatVector,
    Interval,
    OneClassError,
    delong,
    limits_of,
)
from learn_assets.statistics.logistic_line import SeparationError
from learn_assets.statistics.shares import wilson
from learn_assets.statistics.survival_curves import DEATH, EVENT, FollowUp

GROUPS = 3
NO_SCORE = "the study has no genetic score for any patient of the cohort"


@dataclass(frozen=True)
class GeneticStratification:
    """Estimates (table `genetic_stratification`), and why there are none when it is empty."""

    frame: pl.DataFrame
    reason: str | None = None


@dataclass(frozen=True)
class _Estimate:
    metric: str
    value: Interval | float | None
    score_group: int | None = None
    genetic_group: int | None = None
    reason: str | None = None


@dataclass(frozen=True)
class _Typed:
    """Patients with both scores: logit of the clinical one, the genetic one in SD, folds.

    label is 1 case, 0 control, -1 where follow-up cannot tell.
    """

    score: FloatVector
    genetic: FloatVector
    folds: npt.NDArray[np.int64]
    label: npt.NDArray[np.int64]
    follow_up: FollowUp

    def labeled(self) -> _Typed:
        known = self.label >= 0
        return _Typed(
            self.score[known],
            self.genetic[known],
            self.folds[known],
            self.label[known],
            self.follow_up.rows(known),
        )


def genetic_stratification(
    genetic_score: pl.DataFrame,
    scores: pl.DataFrame,
    cohort: pl.DataFrame,
    *,
    minimum_cell: int,
) -> GeneticStratification:
    """Return what the genetic score adds to each model's out-of-fold score.

    genetic_score: patient_id, score. scores: patient_id, fold, feature_set, learner, probability.
    cohort: patient_id, label, time_to_event_days, event_observed, died.

    Metrics, ratios per SD of the genetic score: `odds_ratio_per_sd` alone and `_given_score`;
    `likelihood_ratio_p` of both against the clinical score; `auroc_score`, `auroc_both` (weighted
    by a line fitted in the other folds) and `auroc_gain`, paired DeLong; `risk` of being a case by
    clinical and genetic third; `interaction_odds_ratio` and `interaction_p`;
    `hazard_ratio_per_sd_given_score` of everyone followed. What cannot be estimated or shown has an
    empty estimate and a reason.
    """
    typed = cohort.join(
        genetic_score.select("patient_id", pl.col("score").alias("genetic")), on="patient_id"
    )
    if typed.is_empty() or scores.is_empty():
        reason = NO_SCORE if typed.is_empty() else "no model has out-of-fold scores"
        return GeneticStratification(empty_frame("genetic_stratification"), reason)
    rows: list[dict[str, object]] = []
    for feature_set, learner in (
        scores.select("feature_set", "learner").unique().sort(pl.all()).iter_rows()
    ):
        own = scores.filter(feature_set=feature_set, learner=learner)
        members = _members(own, typed)
        scored = own.join(cohort.filter(pl.col("label").is_not_null()), on="patient_id").height
        place = {"feature_set": feature_set, "learner": learner}
        rows += [{**place, **_row(item)} for item in _estimates(members, scored, minimum_cell)]
    return GeneticStratification(
        pl.DataFrame(rows, schema=empty_frame("genetic_stratification").schema)
    )


def _members(scores: pl.DataFrame, typed: pl.DataFrame) -> _Typed:
    joined = scores.select("patient_id", "fold", "probability").join(typed, on="patient_id")
    joined = joined.sort("patient_id")
    genetic = joined["genetic"].to_numpy().astype(np.float64)
    spread = genetic.std() if len(genetic) else 0.0
    status = (
        pl.when(pl.col("event_observed")).then(EVENT).when(pl.col("died")).then(DEATH).otherwise(0)
    )
    return _Typed(
        score=logits(joined["probability"].to_numpy().astype(np.float64)),
        genetic=(genetic - genetic.mean()) / spread if spread > 0 else genetic * 0.0,
        folds=joined["fold"].to_numpy().astype(np.int64),
        label=joined["label"].fill_null(-1).to_numpy().astype(np.int64),
        follow_up=FollowUp(
            joined["time_to_event_days"].to_numpy().astype(np.float64),
            joined.select(status.alias("status"))["status"].to_numpy().astype(np.int64),
        ),
    )


def _estimates(everyone: _Typed, scored: int, minimum_cell: int) -> Iterator[_Estimate]:
    members = everyone.labeled()
    cases = int(members.label.sum())
    if min(cases, len(members.label) - cases) < max(1, minimum_cell):
        reason = f"fewer than {minimum_cell} cases or controls with a genetic score"
        yield _Estimate("odds_ratio_per_sd_given_score", None, reason=reason)
        return
    if shown_parts([cases, len(members.label) - cases, scored - len(members.label)], minimum_cell)[
        0
    ].value:
        yield _Estimate("patients", float(len(members.label)))
        yield _Estimate("cases", float(cases))
    yield from _odds(members)
    yield from _gain(members)
    yield from _risk(members, minimum_cell)
    both = np.column_stack([everyone.genetic, everyone.score])
    yield _attempt(
        "hazard_ratio_per_sd_given_score",
        lambda: fit_cox(both, everyone.follow_up).hazard_ratio(0),
    )


def _odds(members: _Typed) -> Iterator[_Estimate]:
    score, genetic, label = members.score, members.genetic, members.label
    product = (score - score.mean()) * genetic
    designs = {
        "genetic": genetic[:, None],
        "score": score[:, None],
        "both": np.column_stack([genetic, score]),
        "interaction": np.column_stack([genetic, score, product]),
    }

    def fit(name: str) -> logistic.LogisticFit:
        return logistic.fit_logistic(designs[name], label)

    def tested(larger: str, smaller: str) -> float:
        return logistic.likelihood_ratio_p(fit(larger), fit(smaller))

    yield _attempt("odds_ratio_per_sd", lambda: fit("genetic").odds_ratio(0))
    yield _attempt("odds_ratio_per_sd_given_score", lambda: fit("both").odds_ratio(0))
    yield _attempt("likelihood_ratio_p", lambda: tested("both", "score"))
    yield _attempt("interaction_odds_ratio", lambda: fit("interaction").odds_ratio(2))
    yield _attempt("interaction_p", lambda: tested("interaction", "both"))


def _gain(members: _Typed) -> Iterator[_Estimate]:
    """Yield AUROC with and without genetics, and their paired difference, within folds."""
    names = ("auroc_score", "auroc_both", "auroc_gain")
    try:
        result = delong(np.stack([members.score, _combined(members)]), members.label, members.folds)
    except (OneClassError, SeparationError) as error:
        yield from (_Estimate(name, None, reason=str(error)) for name in names)
        return
    contrast = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 1.0]])
    centers = contrast @ result.estimates
    errors = np.sqrt(np.maximum(np.diag(contrast @ result.covariance @ contrast.T), 0.0))
    width = Z95 * errors
    for name, center, half in zip(names, centers, width, strict=True):
        yield _Estimate(name, Interval(float(center), float(center - half), float(center + half)))
    if errors[2] > 0:
        p = 2 * float(ndtr(-abs(centers[2]) / errors[2]))
        yield _Estimate("auroc_gain_p", p)


def _combined(members: _Typed) -> FloatVector:
    """Return score and genetics weighted by a logistic line fitted in the other folds."""
    design = np.column_stack([members.genetic, members.score])
    combined = np.empty(len(members.score))
    for fold in np.unique(members.folds):
        held_out = members.folds == fold
        fitted = logistic.fit_logistic(design[~held_out], members.label[~held_out])
        combined[held_out] = fitted.predict(design[held_out])
    return combined


def _risk(members: _Typed, minimum_cell: int) -> Iterator[_Estimate]:
    """Yield the share of cases by clinical and genetic third, without small cells."""
    clinical = score_groups(members.score, GROUPS)
    genetic = score_groups(members.genetic, GROUPS)
    places = [(a, b) for a in range(1, GROUPS + 1) for b in range(1, GROUPS + 1)]
    inside = [(clinical == a) & (genetic == b) for a, b in places]
    cases = [int(members.label[rows].sum()) for rows in inside]
    controls = [int(rows.sum()) - count for rows, count in zip(inside, cases, strict=True)]
    told = zip(shown_parts(cases, minimum_cell), shown_parts(controls, minimum_cell), strict=True)
    for (a, b), (case, control) in zip(places, told, strict=True):
        if case.value is None or control.value is None or not case.value + control.value:
            reason = f"fewer than {minimum_cell} cases or controls in a cell"
            yield _Estimate("risk", None, a, b, reason)
            continue
        yield _Estimate("risk", wilson(case.value, case.value + control.value), a, b)


def _attempt(metric: str, measure: Callable[[], Interval | float]) -> _Estimate:
    try:
        return _Estimate(metric, measure())
    except (CoxError, SeparationError, OneClassError) as error:
        return _Estimate(metric, None, reason=str(error))


def _row(estimate: _Estimate) -> dict[str, object]:
    return {
        "metric": estimate.metric,
        "score_group": estimate.score_group,
        "genetic_group": estimate.genetic_group,
        **limits_of(estimate.value),
        "reason": estimate.reason,
    }
