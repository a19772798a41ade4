"""Data quality: descriptions of codes, rows refused at validation, codes without a description."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from learn_assets.reporting.context import StudyContext, not_made
from learn_assets.reporting.disclosure import shown, shown_share
from learn_assets.reporting.document import Block, Column, Section, Table, absent
from learn_assets.reporting.labels import in_words
from learn_assets.reporting.values import Value, count, words
from learn_assets.schemas.registry import VALIDATED


def data_quality(context: StudyContext) -> Section:
    """Return coverage of descriptions, quarantine and unmapped codes of the extract."""
    blocks = (_coverage(context), _quarantine(context), _unmapped(context))
    return Section("data-quality", "Data quality", blocks)


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
    names = (f"{name}_quarantine" for name in VALIDATED)
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
