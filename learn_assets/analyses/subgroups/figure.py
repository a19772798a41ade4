"""Forest of subgroups: the rows that a report shows, and their drawing as SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from learn_assets.reporting.figures import (
    INK,
    QUIET,
    SvgFigure,
    color_of,
    draw,
    interval_words,
    marker_of,
    row_axes,
    shortened,
)
from learn_assets.reporting.labels import feature_set_rank

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ROW, _HEAD = 0.27, 0.9
_ATTRIBUTES = {"sex": "Sex", "age_band": "Age at index", "race": "Race"}


@dataclass(frozen=True)
class SubgroupRow:
    """One metric of one group; without an estimate, `reason` says why."""

    feature_set: str
    learner: str
    attribute: str
    group: str
    reference: str | None
    metric: str
    estimate: float | None
    lower: float | None
    upper: float | None
    reason: str | None


def subgroup_rows(subgroup_performance: pl.DataFrame) -> tuple[SubgroupRow, ...]:
    """Return the rows of the table in its order, the simplest feature set first."""
    rows = [SubgroupRow(**row) for row in subgroup_performance.iter_rows(named=True)]
    return tuple(sorted(rows, key=lambda row: feature_set_rank(row.feature_set)))


def subgroup_forest(rows: Sequence[SubgroupRow], identifier: str) -> SvgFigure | None:
    """Return AUROC with its interval in every group of one model; None without an estimate.

    Groups that are withheld, or have no estimate, stand there by name.
    """
    chosen = [row for row in rows if row.metric == "auroc"]
    if not any(row.estimate is not None for row in chosen):
        return None
    attributes = list(dict.fromkeys(row.attribute for row in chosen))
    return draw(
        identifier,
        "AUROC by group",
        "; ".join(f"{row.group}: {_limits_words(row)}" for row in chosen),
        _HEAD + _ROW * (len(chosen) + 1.4 * len(attributes)),
        lambda figure: _forest(figure, chosen, attributes),
    )


def _limits_words(row: SubgroupRow) -> str:
    if row.estimate is None:
        return "withheld" if (row.reason or "").startswith("withheld") else "no estimate"
    return interval_words(row.estimate, row.lower, row.upper)


def _forest(figure: Figure, rows: Sequence[SubgroupRow], attributes: Sequence[str]) -> None:
    from matplotlib.transforms import blended_transform_factory

    axes = figure.add_subplot()
    left_edge = blended_transform_factory(figure.transFigure, axes.transData)
    place, ticks, names = 0.0, [], []
    for attribute in attributes:
        heading = axes.text(0.01, place, _ATTRIBUTES.get(attribute, attribute), transform=left_edge)
        heading.set(va="center", weight="bold", color=INK, in_layout=False)
        place += 1.0
        for row in (row for row in rows if row.attribute == attribute):
            _forest_row(axes, row, place)
            ticks.append(place)
            names.append(shortened(row.group, 26))
            place += 1.0
        place += 0.4
    row_axes(axes, ticks, names, place - 0.7)
    axes.set_xlabel("AUROC with 95 % interval", loc="right")


def _forest_row(axes: Axes, row: SubgroupRow, place: float) -> None:
    color = color_of(row.feature_set)
    if row.estimate is not None:
        if row.lower is not None and row.upper is not None:
            axes.plot([row.lower, row.upper], [place, place], color=color, linewidth=1.6)
        axes.plot([row.estimate], [place], color=color, marker=marker_of(row.feature_set), ms=5.5)
    axes.text(
        1.01,
        place,
        _limits_words(row),
        transform=axes.get_yaxis_transform(),
        ha="left",
        va="center",
        size=8,
        color=INK if row.estimate is not None else QUIET,
    )
