"""Transfer in words: what other sites' models achieve here, as Markdown for terminal and UI."""

from __future__ import annotations

import polars as pl

from learn_assets.reporting.markdown import markdown_table


def comparison_table(frame: pl.DataFrame) -> str:
    """Return AUROC, calibration and the difference to the own model of each mode, as Markdown.

    Models that learned from patients here are named first, as not external.
    """
    heads = ["model", "used", "features", "learner"]
    heads += ["AUROC", "calibration slope", "AUROC minus own"]
    cells = []
    keys = ["model", "mode", "feature_set", "learner"]
    for place, rows in frame.group_by(keys, maintain_order=True):
        found = {row["metric"]: row for row in rows.iter_rows(named=True)}
        names = ("auroc", "calibration_slope", "auroc_minus_own")
        cells.append([*map(str, place), *(_shown(found.get(name)) for name in names)])
    known = frame.select("model", "not_external").drop_nulls().unique(maintain_order=True)
    labels = [f"NOT EXTERNAL - {model}: {reason}\n" for model, reason in known.iter_rows()]
    return "\n".join([*labels, markdown_table(heads, cells)])


def differences_table(frame: pl.DataFrame) -> str:
    """Return the rows of `site_differences` as Markdown."""
    cells = []
    for row in frame.iter_rows(named=True):
        gap = row["standardized_difference"]
        numbers = [
            f"{row['source']:.4g}",
            f"{row['here']:.4g}",
            "" if gap is None else f"{gap:.2f}",
        ]
        # A feature is named kind|code system|code, and a bar would end the cell.
        name = row["name"].replace("|", " ")
        cells.append([row["model"], row["aspect"], name, *numbers])
    heads = ["model", "aspect", "name", "source", "here", "standardized difference"]
    return markdown_table(heads, cells)


def _shown(row: dict[str, float | None] | None) -> str:
    if row is None or row["estimate"] is None:
        return "-"
    if row["lower"] is None or row["upper"] is None:
        return f"{row['estimate']:.3f}"
    return f"{row['estimate']:.3f} ({row['lower']:.3f} to {row['upper']:.3f})"
