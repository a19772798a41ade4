"""Contract of the genetic score beside the clinical one."""

from __future__ import annotations

import pandera.polars as pa
import polars as pl

from learn_assets.schemas.declared import RISK_MODELS, Declared
from learn_assets.schemas.estimates import FEATURE_SET, LEARNER, LOWER, UPPER
from learn_assets.schemas.records import Table

_ESTIMATE = "Value; empty: see the reason."
_REASON = "Why there is no estimate."


class GeneticStratification(Table):
    """What a genetic score adds to the clinical one; empty without a genetic score."""

    feature_set: str = pa.Field(description=FEATURE_SET)
    learner: str = pa.Field(description=LEARNER)
    metric: str = pa.Field(description="Name of the measure.")
    score_group: pl.Int32 = pa.Field(nullable=True, ge=1, description="Third of the score.")
    genetic_group: pl.Int32 = pa.Field(nullable=True, ge=1, description="Genetic third.")
    estimate: pl.Float64 = pa.Field(nullable=True, description=_ESTIMATE)
    lower: pl.Float64 = pa.Field(nullable=True, description=LOWER)
    upper: pl.Float64 = pa.Field(nullable=True, description=UPPER)
    reason: str = pa.Field(nullable=True, description=_REASON)


TABLES = {
    "genetic_stratification": Declared(RISK_MODELS, GeneticStratification, in_report=True),
}
