"""Leaderboards in words, for terminal and UI."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from learn_assets.reporting.markdown import markdown_table
from learn_assets.reporting.model_tables import shown


def leaderboard_table(table: pl.DataFrame, model: tuple[str, str]) -> str:
    """Return the cells of one model and the cell that other patients chose, as Markdown."""
    wanted = (pl.col("feature_set") == model[0]) & (pl.col("learner") == model[1])
    rows = [
        [
            "chosen by the others" if row["basis"] == "chosen" else "cell",
            row["window"] or "any",
            row["encoder"] or "any",
            "-" if row["patients"] is None else f"{row['patients']:,}",
            shown(row, "auroc"),
            "-" if row["times_chosen"] is None else str(row["times_chosen"]),
            _difference(row),
        ]
        for row in table.filter(wanted).iter_rows(named=True)
    ]
    heads = ["", "window", "encoder", "patients", "AUROC", "times chosen", "minus first encoder"]
    return markdown_table(heads, rows)


def _difference(row: Mapping[str, Any]) -> str:
    limits = {"lower": row["difference_lower"], "upper": row["difference_upper"]}
    return shown({"difference": row["difference"], **limits}, "difference")
