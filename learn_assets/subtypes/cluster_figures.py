"""Figures of the clusters: choice of their number, codes that mark them, and maps, as SVG.

What belongs here: drawing. Points of maps are means of groups (`maps.py`), bars are shares of codes
whose counts may be shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import cycle, islice, pairwise
from textwrap import shorten
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from learn_assets.reporting.figures import INK, QUIET, SvgFigure, draw
from learn_assets.subtypes.cluster_disclosure import ShownCode, shown_codes
from learn_assets.subtypes.cluster_results import SexClusters
from learn_assets.subtypes.cluster_tables import dotted
from learn_assets.subtypes.maps import MAP_WORDS, MapName, MapPoints

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe & Ito's colors; from the ninth cluster on another marker tells them apart.
_COLORS = (
    "#0072b2", "#d55e00", "#007a5a", "#cc79a7", "#e69f00", "#56b4e9", "#7f3c8d", "#767676",
)  # fmt: skip
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
_SEX_MARKERS = {"F": "o", "M": "^"}
_TOP = 5
_CODE_WIDTH = 52


def choice_figure(one: SexClusters) -> SvgFigure | None:
    """Return silhouette and stability by number of clusters; None when nothing was tried."""
    tried = one.selection.sort("count")
    if tried.is_empty():
        return None
    roles = {role: tried.filter(pl.col("representation") == role) for role in ("main", "baseline")}

    def fill(figure: Figure) -> None:
        upper, lower = figure.subplots(2, 1, sharex=True)
        _lines(upper, roles, "silhouette")
        main = roles["main"]
        upper.plot(
            main["count"], main["null_silhouette"], color=QUIET, linestyle=(0, (1, 1.5)),
            label="Codes at random",
        )  # fmt: skip
        upper.set_ylabel("Silhouette")
        _lines(lower, roles, "mean_jaccard")
        lower.set_ylabel("Jaccard, mean")
        lower.set_ylim(0, 1.03)
        lower.set_xlabel("Number of clusters")
        counts = tried["count"].unique().sort().to_list()
        lower.set_xticks(counts if len(counts) < 14 else counts[::3])
        for axes in (upper, lower):
            axes.grid(axis="y")
            for chosen in main.filter(pl.col("chosen"))["count"]:
                axes.axvline(chosen, color=INK, linewidth=0.9, linestyle=(0, (5, 3)))
        upper.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, columnspacing=1.0)

    chosen = "; ".join(
        f"{row['count']} clusters: silhouette {row['silhouette']:.2f}, codes at random "
        f"{row['null_silhouette']:.2f}, Jaccard {row['mean_jaccard']:.2f}"
        for row in roles["main"].iter_rows(named=True)
    )
    title = f"Number of clusters, {one.word} admissions"
    return draw(f"subtypes-choice-{one.sex}", title, chosen, 4.6, fill)


def _lines(axes: Axes, roles: Mapping[str, pl.DataFrame], column: str) -> None:
    styles: dict[str, dict[str, Any]] = {
        "main": {"color": _COLORS[0], "marker": "o", "label": "Clustered"},
        "baseline": {
            "color": _COLORS[1],
            "marker": "s",
            "linestyle": "--",
            "label": "TF-IDF + SVD",
        },
    }
    for role, rows in roles.items():
        axes.plot(rows["count"], rows[column], markersize=4, **styles[role])


def codes_figure(one: SexClusters) -> SvgFigure | None:
    """Return how frequent the top codes of each cluster are in it; None without any."""
    found = shown_codes(one.weights, one.minimum_cell, _TOP)
    rows = [(cluster, code) for cluster, codes in found.items() for code in codes]
    if not rows:
        return None
    styles = _styles(list(found))

    def fill(figure: Figure) -> None:
        axes = figure.add_subplot()
        places = _spaced([cluster for cluster, _ in rows])
        for place, (cluster, code) in zip(places, rows, strict=True):
            axes.barh(place, 100 * code.row["prevalence"], 0.62, color=styles[cluster]["color"])
        words = [_code_words(code) for _, code in rows]
        axes.set_yticks(places, words, size=7)
        for cluster in found:
            own = [
                place for place, (other, _) in zip(places, rows, strict=True) if other == cluster
            ]
            axes.text(
                1.01, float(np.mean(own)), one.label(cluster), weight="bold",
                color=styles[cluster]["color"], transform=axes.get_yaxis_transform(), va="center",
            )  # fmt: skip
        axes.invert_yaxis()
        axes.set_xlim(left=0)
        axes.set_xlabel("% of the subtype with the code")
        axes.grid(axis="x")

    words = "; ".join(
        f"{one.label(cluster)} {dotted(code.code)}: {100 * code.row['prevalence']:.0f} %"
        for cluster, code in rows
    )
    title = f"Codes that weigh most in each subtype, {one.word} admissions"
    return draw(f"subtypes-codes-{one.sex}", title, words, 0.9 + 0.235 * len(rows), fill)


def _code_words(code: ShownCode) -> str:
    return shorten(f"{dotted(code.code)} {code.description}", _CODE_WIDTH, placeholder=" …")


def _spaced(clusters: list[int]) -> list[float]:
    """Return a place for each row, with room between clusters."""
    changes = np.cumsum([0, *(a != b for a, b in pairwise(clusters))])
    return [float(row + 0.7 * change) for row, change in enumerate(changes)]


def map_figure(
    name: MapName, points: Mapping[str, tuple[MapPoints, ...]], words: str, minimum_cell: int
) -> SvgFigure | None:
    """Return a map of one sex or of both; None when no cluster is large enough.

    points: sex -> what may be drawn of its clusters, in one plane; words: of whom.
    """
    if not any(points.values()):
        return None
    styles = _map_styles(points)

    def fill(figure: Figure) -> None:
        axes = figure.add_subplot()
        for sex, clusters in points.items():
            for cluster in clusters:
                style = styles[sex, cluster.cluster]
                axes.scatter(
                    cluster.groups[:, 0],
                    cluster.groups[:, 1],
                    s=26,
                    alpha=0.55,
                    linewidths=0,
                    **style,
                )
        for sex, clusters in points.items():
            for cluster in clusters:
                style = styles[sex, cluster.cluster]
                x, y = cluster.center
                axes.scatter(x, y, s=330, color="white", edgecolor=style["color"], lw=1.8)
                axes.text(
                    x, y, f"{sex}{cluster.cluster + 1}", ha="center", va="center",
                    size=8, weight="bold", color=INK,
                )  # fmt: skip
        axes.set_xticks([])
        axes.set_yticks([])
        axes.set_xlabel(f"{MAP_WORDS[name]} 1")
        axes.set_ylabel(f"{MAP_WORDS[name]} 2")

    groups = sum(len(cluster.groups) for clusters in points.values() for cluster in clusters)
    title = f"{MAP_WORDS[name]} of {words}"
    told = (
        f"{groups} points, each the mean of at least {minimum_cell} patients of one subtype; "
        "groups that are spread widely are not drawn; labels at the centers of the subtypes"
    )
    identifier = f"subtypes-{name}-{'-'.join(points)}"
    return draw(identifier, title, told, 4.3, fill)


def _styles(clusters: list[int]) -> dict[int, dict[str, Any]]:
    return {
        cluster: {"color": color, "marker": _MARKERS[index // len(_COLORS) % len(_MARKERS)]}
        for index, (cluster, color) in enumerate(
            zip(clusters, islice(cycle(_COLORS), len(clusters)), strict=True)
        )
    }


def _map_styles(
    points: Mapping[str, tuple[MapPoints, ...]],
) -> dict[tuple[str, int], dict[str, Any]]:
    keys = [(sex, cluster.cluster) for sex, clusters in points.items() for cluster in clusters]
    colors = dict(zip(keys, islice(cycle(_COLORS), len(keys)), strict=True))
    if len(points) == 1:
        return {key: _styles([one for _, one in keys])[key[1]] for key in keys}
    return {key: {"color": colors[key], "marker": _SEX_MARKERS[key[0]]} for key in keys}
