"""Contracts of the risks over time and of how they do."""

from __future__ import annotations

import pandera.polars as pa
import polars as pl

from learn_assets.schemas.declared import RISK_MODELS, Declared
from learn_assets.schemas.estimates import FEATURE_SET, LEARNER, LOWER, UPPER
from learn_assets.schemas.records import Table

_ESTIMATE = "Value; empty: see the reason."
_REASON = "Why there is no estimate."


class TimeToEventScores(Table):
    """Out-of-fold risk of the outcome by the window's follow-up period, of everyone eligible."""

    patient_id: str = pa.Field(description="Person.")
    fold: pl.Int32 = pa.Field(ge=0, description="Fold that held the patient out.")
    feature_set: str = pa.Field(description=FEATURE_SET)
    learner: str = pa.Field(description="Survival learner.")
    probability: pl.Float64 = pa.Field(ge=0, le=1, description="Risk, death competing.")
    days: pl.Float64 = pa.Field(gt=0, description="Days from the index date to the end.")
    status: pl.Int64 = pa.Field(isin=[0, 1, 2], description="0 censored, 1 outcome, 2 death.")


class TimeToEventPerformance(Table):
    """Concordance, AUC, Brier score and calibration of the time-to-event risks."""

    feature_set: str = pa.Field(description=FEATURE_SET)
    learner: str = pa.Field(description=LEARNER)
    metric: str = pa.Field(description="Name of the measure.")
    group: pl.Int32 = pa.Field(nullable=True, ge=1, description="Group of predicted risk.")
    horizon_days: pl.Int32 = pa.Field(nullable=True, description="Days after the index date.")
    estimate: pl.Float64 = pa.Field(nullable=True, description=_ESTIMATE)
    lower: pl.Float64 = pa.Field(nullable=True, description=LOWER)
    upper: pl.Float64 = pa.Field(nullable=True, description=UPPER)
    reason: str = pa.Field(nullable=True, description=_REASON)


TABLES = {
    "time_to_event_scores": Declared(RISK_MODELS, TimeToEventScores, "metadata"),
    "time_to_event_performance": Declared(RISK_MODELS, TimeToEventPerformance, in_report=True),
}
