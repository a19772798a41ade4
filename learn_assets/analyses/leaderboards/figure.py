"""Heat map of every window and encoder as SVG."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from learn_assets.reporting.figures import (
    INK,
    SvgFigure,
    draw,
)
from learn_assets.reporting.labels import feature_set_label, learner_label

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Names of encoders side by side have room for so many letters.
_LETTERS_BELOW = 48


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
