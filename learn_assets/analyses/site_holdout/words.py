"""Results at sites held out in words, for terminal and UI."""

from __future__ import annotations

import polars as pl

from learn_assets.reporting.model_tables import MODEL, by_model

_AT_SITES = (
    "n", "cases", "auroc", "auroc_cross_validation", "auroc_minus_cross_validation",
    "brier", "calibration_intercept", "calibration_slope",
)  # fmt: skip


def sites_table(table: pl.DataFrame) -> str:
    """Return how models of all other sites do at each one and over all, as Markdown."""
    # A name that the data holder chose must not break the table.
    named = table.with_columns(
        pl.col("care_site").str.replace_all("|", "/", literal=True).fill_null("all together")
    )
    return by_model(named, [*MODEL, "care_site"], _AT_SITES)
