"""Sensitivity analyses in words: their tables as Markdown, for terminal and UI."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from learn_assets.reporting.markdown import markdown_table

_MODEL = ["feature_set", "learner"]
_LATER = ("n", "auroc", "brier", "calibration_intercept", "calibration_slope")
_COUNTS = ("n", "cases")
_AT_SITES = (
    "n", "cases", "auroc", "auroc_cross_validation", "auroc_minus_cross_validation",
    "brier", "calibration_intercept", "calibration_slope",
)  # fmt: skip
_TREATED = ("auroc", "auroc_minus_none", "brier", "calibration_intercept", "calibration_slope")


def repeats_table(table: pl.DataFrame) -> str:
    """Return mean AUROC over all repeats and the spread between them, as Markdown."""
    over_all = table.filter(pl.col("repeat").is_null())
    rows = [
        [
            row["feature_set"],
            row["learner"],
            _shown(row, "auroc"),
            _number(row["standard_deviation"]),
        ]
        for row in over_all.iter_rows(named=True)
    ]
    return markdown_table(["features", "learner", "mean AUROC", "SD between repeats"], rows)


def temporal_table(table: pl.DataFrame) -> str:
    """Return how models of earlier patients do on later ones, as Markdown."""
    return _by_model(table, _MODEL, _LATER)


def imbalance_table(table: pl.DataFrame) -> str:
    """Return ranks and probabilities by treatment of rare cases, as Markdown."""
    return _by_model(table, ["imbalance", *_MODEL], _TREATED)


def sites_table(table: pl.DataFrame) -> str:
    """Return how models of all other sites do at each one and over all, as Markdown."""
    # A name that the data holder chose must not break the table.
    named = table.with_columns(
        pl.col("care_site").str.replace_all("|", "/", literal=True).fill_null("all together")
    )
    return _by_model(named, [*_MODEL, "care_site"], _AT_SITES)


def learning_table(table: pl.DataFrame) -> str:
    """Return AUROC by number of training patients, as Markdown."""
    rows = [
        [row["feature_set"], row["learner"], str(row["training_patients"]), _shown(row, "auroc")]
        for row in table.iter_rows(named=True)
    ]
    return markdown_table(["features", "learner", "training patients", "AUROC"], rows)


def leaderboard_table(table: pl.DataFrame, model: tuple[str, str]) -> str:
    """Return the cells of one model and the cell that other patients chose, as Markdown."""
    wanted = (pl.col("feature_set") == model[0]) & (pl.col("learner") == model[1])
    rows = [
        [
            "chosen by the others" if row["basis"] == "chosen" else "cell",
            row["window"] or "any",
            row["encoder"] or "any",
            "-" if row["patients"] is None else f"{row['patients']:,}",
            _shown(row, "auroc"),
            "-" if row["times_chosen"] is None else str(row["times_chosen"]),
            _difference(row),
        ]
        for row in table.filter(wanted).iter_rows(named=True)
    ]
    heads = ["", "window", "encoder", "patients", "AUROC", "times chosen", "minus first encoder"]
    return markdown_table(heads, rows)


def _by_model(table: pl.DataFrame, keys: list[str], metrics: Sequence[str]) -> str:
    rows = []
    for place, group in table.group_by(keys, maintain_order=True):
        found = {row["metric"]: row for row in group.iter_rows(named=True)}
        told = (
            _count(found.get(name)) if name in _COUNTS else _shown(found.get(name), "estimate")
            for name in metrics
        )
        rows.append([*map(str, place), *told])
    heads = [name.replace("_", " ") for name in (*keys, *metrics)]
    return markdown_table(heads, rows)


def _shown(row: Mapping[str, Any] | None, value: str) -> str:
    if row is None or row[value] is None:
        return "-"
    if row["lower"] is None or row["upper"] is None:
        return _number(row[value])
    return f"{row[value]:.3f} ({row['lower']:.3f} to {row['upper']:.3f})"


def _difference(row: Mapping[str, Any]) -> str:
    limits = {"lower": row["difference_lower"], "upper": row["difference_upper"]}
    return _shown({"difference": row["difference"], **limits}, "difference")


def _count(row: Mapping[str, Any] | None) -> str:
    return "-" if row is None or row["estimate"] is None else f"{row['estimate']:,.0f}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
