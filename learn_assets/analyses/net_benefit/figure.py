"""Decision curves of a cell: the points that may be shown, and their drawing as SVG."""

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
    dashes_of,
    draw,
    marker_of,
)
from learn_assets.reporting.labels import feature_set_label, feature_set_rank

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class DecisionPoint:
    """Net benefit of acting from a risk on, with its limits."""

    threshold: float
    net_benefit: float
    lower: float
    upper: float


@dataclass(frozen=True)
class DecisionCurve:
    """Points of one model that may be shown, and acting on everyone as (threshold, net benefit)."""

    feature_set: str
    learner: str
    points: tuple[DecisionPoint, ...]
    everyone: tuple[tuple[float, float], ...]


def decision_curves(net_benefit: pl.DataFrame, learner: str) -> tuple[DecisionCurve, ...]:
    """Return the curves of one learner and of the age and sex baseline, simplest features first."""
    chosen = net_benefit.filter(
        (pl.col("learner") == learner) | (pl.col("feature_set") == "age_sex"),
        pl.col("threshold").is_not_null(),
    ).sort("threshold")
    curves = []
    for (feature_set, name), model in chosen.group_by(
        "feature_set", "learner", maintain_order=True
    ):
        shown = model.drop_nulls("net_benefit").select("threshold", "net_benefit", "lower", "upper")
        everyone = model.select("threshold", "net_benefit_of_all")
        curves.append(
            DecisionCurve(
                str(feature_set),
                str(name),
                tuple(DecisionPoint(*row) for row in shown.iter_rows()),
                tuple(everyone.iter_rows()),
            )
        )
    return tuple(sorted(curves, key=lambda curve: feature_set_rank(curve.feature_set)))


def decision_curve(curves: Sequence[DecisionCurve], identifier: str) -> SvgFigure | None:
    """Return net benefit by threshold with acting on everyone and no one; None without points.

    The band is the 95 % interval of the last curve, that of the richest features.
    """
    drawn = [curve for curve in curves if curve.points]
    if not drawn:
        return None
    words = (f"{feature_set_label(curve.feature_set)}: {_best_words(curve)}" for curve in drawn)
    return draw(
        identifier,
        "Decision curves: net benefit by threshold",
        "; ".join(words),
        4.0,
        lambda figure: _decision_curve(figure, drawn),
    )


def _best_words(curve: DecisionCurve) -> str:
    best = max(curve.points, key=lambda point: point.net_benefit)
    return f"at most {best.net_benefit:.3f}, at threshold {best.threshold:.2f}"


def _decision_curve(figure: Figure, curves: Sequence[DecisionCurve]) -> None:
    axes = figure.add_subplot()
    thresholds, everyone = zip(*curves[-1].everyone, strict=True)
    axes.axhline(0.0, color=INK, linewidth=1.0, label="Act on no one")
    axes.plot(thresholds, everyone, color=QUIET, linewidth=1.2, ls=(0, (4, 2)), label="Act on all")
    last = curves[-1]
    axes.fill_between(
        [point.threshold for point in last.points],
        [point.lower for point in last.points],
        [point.upper for point in last.points],
        color=color_of(last.feature_set),
        alpha=0.15,
        linewidth=0,
    )
    for curve in curves:
        axes.plot(
            [point.threshold for point in curve.points],
            [point.net_benefit for point in curve.points],
            color=color_of(curve.feature_set),
            linestyle=dashes_of(curve.feature_set),
            linewidth=1.6,
            marker=marker_of(curve.feature_set),
            ms=4,
            label=feature_set_label(curve.feature_set),
        )
    highest = max(*everyone, *(point.upper for point in last.points))
    axes.set_ylim(-0.12 * highest, 1.08 * highest)
    # Past the last risk anybody has by the richest features every line is 0, or withheld.
    axes.set_xlim(thresholds[0], last.points[-1].threshold)
    axes.grid()
    axes.set_xlabel("Risk from which somebody would act")
    axes.set_ylabel("Net benefit (true positives a patient)")
    axes.legend(loc="upper right")
