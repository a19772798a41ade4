"""Contract of the learning curve."""

from __future__ import annotations

import pandera.polars as pa
import polars as pl

from learn_assets.schemas.declared import SENSITIVITY, Declared
from learn_assets.schemas.estimates import FEATURE_SET, LEARNER, LOWER, UPPER
from learn_assets.schemas.records import Table


class LearningCurve(Table):
    """AUROC by number of training patients, always on the same held-out folds."""

    feature_set: str = pa.Field(description=FEATURE_SET)
    learner: str = pa.Field(description=LEARNER)
    training_patients: pl.Int64 = pa.Field(ge=1, description="Patients a model learned from.")
    draws: pl.Int32 = pa.Field(ge=1, description="Training sets of that size in each fold.")
    auroc: pl.Float64 = pa.Field(ge=0, le=1, description="Within folds, mean of the draws.")
    lower: pl.Float64 = pa.Field(nullable=True, description=LOWER)
    upper: pl.Float64 = pa.Field(nullable=True, description=UPPER)


TABLES = {
    "learning_curve": Declared(SENSITIVITY, LearningCurve, in_report=True),
}
