"""Contract of the temporal validation."""

from __future__ import annotations

import pandera.polars as pa
import polars as pl

from learn_assets.schemas.declared import SENSITIVITY, Declared
from learn_assets.schemas.estimates import FEATURE_SET, LEARNER, LOWER, UPPER
from learn_assets.schemas.records import Table

_ESTIMATE = "Value; empty when undefined."


class TemporalValidation(Table):
    """Models of earlier patients on later ones, and who is in either part."""

    cut_date: pl.Date = pa.Field(description="First index date of the later patients.")
    feature_set: str = pa.Field(description=FEATURE_SET)
    learner: str = pa.Field(description=LEARNER)
    metric: str = pa.Field(
        description="As in `performance`, of the later patients; `training_...` and "
        "`left_out_...` are about the earlier ones."
    )
    estimate: pl.Float64 = pa.Field(nullable=True, description=_ESTIMATE)
    lower: pl.Float64 = pa.Field(nullable=True, description=LOWER)
    upper: pl.Float64 = pa.Field(nullable=True, description=UPPER)


TABLES = {
    "temporal_validation": Declared(SENSITIVITY, TemporalValidation, in_report=True),
}
