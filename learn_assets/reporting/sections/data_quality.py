"""Data quality: expectations, descriptions of codes, rows refused, codes without a description."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import polars as pl

from learn_assets.disclosure import shown, shown_share
from learn_assets.quality.findings import Finding, failed, findings
from learn_assets.reporting.context import StudyContext, not_made
from learn_assets.reporting.document import (
    Block,
    Column,
    Facts,
    NamedValue,
    Paragraph,
    Section,
    Table,
    absent,
)
from learn_assets.reporting.labels import in_words
from learn_assets.reporting.values import Value, count, number, words
from learn_assets.schemas.registry import ARRIVING
from learn_assets.study.expectations import CATEGORIES, EVENT_TABLES, Category

_ORDER = ("patient", *EVENT_TABLES)


def data_quality(context: StudyContext) -> Section:
    """Return expectations, coverage of descriptions, quarantine and unmapped codes."""
    described = (_coverage(context), _quarantine(context), _unmapped(context))
    return Section("data-quality", "Data quality", (*_expectations(context), *described))


def _expectations(context: StudyContext) -> Iterator[Block]:
    """Yield what fails first, then everything else that was expected, closed."""
    table = context.table("data_quality")
    if table is None:
        yield absent("Expectations of the data as a whole", not_made("data_quality"))
        return
    found = findings(table)
    wrong = failed(found)
    held = sum(finding.passed is True for finding in found)
    counts = {
        "Expectations": len(found),
        "Hold": held,
        "Fail as errors": sum(finding.is_error for finding in wrong),
        "Fail as warnings": sum(not finding.is_error for finding in wrong),
        "Not judged": len(found) - held - len(wrong),
    }
    told = tuple(NamedValue(name, number(counted, 0)) for name, counted in counts.items())
    yield Facts("expectations", told, layout="numbers")
    yield Paragraph(
        "Expectations of the data as a whole, in the categories of Kahn et al. (2016); the study "
        "may change their thresholds. Small counts are masked, so some shares are told in words.",
        tone="quiet",
    )
    if wrong:
        yield _failures(wrong)
    for category in CATEGORIES:
        others = [item for item in found if item.category == category and item not in wrong]
        if others:
            yield _others(category, others)


_TABLE = Column("table", "Table", numeric=False)
_FINDING = (
    Column("measure", "Measured", numeric=False),
    Column("found", "Found"),
    Column("expected", "Expected"),
    Column("result", "Result", numeric=False),
)


def _failures(wrong: Sequence[Finding]) -> Table:
    return Table(
        "expectations-failed",
        "Expectations of the data that fail, errors first",
        (_TABLE, *_FINDING, Column("category", "Category", numeric=False)),
        tuple((*_finding(item), words(in_words(item.category))) for item in wrong),
    )


def _others(category: Category, others: Sequence[Finding]) -> Table:
    order = sorted(others, key=lambda item: _ORDER.index(item.table))
    return Table(
        f"expectations-{category}",
        f"{in_words(category)}: other expectations",
        (_TABLE, *_FINDING),
        tuple(_finding(item) for item in order),
        grouped=True,
        folded=True,
    )


def _finding(item: Finding) -> tuple[Value, ...]:
    return (
        words(in_words(item.table)),
        words(in_words(item.measure)),
        Value(item.shown, item.value),
        Value(item.expected, item.threshold),
        words(_result(item)),
    )


def _result(finding: Finding) -> str:
    if finding.passed is None:
        return f"not judged: {finding.detail}"
    if finding.passed:
        return "holds"
    verdict = "error" if finding.is_error else "warning"
    return f"{verdict}: {finding.detail}" if finding.detail else verdict


def _coverage(context: StudyContext) -> Block:
    table = context.table("description_coverage")
    if table is None or table.is_empty():
        why = not_made("description_coverage") if table is None else "there are no coded records"
        return absent("Coverage of descriptions", why)
    minimum = context.minimum_cell
    return Table(
        "coverage",
        "Records whose code has a description",
        (
            Column("kind", "Kind", numeric=False),
            Column("code_system", "Code system", numeric=False),
            Column("records", "Records"),
            Column("described", "Described"),
        ),
        tuple(
            (
                words(in_words(row["kind"])),
                words(row["code_system"]),
                count(shown(row["records"], minimum)),
                words(shown_share(row["described"], row["records"], minimum)),
            )
            for row in table.sort("kind", "code_system").iter_rows(named=True)
        ),
        grouped=True,
    )


def _quarantine(context: StudyContext) -> Block:
    names = (f"{name}_quarantine" for name in ARRIVING)
    tables = {name: table for name in names if (table := context.table(name)) is not None}
    if not tables:
        return absent("Rows refused at validation", not_made("patient_quarantine"))
    rows = [row for name, table in tables.items() for row in _refused(name, table, context)]
    if not rows:
        return absent("Rows refused at validation", f"none of {len(tables)} tables has any")
    return Table(
        "quarantine",
        "Rows refused at validation; they stay in the lake, and no other table reads them",
        (
            Column("table", "Table", numeric=False),
            Column("reason", "Reason", numeric=False),
            Column("rows", "Rows"),
        ),
        tuple(rows),
        grouped=True,
    )


def _refused(
    name: str, table: pl.DataFrame, context: StudyContext
) -> Iterator[tuple[Value, Value, Value]]:
    """Yield a row a reason, the most frequent first, and one for all that are rare."""
    title = words(in_words(name.removesuffix("_quarantine")))
    counts = table.group_by("reason").len().sort("len", "reason", descending=[True, False])
    rare = []
    for reason, refused in counts.iter_rows():
        told = shown(refused, context.minimum_cell)
        if told.value is None:
            rare.append(in_words(reason).lower())
        else:
            yield title, words(in_words(reason)), count(told)
    if rare:
        each = f"<{context.minimum_cell} each" if len(rare) > 1 else f"<{context.minimum_cell}"
        yield title, words(in_words(", ".join(sorted(rare)))), words(each)


def _unmapped(context: StudyContext) -> Block:
    table = context.table("unmapped_codes")
    if table is None:
        return absent("Codes without a description", not_made("unmapped_codes"))
    if table.is_empty():
        return absent("Codes without a description", "every code on record has one")
    # A rare code can be a note about one person, so codes are counted and not named.
    totals = (
        table.group_by("kind", "code_system")
        .agg(pl.len().alias("codes"), pl.col("records").sum())
        .sort("kind", "code_system")
    )
    minimum = context.minimum_cell
    return Table(
        "unmapped",
        "Codes without a description",
        (
            Column("kind", "Kind", numeric=False),
            Column("code_system", "Code system", numeric=False),
            Column("codes", "Distinct codes"),
            Column("records", "Records"),
        ),
        tuple(
            (
                words(in_words(row["kind"])),
                words(row["code_system"]),
                count(shown(row["codes"], minimum)),
                count(shown(row["records"], minimum)),
            )
            for row in totals.iter_rows(named=True)
        ),
        grouped=True,
    )
