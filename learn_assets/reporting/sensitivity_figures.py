"""Sensitivity figures: learning curves, treatments of rare cases and leaderboards as SVG.

What belongs here: drawing, in the style of `figures.py`. What is drawn has passed disclosure
control before.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from learn_assets.reporting.figures import (
    INK,
    QUIET,
    SvgFigure,
    color_of,
    dashes_of,
    draw,
    marker_of,
)
from learn_assets.reporting.labels import feature_set_label, feature_set_rank, learner_label

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_TREATMENTS = {"none": "None", "weights": "Weights", "smote": "SMOTE"}
_IMBALANCE_MEASURES = (
    ("auroc", "AUROC", None),
    ("calibration_intercept", "Calibration\nintercept", 0.0),
    ("calibration_slope", "Calibration\nslope", 1.0),
)
_ROW, _HEAD = 0.26, 0.9
# Names of encoders side by side have room for so many letters.
_LETTERS_BELOW = 48


def learning_curves(table: pl.DataFrame, learner: str, identifier: str) -> SvgFigure | None:
    """Return AUROC by number of training patients of one learner, a line a feature set.

    table: `learning_curve`. None when the learner has fewer than two sizes.
    """
    drawn = table.filter(pl.col("learner") == learner)
    if drawn["training_patients"].n_unique() < 2:
        return None
    feature_sets = _ranked(drawn)
    words = []
    for feature_set in feature_sets:
        points = drawn.filter(pl.col("feature_set") == feature_set).sort("training_patients")
        told = ", ".join(
            f"{size} patients {area:.2f}"
            for size, area in points.select("training_patients", "auroc").iter_rows()
        )
        words.append(f"{feature_set_label(feature_set)}: {told}")
    return draw(
        identifier,
        f"Learning curve, {learner_label(learner)}",
        "; ".join(words),
        4.2,
        lambda figure: _learning_curves(figure, drawn, feature_sets),
    )


def imbalance_forest(table: pl.DataFrame, learner: str, identifier: str) -> SvgFigure | None:
    """Return AUROC and calibration by treatment of rare cases, of one learner; None without any.

    table: `imbalance_sensitivity`.
    """
    measures = [name for name, _, _ in _IMBALANCE_MEASURES]
    drawn = table.filter(
        pl.col("learner") == learner,
        pl.col("metric").is_in(measures),
        pl.col("estimate").is_not_null(),
    )
    if drawn.is_empty():
        return None
    feature_sets = _ranked(drawn)
    keys = ("metric", "imbalance", "feature_set", "estimate")
    words = (
        f"{feature_set_label(feature_set)}, {treatment}: {metric.replace('_', ' ')} {value:.2f}"
        for metric, treatment, feature_set, value in drawn.select(keys).iter_rows()
    )
    height = _HEAD + _ROW * (len(feature_sets) * (len(_TREATMENTS) + 1.4))
    return draw(
        identifier,
        f"Treatment of rare cases, {learner_label(learner)}",
        "; ".join(words),
        height,
        lambda figure: _imbalance_forest(figure, drawn, feature_sets),
    )


def cell_heat_map(
    table: pl.DataFrame, feature_set: str, learner: str, identifier: str
) -> SvgFigure | None:
    """Return AUROC with interval and patients of every cell for one model; None without any.

    table: `window_leaderboard` or `encoder_leaderboard`. Windows are rows, encoders columns.
    """
    cells = table.filter(
        pl.col("basis") == "cell",
        pl.col("feature_set") == feature_set,
        pl.col("learner") == learner,
    )
    if cells.is_empty():
        return None
    windows = cells["window"].unique(maintain_order=True).to_list()
    encoders = cells["encoder"].unique(maintain_order=True).to_list()
    words = (
        f"{row['window']}, {row['encoder']}: {_area_words(row)}, {_patients_words(row)}"
        for row in cells.iter_rows(named=True)
    )
    model = f"{feature_set_label(feature_set)}, {learner_label(learner)}"
    return draw(
        identifier,
        f"AUROC by window and encoder: {model}",
        "; ".join(words),
        1.1 + 0.8 * len(windows),
        lambda figure: _heat_map(figure, cells, windows, encoders),
    )


def _ranked(table: pl.DataFrame) -> list[str]:
    return sorted(
        table["feature_set"].unique().to_list(), key=lambda name: (feature_set_rank(name), name)
    )


def _learning_curves(figure: Figure, table: pl.DataFrame, feature_sets: Sequence[str]) -> None:
    axes = figure.add_subplot()
    for rank, feature_set in enumerate(feature_sets):
        points = table.filter(pl.col("feature_set") == feature_set).sort("training_patients")
        sizes, areas, lower, upper = (
            points[name].cast(pl.Float64).to_numpy()
            for name in ("training_patients", "auroc", "lower", "upper")
        )
        # Intervals at the same size would cover each other: set them apart on the log scale.
        shifted = sizes * 1.035 ** (rank - (len(feature_sets) - 1) / 2)
        color = color_of(feature_set)
        axes.vlines(shifted, lower, upper, color=color, linewidth=1.2, alpha=0.55)
        axes.plot(
            shifted,
            areas,
            color=color,
            linewidth=1.6,
            ms=4.5,
            marker=marker_of(feature_set),
            linestyle=dashes_of(feature_set),
            label=feature_set_label(feature_set),
        )
    axes.axhline(0.5, color=QUIET, linewidth=0.8, linestyle=(0, (3, 2)))
    axes.set_xscale("log", base=2)
    ticks = table["training_patients"].unique().sort().to_list()
    axes.set_xticks(ticks, [str(size) for size in ticks])
    axes.minorticks_off()
    axes.grid()
    axes.set_xlabel("Training patients")
    axes.set_ylabel("AUROC with 95 % interval (dashed: chance)")
    figure.legend(loc="outside lower center", ncols=2)


def _imbalance_forest(figure: Figure, table: pl.DataFrame, feature_sets: Sequence[str]) -> None:
    panels = figure.subplots(1, len(_IMBALANCE_MEASURES), sharey=True)
    places: dict[tuple[str, str], float] = {}
    headings: dict[str, float] = {}
    place = 0.0
    for feature_set in feature_sets:
        headings[feature_set] = place
        for treatment in _TREATMENTS:
            place += 1.0
            places[feature_set, treatment] = place
        place += 1.4
    for axes, (metric, label, ideal) in zip(panels, _IMBALANCE_MEASURES, strict=True):
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
            *(_TREATMENTS[treatment] for _, treatment in places),
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


def _heat_map(
    figure: Figure, cells: pl.DataFrame, windows: Sequence[str], encoders: Sequence[str]
) -> None:
    axes = figure.add_subplot()
    by_place = {(row["window"], row["encoder"]): row for row in cells.iter_rows(named=True)}
    areas = np.full((len(windows), len(encoders)), np.nan)
    for (window, encoder), row in by_place.items():
        areas[windows.index(window), encoders.index(encoder)] = row["auroc"]
    # Drawn as shapes: a picture inside the SVG would be a link that some pages do not load.
    edges = [np.arange(count + 1) - 0.5 for count in areas.shape]
    # Above the cells, whose edges would cover half of a tick.
    axes.set_axisbelow("line")
    axes.pcolormesh(
        edges[1], edges[0], areas, cmap="Blues", vmin=0.5, vmax=1.0, edgecolors="white", linewidth=2
    )
    axes.invert_yaxis()
    size = 8 if len(encoders) < 4 else 7 if len(encoders) < 5 else 6
    for (window, encoder), row in by_place.items():
        place = (encoders.index(encoder), windows.index(window))
        text = "\n".join([*_area_words(row).split(" ", 1), *_patients_words(row).split(", ")])
        # Dark cells need light words.
        color = "white" if row["auroc"] > 0.8 else INK
        axes.text(*place, text, ha="center", va="center", size=size, color=color)
    axes.set_xticks(range(len(encoders)), encoders)
    if max(map(len, encoders)) * len(encoders) > _LETTERS_BELOW:
        axes.tick_params(axis="x", labelrotation=25)
        for label in axes.get_xticklabels():
            label.set(ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(windows)), [window.replace("_", "\n") for window in windows], size=8)
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _area_words(row: dict[str, Any]) -> str:
    if row["lower"] is None or row["upper"] is None:
        return f"{row['auroc']:.2f}"
    return f"{row['auroc']:.2f} [{row['lower']:.2f}, {row['upper']:.2f}]"


def _patients_words(row: dict[str, Any]) -> str:
    if row["patients"] is None:
        return "too few patients"
    cases = "cases not shown" if row["cases"] is None else f"{row['cases']:,} cases"
    return f"{row['patients']:,} patients, {cases}"
