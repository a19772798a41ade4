"""Forest of the treatments of rare cases as SVG."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import polars as pl

from learn_assets.reporting.figures import (
    QUIET,
    SvgFigure,
    color_of,
    draw,
    marker_of,
)
from learn_assets.reporting.labels import feature_set_label, learner_label
from learn_assets.reporting.sections.long_tables import ranked_feature_sets

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TREATMENTS = {"none": "None", "weights": "Weights", "smote": "SMOTE"}
_MEASURES = (
    ("auroc", "AUROC", None),
    ("calibration_intercept", "Calibration\nintercept", 0.0),
    ("calibration_slope", "Calibration\nslope", 1.0),
)
_ROW, _HEAD = 0.26, 0.9


def imbalance_forest(table: pl.DataFrame, learner: str, identifier: str) -> SvgFigure | None:
    """Return AUROC and calibration by treatment of rare cases, of one learner; None without any.

    table: `imbalance_sensitivity`.
    """
    measures = [name for name, _, _ in _MEASURES]
    drawn = table.filter(
        pl.col("learner") == learner,
        pl.col("metric").is_in(measures),
        pl.col("estimate").is_not_null(),
    )
    if drawn.is_empty():
        return None
    feature_sets = ranked_feature_sets(drawn)
    keys = ("metric", "imbalance", "feature_set", "estimate")
    words = (
        f"{feature_set_label(feature_set)}, {treatment}: {metric.replace('_', ' ')} {value:.2f}"
        for metric, treatment, feature_set, value in drawn.select(keys).iter_rows()
    )
    height = _HEAD + _ROW * (len(feature_sets) * (len(TREATMENTS) + 1.4))
    return draw(
        identifier,
        f"Treatment of rare cases, {learner_label(learner)}",
        "; ".join(words),
        height,
        lambda figure: _imbalance_forest(figure, drawn, feature_sets),
    )


def _imbalance_forest(figure: Figure, table: pl.DataFrame, feature_sets: Sequence[str]) -> None:
    panels = figure.subplots(1, len(_MEASURES), sharey=True)
    places: dict[tuple[str, str], float] = {}
    headings: dict[str, float] = {}
    place = 0.0
    for feature_set in feature_sets:
        headings[feature_set] = place
        for treatment in TREATMENTS:
            place += 1.0
            places[feature_set, treatment] = place
        place += 1.4
    for axes, (metric, label, ideal) in zip(panels, _MEASURES, strict=True):
        for row in table.filter(pl.col("metric") == metric).iter_rows(named=True):
            _interval_mark(axes, places[row["feature_set"], row["imbalance"]], row)
        if ideal is not None:
            axes.axvline(ideal, color=QUIET, linewidth=0.8, linestyle=(0, (3, 2)))
        axes.set_xlabel(label)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.grid(axis="x")
    panels[0].set_ylim(place - 0.9, -0.7)
    panels[0].set_yticks(
        [*headings.values(), *places.values()],
        [
            *(feature_set_label(name).split(" (")[0] for name in headings),
            *(TREATMENTS[treatment] for _, treatment in places),
        ],
    )
    for tick, name in zip(panels[0].get_yticklabels(), headings, strict=False):
        tick.set(weight="bold", color=color_of(name))


def _interval_mark(axes: Axes, place: float, row: dict[str, Any]) -> None:
    feature_set = str(row["feature_set"])
    if row["lower"] is not None and row["upper"] is not None:
        axes.plot(
            [row["lower"], row["upper"]], [place, place], color=color_of(feature_set), linewidth=1.6
        )
    axes.plot(
        [row["estimate"]], [place], color=color_of(feature_set), marker=marker_of(feature_set), ms=5
    )
