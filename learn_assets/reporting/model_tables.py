"""Model tables: estimates of models as Markdown, for terminal and UI."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from learn_assets.reporting.markdown import markdown_table

MODEL = ["feature_set", "learner"]
_COUNTS = ("n", "cases")


def by_model(table: pl.DataFrame, keys: list[str], metrics: Sequence[str]) -> str:
    """Return one row a place, such as a model, and a column a metric, as Markdown."""
    rows = []
    for place, group in table.group_by(keys, maintain_order=True):
        found = {row["metric"]: row for row in group.iter_rows(named=True)}
        told = (
            _count(found.get(name)) if name in _COUNTS else shown(found.get(name), "estimate")
            for name in metrics
        )
        rows.append([*map(str, place), *told])
    heads = [name.replace("_", " ") for name in (*keys, *metrics)]
    return markdown_table(heads, rows)


def shown(row: Mapping[str, Any] | None, value: str) -> str:
    """Return a value of a row with its limits, a dash where there is none."""
    if row is None or row[value] is None:
        return "-"
    if row["lower"] is None or row["upper"] is None:
        return number(row[value])
    return f"{row[value]:.3f} ({row['lower']:.3f} to {row['upper']:.3f})"


def number(value: float | None) -> str:
    """Return a number to three digits, a dash where there is none."""
    return "-" if value is None else f"{value:.3f}"


def _count(row: Mapping[str, Any] | None) -> str:
    return "-" if row is None or row["estimate"] is None else f"{row['estimate']:,.0f}"
