"""Contracts of the tables about outcomes over time: risks, severe outcomes, genetics."""

from __future__ import annotations

import pandera.polars as pa
import polars as pl

from learn_assets.schemas.records import Table

_ESTIMATE = "Value; empty: see the reason."
_LOWER = "Lower end of the 95 % interval."
_UPPER = "Upper end of the 95 % interval."
_REASON = "Why there is no estimate."


class TimeToEventScores(Table):
    """Out-of-fold risk of the outcome by the window's follow-up period, of everyone eligible."""

    patient_id: str = pa.Field(description="Person.")
    fold: pl.Int32 = pa.Field(ge=0, description="Fold that held the patient out.")
    feature_set: str = pa.Field(description="Feature set.")
    learner: str = pa.Field(description="Survival learner.")
    probability: pl.Float64 = pa.Field(ge=0, le=1, description="Risk, death competing.")
    days: pl.Float64 = pa.Field(gt=0, description="Days from the index date to the end.")
    status: pl.Int64 = pa.Field(isin=[0, 1, 2], description="0 censored, 1 outcome, 2 death.")


class TimeToEventPerformance(Table):
    """Concordance, AUC, Brier score and calibration of the time-to-event risks."""

    feature_set: str = pa.Field(description="Feature set.")
    learner: str = pa.Field(description="Learner.")
    metric: str = pa.Field(description="Name of the measure.")
    group: pl.Int32 = pa.Field(nullable=True, ge=1, description="Group of predicted risk.")
    horizon_days: pl.Int32 = pa.Field(nullable=True, description="Days after the index date.")
    estimate: pl.Float64 = pa.Field(nullable=True, description=_ESTIMATE)
    lower: pl.Float64 = pa.Field(nullable=True, description=_LOWER)
    upper: pl.Float64 = pa.Field(nullable=True, description=_UPPER)
    reason: str = pa.Field(nullable=True, description=_REASON)


class SevereOutcomeEstimates(Table):
    """Severe outcomes against the score: incidence, hazard ratios, odds ratios."""

    outcome: str = pa.Field(description="Name of the severe outcome.")
    population: str = pa.Field(isin=["all", "progressed"], description="Who is analyzed.")
    feature_set: str = pa.Field(description="Feature set.")
    learner: str = pa.Field(description="Learner.")
    metric: str = pa.Field(description="Name of the measure.")
    group: pl.Int32 = pa.Field(nullable=True, ge=1, description="Score group or decile.")
    horizon_days: pl.Int32 = pa.Field(nullable=True, description="Days after the index date.")
    estimate: pl.Float64 = pa.Field(nullable=True, description=_ESTIMATE)
    lower: pl.Float64 = pa.Field(nullable=True, description=_LOWER)
    upper: pl.Float64 = pa.Field(nullable=True, description=_UPPER)
    reason: str = pa.Field(nullable=True, description=_REASON)


class GeneticStratification(Table):
    """What a genetic score adds to the clinical one; empty without a genetic score."""

    feature_set: str = pa.Field(description="Feature set.")
    learner: str = pa.Field(description="Learner.")
    metric: str = pa.Field(description="Name of the measure.")
    score_group: pl.Int32 = pa.Field(nullable=True, ge=1, description="Third of the score.")
    genetic_group: pl.Int32 = pa.Field(nullable=True, ge=1, description="Genetic third.")
    estimate: pl.Float64 = pa.Field(nullable=True, description=_ESTIMATE)
    lower: pl.Float64 = pa.Field(nullable=True, description=_LOWER)
    upper: pl.Float64 = pa.Field(nullable=True, description=_UPPER)
    reason: str = pa.Field(nullable=True, description=_REASON)
