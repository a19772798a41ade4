"""Transfer in words: what other sites' models achieve here, for terminal, UI and programs."""

from __future__ import annotations

from typing import Any

import polars as pl

from learn_assets.reporting.markdown import markdown_table

_MODEL = ("model", "mode", "feature_set", "learner")
_METRICS = ("auroc", "calibration_slope", "auroc_minus_own")
_GAP = "standardized_difference"


def comparison_table(frame: pl.DataFrame) -> str:
    """Return AUROC, calibration and the difference to the own model of each mode, as Markdown.

    Models that learned from patients here are named first, as not external.
    """
    heads = ["model", "used", "features", "learner"]
    heads += ["AUROC", "calibration slope", "AUROC minus own"]
    cells = [
        [*(str(row[name]) for name in _MODEL), *(_shown(row[name]) for name in _METRICS)]
        for row in comparison_rows(frame)
    ]
    known = frame.select("model", "not_external").drop_nulls().unique(maintain_order=True)
    labels = [f"NOT EXTERNAL - {model}: {reason}\n" for model, reason in known.iter_rows()]
    return "\n".join([*labels, markdown_table(heads, cells)])


def differences_table(frame: pl.DataFrame) -> str:
    """Return the rows of `site_differences` as Markdown."""
    cells = []
    for row in differences_rows(frame):
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


def comparison_rows(frame: pl.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of `comparison_table`: a metric with its limits, rounded as it is shown."""
    rows = []
    for place, found in frame.group_by(_MODEL, maintain_order=True):
        metrics = {row["metric"]: row for row in found.iter_rows(named=True)}
        shown = {name: _rounded(metrics.get(name)) for name in _METRICS}
        rows.append(dict(zip(_MODEL, place, strict=True)) | shown)
    return rows


def differences_rows(frame: pl.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of `site_differences`, with numbers rounded as they are shown."""
    return [
        {
            **{name: row[name] for name in ("model", "aspect", "name")},
            **{name: float(f"{row[name]:.4g}") for name in ("source", "here")},
            "standardized_difference": None if (gap := row[_GAP]) is None else round(gap, 2),
        }
        for row in frame.iter_rows(named=True)
    ]


def _rounded(row: dict[str, Any] | None) -> dict[str, float | None] | None:
    if row is None or row["estimate"] is None:
        return None
    limits = (row["lower"], row["upper"]) if None not in (row["lower"], row["upper"]) else ()
    value, *rest = (round(number, 3) for number in (row["estimate"], *limits))
    lower, upper = rest or (None, None)
    return {"value": value, "lower": lower, "upper": upper}


def _shown(metric: dict[str, float | None] | None) -> str:
    if metric is None:
        return "-"
    if metric["lower"] is None:
        return f"{metric['value']:.3f}"
    return "{value:.3f} ({lower:.3f} to {upper:.3f})".format_map(metric)
