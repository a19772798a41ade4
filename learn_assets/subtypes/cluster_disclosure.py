"""Disclosure of clusters: which counts of codes and outcomes may be shown beside each other.

What belongs here: masking over the clusters of a sex, whose sums are known from other tables.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from learn_assets.disclosure import ShownCount, shown, shown_parts

Row = dict[str, object]


@dataclass(frozen=True)
class ShownCode:
    """A code of a cluster as readers see it.

    `exact`: no count of the code is small in any cluster, so ratio and weights may be shown; they
    would otherwise give counts away. `fewer_elsewhere`: so few admissions elsewhere have it that
    only a bound of the ratio may be shown.
    """

    row: dict[str, float]
    code: str
    description: str
    inside: ShownCount
    elsewhere: ShownCount | None
    exact: bool
    fewer_elsewhere: bool


def shown_codes(weights: pl.DataFrame, minimum_cell: int, most: int) -> dict[int, list[ShownCode]]:
    """Return the codes of each cluster with the highest published weights, as they may be shown.

    weights: `disease_weights` of one sex. A code that few admissions of the cluster have is left
    out: its name alone would point at them.
    """
    exact = _exact_codes(weights, minimum_cell)
    found: dict[int, list[ShownCode]] = {}
    for row in weights.sort("cluster", "rank").iter_rows(named=True):
        listed = found.setdefault(row["cluster"], [])
        rest = row["cluster_size"] - row["admissions"]
        if len(listed) < most and row["admissions"] >= minimum_cell and not 0 < rest < minimum_cell:
            listed.append(_shown_code(row, row["code"] in exact, minimum_cell))
    return found


def _shown_code(row: dict[str, float], exact: bool, minimum_cell: int) -> ShownCode:
    few = 0 < row["elsewhere"] < minimum_cell
    # Elsewhere is the code's total less what is shown: with a small part it would give that away.
    open_count = exact or few or row["elsewhere"] == 0
    return ShownCode(
        row,
        str(row["code"]),
        str(row["description"] or "no description"),
        shown(int(row["admissions"]), minimum_cell),
        shown(int(row["elsewhere"]), minimum_cell) if open_count else None,
        exact,
        few,
    )


def _exact_codes(weights: pl.DataFrame, minimum_cell: int) -> set[str]:
    """Return the codes without a small count in any cluster, nor a small rest of a cluster."""

    def small(count: pl.Expr) -> pl.Expr:
        return (count > 0) & (count < minimum_cell)

    inside, rest = pl.col("admissions"), pl.col("cluster_size") - pl.col("admissions")
    others = pl.col("elsewhere_size") - pl.col("elsewhere")
    judged = weights.group_by("code").agg(
        (small(inside) | small(rest) | small(others) | small(pl.col("elsewhere")))
        .any()
        .alias("any")
    )
    return set(judged.filter(~pl.col("any"))["code"])


def shown_shares(counts: Sequence[tuple[int, int]], minimum_cell: int) -> list[str]:
    """Return `n (%)` of (count, known) of each cluster, withheld where one could be worked out.

    The sum over clusters of counts, and of those without, is taken for known.
    """
    having = [count for count, _ in counts]
    without = [known - count for count, known in counts]
    parts = zip(
        counts, shown_parts(having, minimum_cell), shown_parts(without, minimum_cell), strict=True
    )
    return [
        "-"
        if known == 0 or first.value is None or second.value is None
        else f"{count:,} ({100 * count / known:.1f} %)"
        for (count, known), first, second in parts
    ]
