"""Comparison figures: differences between models, decision curves, subgroups and cells as SVG.

What belongs here: drawing, in the style of `figures.py`. What is drawn has passed disclosure
control before.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from learn_assets.reporting.comparison_words import ComparisonResult, model_label
from learn_assets.reporting.figures import QUIET, SvgFigure, color_of, draw, marker_of, row_axes
from learn_assets.reporting.labels import feature_set_label, learner_label

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ROW, _HEAD = 0.26, 0.9


def difference_forest(results: Sequence[ComparisonResult], identifier: str) -> SvgFigure | None:
    """Return AUROC differences (DeLong) with their intervals, a row a comparison; None without any.

    `identifier` keeps the element's ids apart from those of other figures on the page.
    """
    rows = [result for result in results if result.method == "delong"]
    if not rows:
        return None
    pairs = list(dict.fromkeys(map(_pair, rows)))
    height = _HEAD + _ROW * (len(rows) + 1.4 * len(pairs))
    return draw(
        identifier,
        "AUROC differences on the same patients",
        "; ".join(f"{_pair_words(row)}: {_difference_words(row)}" for row in rows),
        height,
        lambda figure: _difference_forest(figure, rows, pairs),
    )


def _pair(row: ComparisonResult) -> tuple[str, str]:
    return row.first.feature_set, row.second.feature_set


def _pair_words(row: ComparisonResult) -> str:
    return f"{model_label(row.first)} against {model_label(row.second)}"


def _difference_words(row: ComparisonResult) -> str:
    if row.lower is None or row.upper is None:
        return f"{row.difference:+.3f}"
    return f"{row.difference:+.3f} [{row.lower:+.3f}, {row.upper:+.3f}]"


def _difference_forest(
    figure: Figure, rows: Sequence[ComparisonResult], pairs: Sequence[tuple[str, str]]
) -> None:
    from matplotlib.transforms import blended_transform_factory

    axes = figure.add_subplot()
    left_edge = blended_transform_factory(figure.transFigure, axes.transData)
    place, ticks, names = 0.0, [], []
    for pair in pairs:
        first, second = map(_short, pair)
        heading = axes.text(0.01, place, f"{first} - {_inside(second)}", transform=left_edge)
        heading.set(va="center", weight="bold", color=color_of(pair[0]), in_layout=False)
        place += 1.0
        for row in (row for row in rows if _pair(row) == pair):
            _interval_mark(axes, place, row.difference, row.lower, row.upper, row.first.feature_set)
            axes.text(1.01, place, _difference_words(row), **_beside(axes))
            ticks.append(place)
            names.append(learner_label(row.first.learner))
            place += 1.0
        place += 0.4
    row_axes(axes, ticks, names, place - 0.7)
    axes.axvline(0.0, color=QUIET, linewidth=0.8, linestyle=(0, (3, 2)))
    axes.set_xlabel("Difference in AUROC with 95 % interval\n(right of 0: the first is better)")


def _short(feature_set: str) -> str:
    """Return the words for a feature set without what stands in brackets."""
    return feature_set_label(feature_set).split(" (")[0]


def _inside(words: str) -> str:
    """Return words as they stand after others: names in capitals keep them."""
    return words if words.split(maxsplit=1)[0].isupper() else words.lower()


def _interval_mark(
    axes: Axes,
    place: float,
    value: float,
    lower: float | None,
    upper: float | None,
    feature_set: str,
) -> None:
    color = color_of(feature_set)
    if lower is not None and upper is not None:
        axes.plot([lower, upper], [place, place], color=color, linewidth=1.6)
    axes.plot([value], [place], color=color, marker=marker_of(feature_set), ms=5.5)


def _beside(axes: Axes) -> dict[str, Any]:
    return {
        "transform": axes.get_yaxis_transform(),
        "ha": "left",
        "va": "center",
        "size": 8,
    }
