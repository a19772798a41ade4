"""Site figures: a forest of how models of all other sites do at each site of a network, as SVG.

What belongs here: drawing, in the style of `figures.py`. What is drawn has passed disclosure
control before.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import polars as pl

from learn_assets.evaluation.comparison import ModelName
from learn_assets.reporting.figures import (
    INK,
    QUIET,
    SvgFigure,
    color_of,
    draw,
    interval_words,
    marker_of,
    row_axes,
)
from learn_assets.reporting.labels import feature_set_label, learner_label

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ROW, _HEAD = 0.3, 1.35
_NAME_LETTERS = 22
_TOGETHER, _FURTHER = "All sites", "A further site"
_Rows = dict[str | None, dict[str, Any]]


def site_forest(table: pl.DataFrame, model: ModelName, identifier: str) -> SvgFigure | None:
    """Return the AUROC of one model at each site, over all, and expected at a further one.

    table: `site_holdout`. Open diamonds are the same patients in the ordinary cross-validation.
    None when no site has an AUROC of the model.
    """
    own = table.filter(
        pl.col("feature_set") == model.feature_set, pl.col("learner") == model.learner
    )
    new = _by_site(own, "auroc")
    if not any(site is not None for site in new):
        return None
    ordinary = _by_site(own, "auroc_cross_validation")
    told = [f"{site or _TOGETHER}: {_limits_words(row)}" for site, row in new.items()]
    if None in new and _further_words(new[None]):
        told.append(f"{_FURTHER}: {_further_words(new[None])}")
    name = f"{feature_set_label(model.feature_set)}, {learner_label(model.learner)}"
    return draw(
        identifier,
        f"AUROC at sites that a model did not learn from: {name}",
        "; ".join(told),
        _HEAD + _ROW * (len(new) + 1),
        lambda figure: _forest(figure, new, ordinary, model.feature_set),
    )


def _by_site(own: pl.DataFrame, metric: str) -> _Rows:
    """Return the rows of a metric by site, in the order of the table; None: over all."""
    known = own.filter(pl.col("metric") == metric, pl.col("estimate").is_not_null())
    return {row["care_site"]: row for row in known.iter_rows(named=True)}


def _forest(figure: Figure, new: _Rows, ordinary: _Rows, feature_set: str) -> None:
    axes = figure.add_subplot()
    axes.set_xlim(*_range(new, ordinary))
    sites = [site for site in new if site is not None]
    ticks, names = list(map(float, range(len(sites)))), [_shortened(site) for site in sites]
    for place, site in zip(ticks, sites, strict=True):
        _site_row(axes, place, new[site], feature_set)
        _ordinary_mark(axes, place, ordinary.get(site))
    last = len(sites) - 1.0
    if None in new:
        axes.axhline(last + 0.6, color=QUIET, linewidth=0.6)
        together = last + 1.2
        _together_row(axes, together, new[None], feature_set)
        _ordinary_mark(axes, together, ordinary.get(None))
        ticks, names, last = [*ticks, together], [*names, _TOGETHER], together
        if _further_words(new[None]):
            last += 1.0
            _further_row(axes, last, new[None], feature_set)
            ticks, names = [*ticks, last], [*names, _FURTHER]
    row_axes(axes, ticks, names, last + 0.7)
    axes.axvline(0.5, color=QUIET, linewidth=0.8, linestyle=(0, (3, 2)))
    axes.set_xlabel("AUROC with 95 % interval (dashed: chance)", loc="right")
    _legend(figure, feature_set)


def _range(new: _Rows, ordinary: _Rows) -> tuple[float, float]:
    """Return the ends of the axis; where a further site may lie is cut off, it may be anywhere."""
    values = [
        row[name]
        for row in (*new.values(), *ordinary.values())
        for name in ("estimate", "lower", "upper")
        if row[name] is not None and (row in new.values() or name == "estimate")
    ]
    return max(0.0, min(*values, 0.5) - 0.03), min(1.0, max(*values, 0.75) + 0.03)


def _site_row(axes: Axes, place: float, row: Mapping[str, Any], feature_set: str) -> None:
    color = color_of(feature_set)
    if row["lower"] is not None and row["upper"] is not None:
        axes.plot([row["lower"], row["upper"]], [place, place], color=color, linewidth=1.6)
    axes.plot([row["estimate"]], [place], color=color, marker=marker_of(feature_set), ms=6)
    _words(axes, place, _limits_words(row))


def _together_row(axes: Axes, place: float, row: Mapping[str, Any], feature_set: str) -> None:
    """Draw the mean over sites as a diamond that is as wide as its interval."""
    center, lower, upper = row["estimate"], row["lower"], row["upper"]
    corners = ([lower, center, upper, center], [place, place - 0.28, place, place + 0.28])
    axes.fill(*corners, color=color_of(feature_set), linewidth=0, alpha=0.85)
    _words(axes, place, _limits_words(row))


def _further_row(axes: Axes, place: float, row: Mapping[str, Any], feature_set: str) -> None:
    left, right = axes.get_xlim()
    # An arrow at the very end of the axis would touch the words beside it.
    margin = 0.025 * (right - left)
    left, right = left + margin, right - margin
    lower, upper = row["prediction_lower"], row["prediction_upper"]
    ends = (max(lower, left), min(upper, right))
    color = color_of(feature_set)
    axes.plot(ends, [place, place], color=color, linewidth=1.6, linestyle=(0, (4, 1.5)))
    for end, cut, arrow in ((ends[0], lower < left, "<"), (ends[1], upper > right, ">")):
        marker = arrow if cut else "|"
        axes.plot([end], [place], color=color, marker=marker, ms=6)
    _words(axes, place, _further_words(row))


def _ordinary_mark(axes: Axes, place: float, row: Mapping[str, Any] | None) -> None:
    if row is not None:
        axes.plot([row["estimate"]], [place], zorder=3, **_OPEN_DIAMOND)


_OPEN_DIAMOND: dict[str, Any] = {
    "color": INK,
    "linestyle": "none",
    "marker": "D",
    "markerfacecolor": "white",
    "markeredgewidth": 1.1,
    "ms": 4.2,
}


def _legend(figure: Figure, feature_set: str) -> None:
    from matplotlib.lines import Line2D

    color = color_of(feature_set)
    handles = [
        Line2D([], [], color=color, marker=marker_of(feature_set), label="Models of other sites"),
        Line2D([], [], label="Cross-validation of all sites", **_OPEN_DIAMOND),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=2, fontsize=8)


def _words(axes: Axes, place: float, text: str) -> None:
    transform = axes.get_yaxis_transform()
    axes.text(1.02, place, text, transform=transform, ha="left", va="center", size=8, color=INK)


def _limits_words(row: Mapping[str, Any]) -> str:
    return interval_words(row["estimate"], row["lower"], row["upper"])


def _further_words(row: Mapping[str, Any]) -> str:
    if row["prediction_lower"] is None or row["prediction_upper"] is None:
        return ""
    return f"{row['prediction_lower']:.2f} to {row['prediction_upper']:.2f}"


def _shortened(name: str) -> str:
    return name if len(name) <= _NAME_LETTERS else f"{name[: _NAME_LETTERS - 1]}…"
