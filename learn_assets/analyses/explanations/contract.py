"""Contract of what models rely on."""

from __future__ import annotations

import pandera.polars as pa
import polars as pl

from learn_assets.schemas.declared import RISK_MODELS, Declared
from learn_assets.schemas.estimates import FEATURE_SET, LEARNER, LOWER, UPPER
from learn_assets.schemas.records import Table

_REASON = "Why there is no number."


class Explanations(Table):
    """What models rely on, over all patients held out: features, blocks, past records."""

    feature_set: str = pa.Field(description=FEATURE_SET)
    learner: str = pa.Field(description=LEARNER)
    method: str = pa.Field(
        isin=["shap", "permutation", "occlusion"], description="How importance is measured."
    )
    kind: str = pa.Field(description="Kind of record, or `demographics`.")
    subject: str = pa.Field(description="Feature, block of features, or group of past records.")
    words: str = pa.Field(nullable=True, description="The subject in words.")
    metric: str = pa.Field(
        isin=["mean_absolute_log_odds", "auroc_drop", "mean_absolute_change"],
        description="What the estimate is.",
    )
    estimate: pl.Float64 = pa.Field(nullable=True, description="Value; empty: see the reason.")
    lower: pl.Float64 = pa.Field(nullable=True, description=LOWER)
    upper: pl.Float64 = pa.Field(nullable=True, description=UPPER)
    direction: pl.Float64 = pa.Field(
        nullable=True, ge=-1, le=1, description="Above 0: it raises the risk; size: how uniformly."
    )
    reason: str = pa.Field(nullable=True, description=_REASON)


TABLES = {
    "explanations": Declared(RISK_MODELS, Explanations, "metadata", in_report=True),
}
