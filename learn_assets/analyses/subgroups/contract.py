"""Contract of the performance within groups of patients."""

from __future__ import annotations

import pandera.polars as pa
import polars as pl

from learn_assets.schemas.declared import RISK_MODELS, Declared
from learn_assets.schemas.estimates import FEATURE_SET, LEARNER, LOWER, UPPER
from learn_assets.schemas.records import Table

_REASON = "Why there is no number."


class SubgroupPerformance(Table):
    """Performance of models within groups of patients, and differences between groups."""

    feature_set: str = pa.Field(description=FEATURE_SET)
    learner: str = pa.Field(description=LEARNER)
    attribute: str = pa.Field(isin=["sex", "age_band", "race"], description="What groups by.")
    group: str = pa.Field(description="Group, race as the site words it.")
    reference: str = pa.Field(
        nullable=True, description="Group subtracted, for `..._difference`; else empty."
    )
    metric: str = pa.Field(description="Name of the metric.")
    estimate: pl.Float64 = pa.Field(nullable=True, description="Value; empty: see the reason.")
    lower: pl.Float64 = pa.Field(nullable=True, description=LOWER)
    upper: pl.Float64 = pa.Field(nullable=True, description=UPPER)
    reason: str = pa.Field(nullable=True, description=_REASON)


TABLES = {
    "subgroup_performance": Declared(RISK_MODELS, SubgroupPerformance, in_report=True),
}
