"""Temporal validation in words, for terminal and UI."""

from __future__ import annotations

import polars as pl

from learn_assets.reporting.model_tables import MODEL, by_model

_LATER = ("n", "auroc", "brier", "calibration_intercept", "calibration_slope")


def temporal_table(table: pl.DataFrame) -> str:
    """Return how models of earlier patients do on later ones, as Markdown."""
    return by_model(table, MODEL, _LATER)
