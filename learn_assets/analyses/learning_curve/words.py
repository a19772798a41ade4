"""Learning curve in words, for terminal and UI."""

from __future__ import annotations

import polars as pl

from learn_assets.reporting.markdown import markdown_table
from learn_assets.reporting.model_tables import shown


def learning_table(table: pl.DataFrame) -> str:
    """Return AUROC by number of training patients, as Markdown."""
    rows = [
        [row["feature_set"], row["learner"], str(row["training_patients"]), shown(row, "auroc")]
        for row in table.iter_rows(named=True)
    ]
    return markdown_table(["features", "learner", "training patients", "AUROC"], rows)
