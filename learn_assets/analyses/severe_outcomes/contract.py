"""Contract of severe outcomes by score."""

from __future__ import annotations

import pandera.polars as pa
import polars as pl

from learn_assets.schemas.declared import RISK_MODELS, Declared
from learn_assets.schemas.estimates import FEATURE_SET, LEARNER, LOWER, UPPER
from learn_assets.schemas.records import Table

_ESTIMATE = "Value; empty: see the reason."
_REASON = "Why there is no estimate."


class SevereOutcomeEstimates(Table):
    """Severe outcomes against the score: incidence, hazard ratios, odds ratios."""

    outcome: str = pa.Field(description="Name of the severe outcome.")
    population: str = pa.Field(isin=["all", "progressed"], description="Who is analyzed.")
    feature_set: str = pa.Field(description=FEATURE_SET)
    learner: str = pa.Field(description=LEARNER)
    metric: str = pa.Field(description="Name of the measure.")
    group: pl.Int32 = pa.Field(nullable=True, ge=1, description="Score group or decile.")
    horizon_days: pl.Int32 = pa.Field(nullable=True, description="Days after the index date.")
    estimate: pl.Float64 = pa.Field(nullable=True, description=_ESTIMATE)
    lower: pl.Float64 = pa.Field(nullable=True, description=LOWER)
    upper: pl.Float64 = pa.Field(nullable=True, description=UPPER)
    reason: str = pa.Field(nullable=True, description=_REASON)


TABLES = {
    "nephritis_evaluation": Declared(RISK_MODELS, SevereOutcomeEstimates, in_report=True),
    "severe_outcome_evaluation": Declared(RISK_MODELS, SevereOutcomeEstimates, in_report=True),
}
