"""Contract of the repeated cross-validation."""

from __future__ import annotations

import pandera.polars as pa
import polars as pl

from learn_assets.schemas.declared import SENSITIVITY, Declared
from learn_assets.schemas.estimates import FEATURE_SET, LEARNER, LOWER, UPPER
from learn_assets.schemas.records import Table


class RepeatedCrossValidation(Table):
    """AUROC of each cross-validation and over all of them, which differ in their folds."""

    feature_set: str = pa.Field(description=FEATURE_SET)
    learner: str = pa.Field(description=LEARNER)
    repeat: pl.Int32 = pa.Field(nullable=True, ge=1, description="Empty: over all repeats.")
    auroc: pl.Float64 = pa.Field(ge=0, le=1, description="Within folds; over all repeats: mean.")
    lower: pl.Float64 = pa.Field(
        nullable=True, description=f"{LOWER} DeLong; over all repeats: Nadeau and Bengio."
    )
    upper: pl.Float64 = pa.Field(nullable=True, description=UPPER)
    standard_deviation: pl.Float64 = pa.Field(
        nullable=True, ge=0, description="Between repeats; empty for a single repeat."
    )


TABLES = {
    "repeated_cross_validation": Declared(SENSITIVITY, RepeatedCrossValidation, in_report=True),
}
