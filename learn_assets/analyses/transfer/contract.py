"""Contracts of other sites' models here, and of how the sites differ."""

from __future__ import annotations

import pandera.polars as pa
import polars as pl

from learn_assets.schemas.declared import TRANSFER, Declared
from learn_assets.schemas.estimates import FEATURE_SET, LEARNER, LOWER, UPPER
from learn_assets.schemas.records import Table


class ExternalValidation(Table):
    """Performance of other sites' models on this site's labeled patients, by way of use."""

    model: str = pa.Field(description="Name of the external model in the study.")
    mode: str = pa.Field(
        isin=["own", "as_is", "recalibrated_intercept", "recalibrated_slope", "refitted"],
        description="How it is used; `own` is this site's own model on the same patients.",
    )
    feature_set: str = pa.Field(description=FEATURE_SET)
    learner: str = pa.Field(description=LEARNER)
    metric: str = pa.Field(description="Metric; `..._minus_own` is a paired difference.")
    bin: pl.Int32 = pa.Field(
        nullable=True,
        ge=1,
        description="Of `predicted_risk` and `observed_share`: group by rising predicted risk.",
    )
    estimate: pl.Float64 = pa.Field(nullable=True, description="Value; empty when undefined.")
    lower: pl.Float64 = pa.Field(nullable=True, description=LOWER)
    upper: pl.Float64 = pa.Field(nullable=True, description=UPPER)
    not_external: str = pa.Field(
        nullable=True,
        description="How the model is known to have learned from patients here; else empty.",
    )


class SiteDifferences(Table):
    """Features of other sites' models that are unknown here, and how patients differ."""

    model: str = pa.Field(description="Name of the external model in the study.")
    aspect: str = pa.Field(
        isin=["features_found", "features_not_in_model", "case_mix", "count_feature"],
        description="What is compared.",
    )
    name: str = pa.Field(description="Kind and code system, variable, or feature.")
    source: pl.Float64 = pa.Field(description="Features or mean at the model's site.")
    here: pl.Float64 = pa.Field(description="Features or mean at this site.")
    standardized_difference: pl.Float64 = pa.Field(
        nullable=True, description="(here - source) / pooled standard deviation."
    )


TABLES = {
    "external_validation": Declared(TRANSFER, ExternalValidation, in_report=True),
    "site_differences": Declared(TRANSFER, SiteDifferences, in_report=True),
}
