"""Contract of the decision curves."""

from __future__ import annotations

import pandera.polars as pa
import polars as pl

from learn_assets.schemas.declared import RISK_MODELS, Declared
from learn_assets.schemas.estimates import FEATURE_SET, LEARNER, LOWER, UPPER
from learn_assets.schemas.records import Table

_REASON = "Why there is no number."


class NetBenefit(Table):
    """Decision curve of each model: net benefit by threshold, against acting on all or none."""

    feature_set: str = pa.Field(description=FEATURE_SET)
    learner: str = pa.Field(description=LEARNER)
    threshold: pl.Float64 = pa.Field(
        nullable=True, gt=0, lt=1, description="Risk from which somebody would act."
    )
    net_benefit: pl.Float64 = pa.Field(
        nullable=True, le=1, description="True positives less false ones at the odds, a patient."
    )
    lower: pl.Float64 = pa.Field(nullable=True, description=LOWER)
    upper: pl.Float64 = pa.Field(nullable=True, description=UPPER)
    standardized_net_benefit: pl.Float64 = pa.Field(
        nullable=True, le=1, description="Divided by the share of cases: 1 is the best there is."
    )
    net_benefit_of_all: pl.Float64 = pa.Field(
        nullable=True, le=1, description="Of acting on everyone; acting on no one has 0."
    )
    difference: pl.Float64 = pa.Field(
        nullable=True, description="Model less the better of acting on everyone and on no one."
    )
    difference_lower: pl.Float64 = pa.Field(nullable=True, description=LOWER)
    difference_upper: pl.Float64 = pa.Field(nullable=True, description=UPPER)
    reason: str = pa.Field(nullable=True, description=_REASON)


TABLES = {
    "net_benefit": Declared(RISK_MODELS, NetBenefit, in_report=True),
}
