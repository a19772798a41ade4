"""Contract of the table about the quality of a site's data."""

from __future__ import annotations

import pandera.polars as pa
import polars as pl

from learn_assets.schemas.records import Table


class DataQuality(Table):
    """What is expected of the data as a whole, what was found, and what failed."""

    name: str = pa.Field(unique=True, description="Expectation, as a study names it.")
    category: str = pa.Field(
        isin=["conformance", "completeness", "plausibility"],
        description="Category of Kahn et al. 2016.",
    )
    subcategory: str = pa.Field(nullable=True, description="Subcategory; completeness has none.")
    table: str = pa.Field(description="Table it is about.")
    measure: str = pa.Field(description="What is measured.")
    unit: str = pa.Field(isin=["share", "number"], description="Share of 1, or a number.")
    bound: str = pa.Field(isin=["at_least", "at_most"], description="Side that passes.")
    threshold: pl.Float64 = pa.Field(ge=0, description="Limit that still passes.")
    value: pl.Float64 = pa.Field(
        nullable=True, ge=0, description="Found; empty when masked or not judged."
    )
    shown: str = pa.Field(description="Found, in words that may be shown.")
    records: pl.Int64 = pa.Field(
        nullable=True, ge=100, description="Records or patients behind it, to the nearest hundred."
    )
    severity: str = pa.Field(isin=["warn", "error"], description="What failing means.")
    passed: bool = pa.Field(nullable=True, description="Whether it holds; empty: not judged.")
    detail: str = pa.Field(nullable=True, description="Which months, or why it is not judged.")
