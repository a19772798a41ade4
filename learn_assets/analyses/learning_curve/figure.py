"""Learning curves of a cell as SVG."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import polars as pl

from learn_assets.reporting.figures import (
    QUIET,
    SvgFigure,
    color_of,
    dashes_of,
    draw,
    marker_of,
)
from learn_assets.reporting.labels import feature_set_label, learner_label
from learn_assets.reporting.sections.long_tables import ranked_feature_sets

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def learning_curves(table: pl.DataFrame, learner: str, identifier: str) -> SvgFigure | None:
    """Return AUROC by number of training patients of one learner, a line a feature set.

    table: `learning_curve`. None when the learner has fewer than two sizes.
    """
    drawn = table.filter(pl.col("learner") == learner)
    if drawn["training_patients"].n_unique() < 2:
        return None
    feature_sets = ranked_feature_sets(drawn)
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
