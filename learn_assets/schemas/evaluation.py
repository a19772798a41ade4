"""Contracts of the tables that judge and explain models: net benefit, subgroups, explanations."""

from __future__ import annotations

import pandera.polars as pa
import polars as pl

from learn_assets.schemas.records import Table

_LOWER = "Lower end of the 95 % interval."
_UPPER = "Upper end of the 95 % interval."
_REASON = "Why there is no number."


class NetBenefit(Table):
    """Decision curve of each model: net benefit by threshold, against acting on all or none."""

    feature_set: str = pa.Field(description="Feature set.")
    learner: str = pa.Field(description="Learner.")
    threshold: pl.Float64 = pa.Field(
        nullable=True, gt=0, lt=1, description="Risk from which somebody would act."
    )
    net_benefit: pl.Float64 = pa.Field(
        nullable=True, le=1, description="True positives less false ones at the odds, a patient."
    )
    lower: pl.Float64 = pa.Field(nullable=True, description=_LOWER)
    upper: pl.Float64 = pa.Field(nullable=True, description=_UPPER)
    standardized_net_benefit: pl.Float64 = pa.Field(
        nullable=True, le=1, description="Divided by the share of cases: 1 is the best there is."
    )
    net_benefit_of_all: pl.Float64 = pa.Field(
        nullable=True, le=1, description="Of acting on everyone; acting on no one has 0."
    )
    difference: pl.Float64 = pa.Field(
        nullable=True, description="Model less the better of acting on everyone and on no one."
    )
    difference_lower: pl.Float64 = pa.Field(nullable=True, description=_LOWER)
    difference_upper: pl.Float64 = pa.Field(nullable=True, description=_UPPER)
    reason: str = pa.Field(nullable=True, description=_REASON)


class SubgroupPerformance(Table):
    """Performance of models within groups of patients, and differences between groups."""

    feature_set: str = pa.Field(description="Feature set.")
    learner: str = pa.Field(description="Learner.")
    attribute: str = pa.Field(isin=["sex", "age_band", "race"], description="What groups by.")
    group: str = pa.Field(description="Group, race as the site words it.")
    reference: str = pa.Field(
        nullable=True, description="Group subtracted, for `..._difference`; else empty."
    )
    metric: str = pa.Field(description="Name of the metric.")
    estimate: pl.Float64 = pa.Field(nullable=True, description="Value; empty: see the reason.")
    lower: pl.Float64 = pa.Field(nullable=True, description=_LOWER)
    upper: pl.Float64 = pa.Field(nullable=True, description=_UPPER)
    reason: str = pa.Field(nullable=True, description=_REASON)


class Explanations(Table):
    """What models rely on, over all patients held out: features, blocks, past records."""

    feature_set: str = pa.Field(description="Feature set.")
    learner: str = pa.Field(description="Learner.")
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
    lower: pl.Float64 = pa.Field(nullable=True, description=_LOWER)
    upper: pl.Float64 = pa.Field(nullable=True, description=_UPPER)
    direction: pl.Float64 = pa.Field(
        nullable=True, ge=-1, le=1, description="Above 0: it raises the risk; size: how uniformly."
    )
    reason: str = pa.Field(nullable=True, description=_REASON)
