"""Treatments of rare cases in words, for terminal and UI."""

from __future__ import annotations

import polars as pl

from learn_assets.reporting.model_tables import MODEL, by_model

_TREATED = ("auroc", "auroc_minus_none", "brier", "calibration_intercept", "calibration_slope")


def imbalance_table(table: pl.DataFrame) -> str:
    """Return ranks and probabilities by treatment of rare cases, as Markdown."""
    return by_model(table, ["imbalance", *MODEL], _TREATED)
