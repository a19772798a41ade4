"""Outcome figures: incidence by score group, ratios and calibration over time as SVG.

What belongs here: drawing, in the style of `figures.py`. What is drawn has passed disclosure
control before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

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
)
from learn_assets.reporting.values import Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Dark is high: readable without color too.
_GROUP_COLORS = ("#8fb8de", "#4f8fc4", "#1f5f9a", "#0a2f57")
_YEAR = 365.25
_ROW, _HEAD = 0.27, 0.8


@dataclass(frozen=True)
class Curve:
    """A curve over days with its limits.

    key: the feature set that colors it; group: the score group, 1 lowest, that does instead.
    """

    name: str
    days: tuple[int, ...]
    values: tuple[Estimate, ...]
    key: str = ""
    group: int = 1


@dataclass(frozen=True)
class Ratio:
    """A ratio with its limits: a row of a forest, below the heading of its group."""

    heading: str
    name: str
    value: Estimate


@dataclass(frozen=True)
class CalibrationPoint:
    """Predicted and observed risk of one group of patients."""

    predicted: float
    observed: Estimate


def incidence(curves: Sequence[Curve], title: str, identifier: str) -> SvgFigure | None:
    """Return cumulative incidence by score group, lowest group first; None without any curve."""
    drawn = [curve for curve in curves if curve.days]
    if not drawn:
        return None
    words = "; ".join(
        f"{curve.name}: {100 * curve.values[-1].value:.1f} % by day {curve.days[-1]:,}"
        for curve in drawn
    )
    return draw(identifier, title, words, 3.4, lambda figure: _incidence(figure, drawn))


def over_time(curves: Sequence[Curve], title: str, label: str, identifier: str) -> SvgFigure | None:
    """Return a measure over years, a line a feature set; None without any."""
    drawn = [curve for curve in curves if curve.days]
    if not drawn:
        return None
    words = "; ".join(
        f"{curve.name}: "
        + ", ".join(
            f"{value.value:.2f} by day {day:,}"
            for day, value in zip(curve.days, curve.values, strict=True)
        )
        for curve in drawn
    )
    return draw(identifier, title, words, 3.4, lambda figure: _over_time(figure, drawn, label))


def ratios(rows: Sequence[Ratio], title: str, label: str, identifier: str) -> SvgFigure | None:
    """Return ratios on a logarithmic axis, a row each; None without any."""
    drawn = [row for row in rows if row.value.value > 0]
    if not drawn:
        return None
    headings = len({row.heading for row in drawn})
    height = _HEAD + _ROW * (len(drawn) + 1.4 * headings)
    words = "; ".join(f"{row.heading}, {row.name}: {_words(row.value)}" for row in drawn)
    return draw(identifier, title, words, height, lambda figure: _ratios(figure, drawn, label))


def risk_calibration(
    models: Sequence[tuple[str, str, Sequence[CalibrationPoint]]], title: str, identifier: str
) -> SvgFigure | None:
    """Return observed by predicted risk at a horizon; models: name, feature set, groups."""
    drawn = [model for model in models if model[2]]
    if not drawn:
        return None
    words = "; ".join(
        f"{name}: " + ", ".join(f"{p.predicted:.2f} -> {p.observed.value:.2f}" for p in points)
        for name, _, points in drawn
    )
    return draw(identifier, title, words, 4.4, lambda figure: _risk_calibration(figure, drawn))


def _incidence(figure: Figure, curves: Sequence[Curve]) -> None:
    axes = figure.add_subplot()
    highest = 0.0
    for curve in curves:
        color = _GROUP_COLORS[min(curve.group, len(_GROUP_COLORS)) - 1]
        years = [0.0, *(day / _YEAR for day in curve.days)]
        percent = [0.0, *(100 * value.value for value in curve.values)]
        lower = [0.0, *(100 * value.limits[0] for value in curve.values)]
        upper = [0.0, *(100 * value.limits[1] for value in curve.values)]
        known = _first_after_gap(curve.days)
        axes.fill_between(
            years[known:], lower[known:], upper[known:], color=color, alpha=0.14, linewidth=0
        )
        axes.plot(years[known:], percent[known:], color=color, linewidth=1.8, label=curve.name)
        # Where a count is too small to show, the curve is only known to rise.
        axes.plot(years[: known + 1], percent[: known + 1], color=color, linewidth=1.1,
                  linestyle=(0, (1, 1.5)))  # fmt: skip
        highest = max(highest, *upper)
    axes.set_xlim(0, max(curve.days[-1] for curve in curves) / _YEAR)
    axes.set_ylim(0, min(100.0, highest * 1.05 + 0.5))
    axes.grid(axis="y")
    axes.set_xlabel("Years after the index date")
    axes.set_ylabel("Cumulative incidence, %")
    # The highest curve is named first, as it lies in the figure.
    handles, names = axes.get_legend_handles_labels()
    axes.legend(handles[::-1], names[::-1], loc="upper left")


def _first_after_gap(days: Sequence[int]) -> int:
    """Return the place of the first day after the last gap in (0, *days); 0 without a gap."""
    steps = [later - earlier for earlier, later in pairwise((0, *days))]
    # The last step may be short: it ends at the horizon.
    usual = sorted(steps)[len(steps) // 2]
    wide = [place for place, step in enumerate(steps, start=1) if step > 1.5 * usual]
    return wide[-1] if wide else 0


def _over_time(figure: Figure, curves: Sequence[Curve], label: str) -> None:
    axes = figure.add_subplot()
    spread = 0.03
    for place, curve in enumerate(curves):
        # Intervals at the same day would cover each other: set them apart.
        shift = spread * (place - (len(curves) - 1) / 2)
        years = [day / _YEAR + shift for day in curve.days]
        values = [value.value for value in curve.values]
        color = color_of(curve.key)
        lower = [value.limits[0] for value in curve.values]
        upper = [value.limits[1] for value in curve.values]
        axes.vlines(years, lower, upper, color=color, linewidth=1.2, alpha=0.65)
        axes.plot(years, values, color=color, marker=marker_of(curve.key), ms=5, linewidth=1.3,
                  linestyle=dashes_of(curve.key), label=curve.name)  # fmt: skip
    axes.axhline(0.5, color=QUIET, linewidth=0.8, linestyle=(0, (3, 2)))
    axes.grid(axis="y")
    axes.set_xlabel("Years after the index date")
    axes.set_ylabel(label)
    figure.legend(loc="outside upper center", ncols=2)


def _ratios(figure: Figure, rows: Sequence[Ratio], label: str) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
    from matplotlib.transforms import blended_transform_factory

    axes = figure.add_subplot()
    left_edge = blended_transform_factory(figure.transFigure, axes.transData)
    place, ticks = 0.0, []
    for number, row in enumerate(rows):
        if number == 0 or rows[number - 1].heading != row.heading:
            place += 0.4 if number else 0.0
            heading = axes.text(0.01, place, row.heading, transform=left_edge)
            heading.set(va="center", weight="bold", color=INK, in_layout=False)
            place += 1.0
        axes.plot([*row.value.limits], [place] * 2, color=INK, linewidth=1.6)
        axes.plot([row.value.value], [place], color=INK, marker="o", ms=5.5)
        axes.text(1.01, place, _words(row.value), transform=axes.get_yaxis_transform(),
                  ha="left", va="center", size=8)  # fmt: skip
        ticks.append(place)
        place += 1.0
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(base=10, subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    row_axes(axes, ticks, [row.name for row in rows], place - 0.4)
    axes.axvline(1.0, color=QUIET, linewidth=0.8, linestyle=(0, (3, 2)))
    axes.set_xlabel(label)


def _risk_calibration(
    figure: Figure, models: Sequence[tuple[str, str, Sequence[CalibrationPoint]]]
) -> None:
    axes: Axes = figure.add_subplot()
    axes.set_aspect("equal")
    highest = 0.0
    for name, key, points in models:
        predicted = [point.predicted for point in points]
        observed = [point.observed.value for point in points]
        upper = [point.observed.limits[1] for point in points]
        lower = [point.observed.limits[0] for point in points]
        axes.vlines(predicted, lower, upper, color=color_of(key), linewidth=1.3, alpha=0.65)
        axes.plot(predicted, observed, color=color_of(key), marker=marker_of(key), ms=5,
                  linewidth=1.2, linestyle=dashes_of(key), label=name)  # fmt: skip
        highest = max(highest, *upper, *predicted)
    limit = min(1.0, highest * 1.05)
    axes.plot([0, limit], [0, limit], color=QUIET, linewidth=0.8, linestyle=(0, (3, 2)))
    axes.set_xlim(0, limit)
    axes.set_ylim(0, limit)
    axes.grid()
    axes.set_xlabel("Predicted risk at the horizon")
    axes.set_ylabel("Observed risk (Aalen-Johansen)")
    axes.legend(loc="upper left")


def _words(value: Estimate) -> str:
    return interval_words(value.value, value.lower, value.upper)
