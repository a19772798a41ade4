"""Genetic figures: risk by genetic group within score groups, and what AUROC gains, as SVG.

What belongs here: drawing, in the style of `figures.py`. What is drawn has passed disclosure
control before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from learn_assets.reporting.figures import QUIET, SvgFigure, color_of, draw, marker_of
from learn_assets.reporting.values import Estimate, estimate, share

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Dark is high, and markers say it again: readable without color.
_GROUP_COLORS = ("#8fb8de", "#3f83bd", "#0a2f57")
_GROUP_MARKERS = ("v", "o", "^")
_APART = 0.2
_ROW, _HEAD = 0.46, 0.8


@dataclass(frozen=True)
class Stratum:
    """The share of cases in one genetic group (1 lowest) of one group of the clinical score."""

    score_group: int
    genetic_group: int
    risk: Estimate


@dataclass(frozen=True)
class Gain:
    """The change of AUROC by the genetic score beside one clinical score."""

    name: str
    feature_set: str
    change: Estimate


def genetic_strata(
    strata: Sequence[Stratum], names: Sequence[str], overall: float | None, identifier: str
) -> SvgFigure | None:
    """Return the share of cases by genetic group within score groups; None without a stratum.

    names: of the groups of either score, lowest first. overall: the share among all, a line.
    """
    if not strata:
        return None
    words = "; ".join(
        f"{names[stratum.score_group - 1]} clinical, {names[stratum.genetic_group - 1].lower()} "
        f"genetic: {share(stratum.risk).text}"
        for stratum in strata
    )
    return draw(
        identifier,
        "Share of cases by clinical and genetic score",
        words,
        3.7,
        lambda figure: _strata(figure, strata, names, overall),
    )


def genetic_gains(gains: Sequence[Gain], identifier: str) -> SvgFigure | None:
    """Return the change of AUROC with its interval, a row a clinical score; None without any."""
    if not gains:
        return None
    words = "; ".join(f"{gain.name}: {_change(gain)}" for gain in gains)
    height = _HEAD + _ROW * len(gains)
    title = "AUROC gained by the genetic score"
    return draw(identifier, title, words, height, lambda figure: _gains(figure, gains))


def _strata(
    figure: Figure, strata: Sequence[Stratum], names: Sequence[str], overall: float | None
) -> None:
    axes = figure.add_subplot()
    known = {(stratum.score_group, stratum.genetic_group): stratum.risk for stratum in strata}
    groups = range(1, len(names) + 1)
    for genetic, name in zip(groups, names, strict=True):
        look = min(genetic, len(_GROUP_COLORS)) - 1
        color, marker = _GROUP_COLORS[look], _GROUP_MARKERS[look]
        axes.plot([], [], color=color, marker=marker, ms=6.5, linewidth=1.8, label=name)
        for score in groups:
            place = score + _APART * (genetic - (len(names) + 1) / 2)
            risk = known.get((score, genetic))
            if risk is None:
                axes.text(place, 0.03, "withheld", transform=axes.get_xaxis_transform(),
                          rotation=90, ha="center", va="bottom", size=8.5, color=QUIET)  # fmt: skip
                continue
            lower, upper = risk.limits
            axes.plot([place, place], [100 * lower, 100 * upper], color=color, linewidth=1.8)
            axes.plot([place], [100 * risk.value], color=color, marker=marker, ms=6.5)
    if overall is not None:
        axes.axhline(100 * overall, color=QUIET, linewidth=0.8, linestyle=(0, (3, 2)))
    for border in groups[:-1]:
        axes.axvline(border + 0.5, color=QUIET, linewidth=0.5, alpha=0.4)
    axes.set_xlim(0.5, len(names) + 0.5)
    axes.set_xticks(groups, names)
    axes.tick_params(axis="x", length=0)
    axes.set_ylim(0, None)
    axes.grid(axis="y")
    axes.set_xlabel("Third of the clinical score")
    axes.set_ylabel("Share of cases, %")
    figure.legend(title="Third of the genetic score", title_fontsize=9, ncols=len(names),
                  loc="outside upper center")  # fmt: skip


def _gains(figure: Figure, gains: Sequence[Gain]) -> None:
    axes = figure.add_subplot()
    for place, gain in enumerate(gains):
        color = color_of(gain.feature_set)
        axes.plot(gain.change.limits, [place, place], color=color, linewidth=1.6)
        axes.plot([gain.change.value], [place], color=color, marker=marker_of(gain.feature_set),
                  ms=5.5)  # fmt: skip
        # Names above their rows leave the width to the intervals.
        axes.text(0.0, place - 0.32, gain.name, transform=axes.get_yaxis_transform(), ha="left",
                  va="center", size=9, color=color)  # fmt: skip
        axes.text(1.01, place, _change(gain), transform=axes.get_yaxis_transform(), ha="left",
                  va="center", size=9)  # fmt: skip
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.set_ylim(len(gains) - 0.6, -0.6)
    axes.axvline(0.0, color=QUIET, linewidth=0.8, linestyle=(0, (3, 2)))
    axes.grid(axis="x")
    axes.set_xlabel("Change of AUROC")


def _change(gain: Gain) -> str:
    return estimate(gain.change, 3, signed=True).text
