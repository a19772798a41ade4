"""Figures of the discharges: years, diagnoses, stay, severity and cost by sex, as SVG.

What belongs here: the six descriptive figures of the published study, small counts left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import polars as pl

from learn_assets.disclosure import shown_parts
from learn_assets.reporting.figures import SvgFigure, draw

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SEX_COLORS = {"F": "#d55e00", "M": "#0072b2"}
SEX_WORDS = {"F": "Female", "M": "Male"}
_HATCHES = {"F": "///", "M": ""}
_TOP = 10
_HISTOGRAM_BINS = 20
_LINE_WIDTH = 38

Numbers = npt.NDArray[np.floating]
# Share of the sex by level; None where the count is masked.
Shares = dict[str, list[float | None]]


def discharge_figures(
    discharges: pl.DataFrame, names: dict[str, str], minimum_cell: int
) -> dict[str, SvgFigure]:
    """Return the six figures by file stem; one with nothing to show is left out.

    discharges: as the contract says; names: code -> description. Bars and bins of fewer than
    `minimum_cell` admissions are not drawn, nor is what would give one away.
    """
    drawn = {
        "admissions_by_year": _class_bars(discharges, "year", "Admissions by year", minimum_cell),
        "principal_diagnoses": _diagnosis_bars(discharges, names, minimum_cell),
        "stay_box_plot": _box_plot(
            discharges, "stay_days", ("Length of stay", "Days"), minimum_cell
        ),
        "stay_histogram": _stay_histogram(discharges, minimum_cell),
        "severity": _class_bars(discharges, "severity", "APR severity level", minimum_cell),
        "cost_box_plot": _box_plot(discharges, "cost", ("APR cost", "Euros"), minimum_cell),
    }
    return {name: figure for name, figure in drawn.items() if figure is not None}


def _class_bars(
    discharges: pl.DataFrame, variable: str, title: str, minimum_cell: int
) -> SvgFigure | None:
    levels = discharges[variable].drop_nulls().unique().sort().to_list()
    shares = _shares(discharges, pl.col(variable), levels, minimum_cell)
    if not _any_known(shares):
        return None
    words = _share_words([str(level) for level in levels], shares)

    def fill(figure: Figure) -> None:
        axes = figure.add_subplot()
        places = np.arange(len(levels))
        for shift, sex in ((-0.2, "F"), (0.2, "M")):
            heights = [100 * (share or 0.0) for share in shares[sex]]
            axes.bar(places + shift, heights, width=0.38, **_bar_style(sex))
            _mark_hidden(axes, places + shift, shares[sex])
        axes.set_xticks(places, [str(level) for level in levels])
        axes.set_ylabel("% of the sex")
        _finish(axes, "y")

    return draw(f"subtypes-{variable}", title, words, 3.2, fill)


def _diagnosis_bars(
    discharges: pl.DataFrame, names: dict[str, str], minimum_cell: int
) -> SvgFigure | None:
    principal = pl.col("diagnoses").list.first()
    counted = discharges.select(code=principal).group_by("code").agg(pl.len())
    codes = counted.sort(["len", "code"], descending=[True, False]).head(_TOP)["code"].to_list()
    shares = _shares(discharges, principal, codes, minimum_cell)
    if not _any_known(shares):
        return None
    labels = [f"{code} {names.get(code, '')}".strip() for code in codes]

    def fill(figure: Figure) -> None:
        axes = figure.add_subplot()
        places = np.arange(len(codes))
        for shift, sex in ((-0.2, "F"), (0.2, "M")):
            widths = [100 * (share or 0.0) for share in shares[sex]]
            axes.barh(places + shift, widths, height=0.38, **_bar_style(sex))
            for place, share in zip(places + shift, shares[sex], strict=True):
                if share is None:
                    axes.text(0.3, place, "masked", va="center", size=7)
        axes.set_yticks(places, [_two_lines(label) for label in labels], size=8)
        axes.invert_yaxis()
        axes.set_xlabel("% of the sex")
        _finish(axes, "x")

    title = f"The {len(codes)} most frequent principal diagnoses"
    words = _share_words(labels, shares)
    return draw("subtypes-diagnoses", title, words, 0.9 + 0.36 * len(codes), fill)


def _box_plot(
    discharges: pl.DataFrame, variable: str, title: tuple[str, str], minimum_cell: int
) -> SvgFigure | None:
    boxes = {
        sex: box
        for sex in SEX_WORDS
        if (box := _box(_numbers(discharges, variable, sex), minimum_cell)) is not None
    }
    if not boxes:
        return None

    def fill(figure: Figure) -> None:
        axes = figure.add_subplot()
        drawn = axes.bxp(
            [{**box, "label": SEX_WORDS[sex]} for sex, box in boxes.items()],
            showfliers=False,
            patch_artist=True,
            widths=0.45,
            orientation="horizontal",
            medianprops={"color": "black", "linewidth": 1.6},
        )
        for patch, sex in zip(drawn["boxes"], boxes, strict=True):
            patch.set(facecolor=SEX_COLORS[sex], alpha=0.55, hatch=_HATCHES[sex])
        axes.set_xlim(left=0)
        axes.invert_yaxis()
        axes.set_xlabel(title[1])
        axes.grid(axis="x")

    words = "; ".join(
        f"{SEX_WORDS[sex]}: median {box['med']:,.0f}, quartiles {box['q1']:,.0f} and "
        f"{box['q3']:,.0f}, whiskers {box['whislo']:,.0f} and {box['whishi']:,.0f}"
        for sex, box in boxes.items()
    )
    heading = f"{title[0]} (whiskers: 5th and 95th percentile)"
    return draw(f"subtypes-{variable}-box", heading, words, 2.2, fill)


def _box(values: Numbers, minimum_cell: int) -> dict[str, float] | None:
    # A whisker beyond which stand fewer than the minimum would point at them.
    if values.size * 0.05 < minimum_cell:
        return None
    low, first, median, third, high = np.quantile(values, [0.05, 0.25, 0.5, 0.75, 0.95])
    return {
        "whislo": float(low), "q1": float(first), "med": float(median), "q3": float(third),
        "whishi": float(high),
    }  # fmt: skip


def _stay_histogram(discharges: pl.DataFrame, minimum_cell: int) -> SvgFigure | None:
    values = {sex: _numbers(discharges, "stay_days", sex) for sex in SEX_WORDS}
    both = np.concatenate(list(values.values()))
    if both.size < minimum_cell:
        return None
    cap = max(1.0, float(np.quantile(both, 0.99)))
    width = max(1, int(np.ceil((cap + 1) / _HISTOGRAM_BINS)))
    edges = np.arange(0, cap + width, width) - 0.5
    shares: Shares = {}
    for sex, stays in values.items():
        counts = [int(count) for count in np.histogram(stays, edges)[0]]
        # Those beyond the cap are a part too: left out, they could be subtracted.
        shown = shown_parts([*counts, stays.size - sum(counts)], minimum_cell)[:-1]
        shares[sex] = [
            None if part.value is None else part.value / max(1, stays.size) for part in shown
        ]
    if not _any_known(shares):
        return None

    def fill(figure: Figure) -> None:
        grid = figure.subplots(2, 1, sharex=True, sharey=True)
        for axes, sex in zip(grid, SEX_WORDS, strict=True):
            heights = [100 * (share or 0.0) for share in shares[sex]]
            axes.bar(edges[:-1], heights, width=width, align="edge", **_bar_style(sex))
            axes.set_ylabel("% of the sex")
            _finish(axes, "y")
        note = f"bars of fewer than {minimum_cell} admissions are left out"
        grid[-1].set_xlabel(f"Days, up to the 99th percentile, {cap:.0f}\n({note})")

    first_days = [f"from {edge + 0.5:.0f} days" for edge in edges[:-1]]
    title = "Length of stay (99 % of admissions)"
    return draw("subtypes-stay", title, _share_words(first_days, shares), 4.2, fill)


def _shares(
    discharges: pl.DataFrame, level: pl.Expr, levels: Sequence[object], minimum_cell: int
) -> Shares:
    shares: Shares = {}
    for sex in SEX_WORDS:
        of_sex = discharges.filter(pl.col("sex") == sex).select(level.alias("level"))
        found = dict(of_sex.group_by("level").agg(pl.len()).iter_rows())
        counts = [found.get(value, 0) for value in levels]
        shown = shown_parts([*counts, of_sex.height - sum(counts)], minimum_cell)[:-1]
        shares[sex] = [
            None if part.value is None else part.value / max(1, of_sex.height) for part in shown
        ]
    return shares


def _any_known(shares: Shares) -> bool:
    return any(share for column in shares.values() for share in column)


def _share_words(labels: Sequence[str], shares: Shares) -> str:
    return "; ".join(
        f"{label}: "
        + ", ".join(
            f"{SEX_WORDS[sex].lower()} {'masked' if share is None else f'{100 * share:.1f} %'}"
            for sex, share in ((sex, shares[sex][index]) for sex in SEX_WORDS)
        )
        for index, label in enumerate(labels)
    )


def _mark_hidden(axes: Axes, places: Numbers, shares: Sequence[float | None]) -> None:
    for place, share in zip(places, shares, strict=True):
        if share is None:
            axes.text(place, 0.5, "masked", ha="center", va="bottom", size=7, rotation=90)


def _bar_style(sex: str) -> dict[str, Any]:
    return {
        "facecolor": SEX_COLORS[sex],
        "edgecolor": "white",
        "hatch": _HATCHES[sex],
        "label": SEX_WORDS[sex],
    }


def _finish(axes: Axes, grid: str) -> None:
    axes.grid(axis=grid)  # type: ignore[arg-type]
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2)


def _two_lines(text: str) -> str:
    return "\n".join(wrap(text, _LINE_WIDTH, max_lines=2, placeholder=" …"))


def _numbers(discharges: pl.DataFrame, variable: str, sex: str) -> Numbers:
    of_sex = discharges.filter(pl.col("sex") == sex)[variable].drop_nulls()
    return of_sex.cast(pl.Float64).to_numpy()
