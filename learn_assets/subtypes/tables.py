"""Tables of a subtypes study for a manuscript: admissions by sex, substances, discarded rows.

What belongs here: what is shown in which cell. Small counts are masked, and whatever would give one
away with them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

from learn_assets.disclosure import ShownCount, shown_parts
from learn_assets.subtypes.bases import ADMISSIONS, FIRST_ADMISSIONS
from learn_assets.subtypes.publication import PublicationTable

_NAMES = {
    "year": "Year",
    "severity": "APR severity level",
    "principal_diagnosis": "Principal diagnosis (20 most frequent)",
    "stay_days": "Length of stay, days",
    "cost": "APR cost, euros",
}
_ABSENT = "-"
_SEXES = (("F", "female"), ("M", "male"))

Row = dict[str, Any]


def sex_table(
    discharges: pl.DataFrame,
    description: pl.DataFrame,
    comparison: pl.DataFrame,
    names: dict[str, str],
    minimum_cell: int,
) -> PublicationTable:
    """Return admissions by sex: counts or quartiles, and each variable's test.

    discharges, description (`sex_description`), comparison (`sex_comparison`): as the contracts
    say; names: code -> description of a diagnosis.
    """
    totals = {sex: discharges.filter(pl.col("sex") == sex).height for sex, _ in _SEXES}
    tests = {
        row["variable"]: row
        for row in comparison.filter(pl.col("basis") == ADMISSIONS).iter_rows(named=True)
    }
    rows: list[tuple[str, ...]] = []
    for variable in description["variable"].unique(maintain_order=True).to_list():
        levels = description.filter(pl.col("variable") == variable)
        test = tests[variable]
        rows.append((_NAMES[variable], "", "", _p(test), _number(test["p_holm"]), _effect(test)))
        if levels["measure"][0] == "count":
            rows += _class_rows(levels, totals, names, minimum_cell)
        else:
            rows.append(_quartile_row(levels, test, minimum_cell))
    by_sex = shown_parts([totals["F"], totals["M"]], minimum_cell)
    return PublicationTable(
        name="table_1_admissions_by_sex",
        title="Table 1. Admissions by sex",
        header=(
            "Characteristic",
            f"Female (n = {by_sex[0]})",
            f"Male (n = {by_sex[1]})",
            "p",
            "p (Holm)",
            "Effect [95 % interval]",
        ),
        rows=tuple(rows),
        notes=(
            "Admissions, not patients. Classes: n (% of the sex), chi-square test (exact p, marked "
            "*, where an expected count is below 5), effect: Cramer's V. Numbers: median "
            "[quartiles], Mann-Whitney U test, effect: probability that a male admission has the "
            "higher value.",
            _masking_note(minimum_cell),
        ),
    )


def substances_table(substances: pl.DataFrame, minimum_cell: int) -> PublicationTable:
    """Return table S1: admissions with each substance group by sex, tests and intervals.

    substances: as the contract `substance_table` says.
    """
    first = {
        row["prefix"]: row
        for row in substances.filter(pl.col("basis") == FIRST_ADMISSIONS).iter_rows(named=True)
    }
    rows = [
        _substance_row(row, first.get(row["prefix"]), minimum_cell)
        for row in substances.filter(pl.col("basis") == ADMISSIONS).iter_rows(named=True)
    ]
    return PublicationTable(
        name="table_s1_substances_by_sex",
        title="Table S1. Substance groups by sex",
        header=(
            "Substance group",
            "Admissions (rate [95 % interval])",
            "Female, n (%)",
            "Male, n (%)",
            "Male - female, points [95 % interval]",
            "p",
            "p (Holm)",
            "p (first admissions)",
        ),
        rows=tuple(rows),
        notes=(
            "An admission counts once for a group however many of its diagnoses belong to it, and "
            "may belong to several. p: chi-square test with Yates' correction; Fisher's exact test "
            "(marked *) where an expected count is below 5. p (first admissions): the same over "
            "the first admission of each patient, where the file links them.",
            _masking_note(minimum_cell),
        ),
    )


def discarded_table(kept: int, discarded: pl.DataFrame, minimum_cell: int) -> PublicationTable:
    """Return rows of the files by what became of them. discarded: `discarded_discharges`."""
    counted = discarded.group_by("reason").agg(pl.len()).sort("reason")
    parts = [kept, *counted["len"].to_list()]
    words = ["Kept", *(reason.replace("_", " ").capitalize() for reason in counted["reason"])]
    shown = shown_parts(parts, minimum_cell)
    return PublicationTable(
        name="table_s2_discarded_rows",
        title="Table S2. Rows of the files",
        header=("What became of the row", "Rows"),
        rows=tuple((word, count.text) for word, count in zip(words, shown, strict=True)),
        notes=("The first rule that a row fails is its reason.", _masking_note(minimum_cell)),
    )


def _class_rows(
    levels: pl.DataFrame, totals: dict[str, int], names: dict[str, str], minimum_cell: int
) -> list[tuple[str, ...]]:
    columns = []
    for sex, column in _SEXES:
        counts = [int(count) for count in levels[column].to_list()]
        # What no level holds is a part of the sex too, and could be subtracted.
        rest = totals[sex] - sum(counts)
        shown = shown_parts([*counts, rest], minimum_cell)
        columns.append([_count_and_share(count, totals[sex]) for count in shown])
    ranked = levels["variable"][0] == "principal_diagnosis"
    labels = [
        f"{code} {names.get(code, '')}".strip() if ranked else code for code in levels["level"]
    ]
    labels.append("Other" if ranked else "Not known")
    return [
        (f"  {label}", female, male, "", "", "")
        for label, female, male in zip(labels, *columns, strict=True)
    ]


def _quartile_row(levels: pl.DataFrame, test: Row, minimum_cell: int) -> tuple[str, ...]:
    cells = []
    for _, column in _SEXES:
        enough = test[f"{column}_known"] >= minimum_cell
        quartiles = dict(levels.select("measure", column).iter_rows())
        cells.append(
            f"{quartiles['median']:,.0f} [{quartiles['lower_quartile']:,.0f}, "
            f"{quartiles['upper_quartile']:,.0f}]"
            if enough
            else _ABSENT
        )
    return ("  Median [quartiles]", *cells, "", "", "")


def _substance_row(row: Row, first: Row | None, minimum_cell: int) -> tuple[str, ...]:
    parts = shown_parts([row["female"], row["male"]], minimum_cell)
    safe = all(part.value is not None for part in parts) and not _small_remainder(row, minimum_cell)
    name = f"{row['substance']} ({row['prefix']})"
    if not safe:
        both = shown_parts([row["admissions"]], minimum_cell)[0].text
        hidden = [part.text if part.value is None else "withheld" for part in parts]
        return (name, both, *hidden, _ABSENT, _ABSENT, _ABSENT, _ABSENT)
    both = f"{row['admissions']:,} ({_percent(row['rate'])} {_limits(row, 'rate', 100)})"
    return (
        name,
        both,
        _count_and_share(parts[0], row["female_total"]),
        _count_and_share(parts[1], row["male_total"]),
        _ABSENT
        if row["difference"] is None
        else f"{100 * row['difference']:+.1f} {_limits(row, 'difference', 100)}",
        _p(row),
        _number(row["p_holm"]),
        _ABSENT if first is None else _p(first),
    )


def _small_remainder(row: Row, minimum_cell: int) -> bool:
    without = (row["female_total"] - row["female"], row["male_total"] - row["male"])
    return any(0 < count < minimum_cell for count in without)


def _count_and_share(count: ShownCount, total: int) -> str:
    if count.value is None or total == 0:
        return count.text
    return f"{count.text} ({_percent(count.value / total)})"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _limits(row: Row, name: str, scale: float) -> str:
    lower, upper = row[f"{name}_lower"], row[f"{name}_upper"]
    return f"[{scale * lower:.1f}, {scale * upper:.1f}]"


def _p(row: Row) -> str:
    if row["p_exact"] is not None:
        return f"{_number(row['p_exact'])}*"
    return _number(row["p_value"])


def _number(p_value: float | None) -> str:
    if p_value is None:
        return _ABSENT
    return "< 0.001" if p_value < 0.001 else f"{p_value:.3f}"


def _effect(row: Row) -> str:
    if row["effect"] is None:
        return _ABSENT
    if row["effect_lower"] is None or row["effect_upper"] is None:
        return f"{row['effect']:.2f}"
    return f"{row['effect']:.2f} [{row['effect_lower']:.2f}, {row['effect_upper']:.2f}]"


def _masking_note(minimum_cell: int) -> str:
    return (
        f"Counts from 1 to {minimum_cell - 1} are masked (<{minimum_cell}), and others withheld "
        "where they would give one away."
    )


def publication_tables(
    tables: dict[str, pl.DataFrame], minimum_cell: int
) -> Sequence[PublicationTable]:
    """Return every table of the study from its lake tables by name."""
    titles = tables["diagnosis_description"].filter(pl.col("description").is_not_null())
    names = dict(titles.select("code", "description").iter_rows())
    discharges = tables["discharges"]
    return (
        sex_table(
            discharges, tables["sex_description"], tables["sex_comparison"], names, minimum_cell
        ),
        substances_table(tables["substance_table"], minimum_cell),
        discarded_table(discharges.height, tables["discarded_discharges"], minimum_cell),
    )
