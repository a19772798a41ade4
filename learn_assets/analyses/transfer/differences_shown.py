"""Site differences in a cell: how this site's patients and records differ from another model's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl

from learn_assets.analyses.transfer.figure import IMBALANCE, Difference, love_plot
from learn_assets.evaluation.feature_words import DESCRIPTIONS, feature_words
from learn_assets.reporting.context import CellContext
from learn_assets.reporting.document import Block, Column, Figure, Series, Table
from learn_assets.reporting.labels import in_words
from learn_assets.reporting.values import Value, number, rounded_column, share, words

_VARIABLES = {
    "age_at_index": "Age at index, years",
    "records": "Records, log(1 + n)",
    "distinct_codes": "Distinct codes, log(1 + n)",
    "sex|F": "Share of women",
    "sex|M": "Share of men",
    "sex|U": "Share of unknown sex",
    "has|diagnosis": "Share with diagnoses",
    "has|procedure": "Share with procedures",
    "has|medication": "Share with medications",
    "outcome": "Share of cases",
}
_CASE_MIX = "Case mix"
_HEADINGS = {"case_mix": _CASE_MIX, "count_feature": "Counts that moved most"}


def site_blocks(cell: CellContext, name: str, frame: pl.DataFrame, suffix: str) -> Iterator[Block]:
    """Yield the Love plot, the features that this site lacks, and means at both sites.

    frame: the rows of `site_differences` of the model `name`. suffix: ends the keys of its blocks.
    """
    named = _named(cell, frame)
    rows = [
        Difference(heading, _short(named[row["name"]]), row["standardized_difference"])
        for aspect, heading in _HEADINGS.items()
        for row in frame.filter(pl.col("aspect") == aspect).iter_rows(named=True)
        if row["standardized_difference"] is not None
    ]
    svg = love_plot(rows, f"{cell.anchor}-transfer{suffix}-love")
    if svg is not None:
        large = sum(abs(row.standardized) > IMBALANCE for row in rows if row.heading == _CASE_MIX)
        total = sum(row.heading == _CASE_MIX for row in rows)
        yield Figure(
            f"site_balance{suffix}",
            svg,
            f"Labeled patients here against those of {name} (Love plot). {large} of {total} "
            f"variables of case mix lie beyond {IMBALANCE} (shaded), filled. Counts: those of the "
            "model that moved most, so large ones are expected.",
            tuple(
                Series(row.name, (("standardized", rounded_column([row.standardized], 2)),))
                for row in rows
            ),
        )
    for table in (_lacking(name, frame, suffix), _case_mix(name, frame, named, suffix)):
        if table is not None:
            yield table


def _lacking(name: str, frame: pl.DataFrame, suffix: str) -> Table | None:
    """Return how many features of the model this site lacks, by kind and code system."""
    found = {row["name"]: row for row in frame.filter(aspect="features_found").to_dicts()}
    only = {row["name"]: row for row in frame.filter(aspect="features_not_in_model").to_dicts()}
    if not found and not only:
        return None
    rows = []
    for system in sorted({*found, *only}):
        wanted = found[system]["source"] if system in found else 0.0
        here = found[system]["here"] if system in found else 0.0
        rows.append(
            (
                words(in_words(system)),
                number(wanted, 0),
                number(wanted - here, 0),
                share(1 - here / wanted if wanted else None),
                number(only[system]["here"] if system in only else 0.0, 0),
            )
        )
    return Table(
        f"features_lacking{suffix}",
        f"Features of the models of {name} that this site never records",
        (
            Column("system", "Kind and code system", numeric=False),
            Column("wanted", "In the model"),
            Column("lacking", "Never here"),
            Column("share", "Share lacking"),
            Column("only_here", "Here, not in the model"),
        ),
        tuple(rows),
        note="A count that this site never records is 0 for every patient; a measurement is "
        "missing. What only this site records is not used by the model.",
    )


def _case_mix(name: str, frame: pl.DataFrame, named: dict[str, str], suffix: str) -> Table | None:
    compared = frame.filter(pl.col("aspect").is_in(["case_mix", "count_feature"]))
    if compared.is_empty():
        return None
    ordered = [
        (heading, row)
        for aspect, heading in _HEADINGS.items()
        for row in compared.filter(aspect=aspect).iter_rows(named=True)
    ]
    return Table(
        f"site_differences{suffix}",
        f"Labeled patients of {name} and here",
        (
            Column("aspect", "Aspect", numeric=False),
            Column("name", "Mean of", numeric=False),
            Column("source", "There"),
            Column("here", "Here"),
            Column("difference", "Standardized difference"),
        ),
        tuple(_compared(heading, row, named) for heading, row in ordered),
        note="Standardized difference: here minus there, in pooled standard deviations. Counts: "
        "means of log(1 + n).",
        grouped=True,
    )


def _compared(heading: str, row: Mapping[str, Any], named: Mapping[str, str]) -> tuple[Value, ...]:
    return (
        words(heading),
        words(named[row["name"]]),
        number(row["source"], 2),
        number(row["here"], 2),
        number(row["standardized_difference"], 2, signed=True),
    )


def _named(cell: CellContext, frame: pl.DataFrame) -> dict[str, str]:
    """Return variables and counts in words; a code without a description stays a code."""
    names = frame.filter(pl.col("aspect").is_in(list(_HEADINGS)))["name"].to_list()
    tables = (cell.table(name) for name in DESCRIPTIONS)
    described = feature_words(names, *(table for table in tables if table is not None))
    return {name: _VARIABLES.get(name) or _count_words(name, described.get(name)) for name in names}


def _short(name: str) -> str:
    """Return a name without its code, which the table has."""
    return name.rpartition(" (")[0] or name


def _count_words(name: str, described: str | None) -> str:
    code = " ".join(name.split("|")[1:])
    return f"{described} ({code})" if described else code
