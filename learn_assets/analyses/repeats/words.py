"""Repeated cross-validation in words, for terminal and UI."""

from __future__ import annotations

import polars as pl

from learn_assets.reporting.markdown import markdown_table
from learn_assets.reporting.model_tables import number, shown


def repeats_table(table: pl.DataFrame) -> str:
    """Return mean AUROC over all repeats and the spread between them, as Markdown."""
    over_all = table.filter(pl.col("repeat").is_null())
    rows = [
        [
            row["feature_set"],
            row["learner"],
            shown(row, "auroc"),
            number(row["standard_deviation"]),
        ]
        for row in over_all.iter_rows(named=True)
    ]
    return markdown_table(["features", "learner", "mean AUROC", "SD between repeats"], rows)
