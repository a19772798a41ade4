"""Evidence figures: decision curves, forests of subgroups and bars of explanations as SVG.

What belongs here: drawing, in the style of `figures.py`. What is drawn has passed disclosure
control before.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from learn_assets.reporting.evidence import DecisionCurve, ExplanationRow, SubgroupRow
from learn_assets.reporting.figures import (
    INK,
    QUIET,
    SvgFigure,
    color_of,
    dashes_of,
    draw,
    interval_words,
    marker_of,
    row_axes,
    shortened,
)
from learn_assets.reporting.labels import feature_set_label, learner_label

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ROW, _HEAD = 0.27, 0.9
_LABEL = 44
_RAISES, _LOWERS, _EITHER = "#d55e00", "#0072b2", "#767676"
# Below this size a direction says neither up nor down.
_UNDECIDED = 0.1
_ATTRIBUTES = {"sex": "Sex", "age_band": "Age at index", "race": "Race"}
_TITLES = {
    "shap": "What moves predicted risk: mean contribution of a feature",
    "permutation": "What ranking depends on: AUROC lost without a block",
    "occlusion": "Which past records matter: change of predicted risk without them",
}
_AXES = {
    "shap": "Mean absolute contribution (log odds)",
    "permutation": "AUROC lost when exchanged between patients",
    "occlusion": "Mean absolute change of predicted risk",
}


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


def explanation_bars(
    rows: Sequence[ExplanationRow], identifier: str, limit: int = 15
) -> SvgFigure | None:
    """Return the largest importances of one model and method with intervals; None without any.

    rows: of one feature set, learner and method. Color says whether more raises or lowers the risk.
    """
    known = [row for row in rows if row.estimate is not None]
    largest = sorted(known, key=lambda row: -(row.estimate or 0.0))[:limit]
    if not largest:
        return None
    model = f"{feature_set_label(largest[0].feature_set)}, {learner_label(largest[0].learner)}"
    return draw(
        identifier,
        f"{_TITLES[largest[0].method]} ({model})",
        "; ".join(f"{row.words}: {row.estimate:.3f}{_direction_words(row)}" for row in largest),
        _HEAD + 0.35 + _ROW * len(largest),
        lambda figure: _bars(figure, largest),
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


def _bars(figure: Figure, rows: Sequence[ExplanationRow]) -> None:
    from matplotlib.patches import Patch

    axes = figure.add_subplot()
    for place, row in enumerate(rows):
        axes.barh([place], [row.estimate or 0.0], color=_color(row), height=0.62)
        if row.lower is not None and row.upper is not None:
            axes.plot([row.lower, row.upper], [place, place], color=INK, linewidth=1.1)
    axes.set_yticks(range(len(rows)), [shortened(row.words, _LABEL) for row in rows])
    axes.tick_params(axis="y", length=0, labelsize=8)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.axvline(0.0, color=QUIET, linewidth=0.8)
    axes.grid(axis="x")
    axes.set_xlabel(_AXES[rows[0].method], loc="right")
    axes.spines["left"].set_visible(False)
    if any(row.direction is not None for row in rows):
        meanings = ((_RAISES, "raises risk"), (_LOWERS, "lowers risk"), (_EITHER, "either way"))
        patches = [Patch(color=color, label=label) for color, label in meanings]
        figure.legend(handles=patches, loc="outside upper right", ncols=3, fontsize=8)


def _color(row: ExplanationRow) -> str:
    if row.method == "permutation":
        return color_of(row.feature_set)
    if row.direction is None or abs(row.direction) < _UNDECIDED:
        return _EITHER
    return _RAISES if row.direction > 0 else _LOWERS


def _direction_words(row: ExplanationRow) -> str:
    if row.direction is None:
        return ""
    meanings = {_RAISES: ", raises risk", _LOWERS: ", lowers risk", _EITHER: ", either way"}
    return meanings[_color(row)]
