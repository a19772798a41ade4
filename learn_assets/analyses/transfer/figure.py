"""Transfer figures: models of other sites by way of use, and how far two sites differ, as SVG.

What belongs here: drawing, in the style of `figures.py`. What is drawn has passed disclosure
control before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from learn_assets.reporting.figures import INK, QUIET, SvgFigure, draw, row_axes, shortened
from learn_assets.reporting.values import Estimate, estimate

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Okabe & Ito's colors; markers and dashes say the same without color.
_LOOKS = {
    "own": ("#767676", "D", (0, (1, 1.5))),
    "as_is": ("#d55e00", "s", "solid"),
    "recalibrated_intercept": ("#e69f00", "^", (0, (5, 2))),
    "recalibrated_slope": ("#0072b2", "v", (0, (2, 1.2))),
    "refitted": ("#007a5a", "o", (0, (6, 2, 1, 2))),
}
_ROW, _HEAD = 0.27, 0.85
# A standardized difference beyond this is commonly called an imbalance (Austin 2009).
IMBALANCE = 0.1
_LABEL = 36


@dataclass(frozen=True)
class ModeRow:
    """A value of one way of use: a row below the heading of its model."""

    heading: str
    mode: str
    name: str
    value: Estimate


@dataclass(frozen=True)
class ModeCurve:
    """The calibration curve of one way of use: predicted risk and observed share by group."""

    mode: str
    name: str
    predicted: tuple[float, ...]
    observed: tuple[Estimate, ...]


@dataclass(frozen=True)
class Difference:
    """How far this site lies from the other, in standard deviations: a row below its heading."""

    heading: str
    name: str
    standardized: float


def mode_forest(rows: Sequence[ModeRow], label: str, identifier: str) -> SvgFigure | None:
    """Return a measure by model and way of use with its interval, a row each; None without any."""
    if not rows:
        return None
    headings = len({row.heading for row in rows})
    return draw(
        identifier,
        f"{label} of another site's models by way of use",
        "; ".join(f"{row.heading}, {row.name}: {estimate(row.value, 2).text}" for row in rows),
        _HEAD + _ROW * (len(rows) + 1.4 * headings),
        lambda figure: _forest(figure, rows, label),
    )


def mode_calibration(curves: Sequence[ModeCurve], identifier: str) -> SvgFigure | None:
    """Return observed share by predicted risk, a line a way of use; None without any point."""
    drawn = [curve for curve in curves if curve.predicted]
    if not drawn:
        return None
    words = "; ".join(
        f"{curve.name}: "
        + ", ".join(
            f"{predicted:.2f} -> {observed.value:.2f}"
            for predicted, observed in zip(curve.predicted, curve.observed, strict=True)
        )
        for curve in drawn
    )
    title = "Calibration of another site's model by way of use"
    return draw(identifier, title, words, 4.7, lambda figure: _calibration(figure, drawn))


def love_plot(rows: Sequence[Difference], identifier: str) -> SvgFigure | None:
    """Return standardized differences, a row each (Love plot); None without any."""
    if not rows:
        return None
    headings = len({row.heading for row in rows})
    return draw(
        identifier,
        "Standardized differences between the sites",
        "; ".join(f"{row.name}: {row.standardized:+.2f}" for row in rows),
        _HEAD + _ROW * (len(rows) + 1.4 * headings),
        lambda figure: _love(figure, rows),
    )


def _forest(figure: Figure, rows: Sequence[ModeRow], label: str) -> None:
    axes = figure.add_subplot()
    places, last = _places(figure, [row.heading for row in rows])
    for place, row in zip(places, rows, strict=True):
        color, marker, _ = _LOOKS[row.mode]
        axes.plot(row.value.limits, [place, place], color=color, linewidth=1.6)
        axes.plot([row.value.value], [place], color=color, marker=marker, ms=5.5)
        axes.text(1.01, place, estimate(row.value, 2).text, transform=axes.get_yaxis_transform(),
                  ha="left", va="center", size=8.5)  # fmt: skip
    row_axes(axes, places, [row.name for row in rows], last - 0.4)
    axes.set_xlabel(f"{label} with 95 % interval", loc="right")


def _calibration(figure: Figure, curves: Sequence[ModeCurve]) -> None:
    axes = figure.add_subplot()
    axes.set_aspect("equal")
    highest = max(
        max(*curve.predicted, *(found.limits[1] for found in curve.observed)) for curve in curves
    )
    limit = min(1.0, highest * 1.05)
    for rank, curve in enumerate(curves):
        # Intervals at the same prediction would cover each other: set them apart.
        shift = 0.006 * limit * (rank - (len(curves) - 1) / 2)
        color, marker, dashes = _LOOKS[curve.mode]
        predicted = [value + shift for value in curve.predicted]
        lower, upper = zip(*(found.limits for found in curve.observed), strict=True)
        axes.vlines(predicted, lower, upper, color=color, linewidth=1.2, alpha=0.6)
        axes.plot(predicted, [found.value for found in curve.observed], color=color, marker=marker,
                  ms=5, linewidth=1.3, linestyle=dashes, label=curve.name)  # fmt: skip
    axes.plot([0, limit], [0, limit], color=QUIET, linewidth=0.8, linestyle=(0, (3, 2)))
    axes.set_xlim(0, limit)
    axes.set_ylim(0, limit)
    axes.grid()
    axes.set_xlabel("Predicted risk")
    axes.set_ylabel("Observed share of cases")
    axes.legend(loc="upper left")


def _love(figure: Figure, rows: Sequence[Difference]) -> None:
    axes = figure.add_subplot()
    places, last = _places(figure, [row.heading for row in rows])
    widest = max(0.2, *(abs(row.standardized) for row in rows)) * 1.1
    axes.axvspan(-IMBALANCE, IMBALANCE, color=QUIET, alpha=0.1, linewidth=0)
    axes.axvline(0.0, color=QUIET, linewidth=0.8)
    for place, row in zip(places, rows, strict=True):
        axes.plot([0, row.standardized], [place, place], color=INK, linewidth=0.8, alpha=0.5)
        inside = abs(row.standardized) <= IMBALANCE
        axes.plot([row.standardized], [place], color=INK, marker="o", ms=5.5,
                  markerfacecolor="#ffffff" if inside else INK)  # fmt: skip
        axes.text(1.01, place, f"{row.standardized:+.2f}", transform=axes.get_yaxis_transform(),
                  ha="left", va="center", size=8.5)  # fmt: skip
    row_axes(axes, places, [shortened(row.name, _LABEL) for row in rows], last - 0.4)
    axes.tick_params(axis="y", labelsize=8.5)
    axes.set_xlim(-widest, widest)
    axes.set_xlabel("Standardized difference, here minus there", loc="right")


def _places(figure: Figure, headings: Sequence[str]) -> tuple[list[float], float]:
    """Return where each row stands when headings are written between them, and where they end."""
    from matplotlib.transforms import blended_transform_factory

    axes = figure.axes[0]
    left_edge = blended_transform_factory(figure.transFigure, axes.transData)
    place, places = 0.0, []
    for number, heading in enumerate(headings):
        if number == 0 or headings[number - 1] != heading:
            place += 0.4 if number else 0.0
            text = axes.text(0.01, place, heading, transform=left_edge)
            text.set(va="center", weight="bold", color=INK, in_layout=False)
            place += 1.0
        places.append(place)
        place += 1.0
    return places, place
