"""Contract of the treatments of rare cases."""

from __future__ import annotations

import pandera.polars as pa
import polars as pl

from learn_assets.schemas.declared import SENSITIVITY, Declared
from learn_assets.schemas.estimates import FEATURE_SET, LEARNER, LOWER, UPPER
from learn_assets.schemas.records import Table

_ESTIMATE = "Value; empty when undefined."


class ImbalanceSensitivity(Table):
    """What treating rare cases otherwise does to ranks and probabilities, same folds."""

    imbalance: str = pa.Field(isin=["none", "weights", "smote"], description="Treatment.")
    feature_set: str = pa.Field(description=FEATURE_SET)
    learner: str = pa.Field(description=LEARNER)
    metric: str = pa.Field(
        description="As in `performance`; `..._minus_none` is a paired difference."
    )
    estimate: pl.Float64 = pa.Field(nullable=True, description=_ESTIMATE)
    lower: pl.Float64 = pa.Field(nullable=True, description=LOWER)
    upper: pl.Float64 = pa.Field(nullable=True, description=UPPER)


TABLES = {
    "imbalance_sensitivity": Declared(SENSITIVITY, ImbalanceSensitivity, in_report=True),
}
