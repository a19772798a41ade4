"""Summary: what a subtypes study has in its lake, as text for the terminal; small counts masked."""

from __future__ import annotations

from collections.abc import Iterator

from learn_assets.lake import Lake
from learn_assets.subtypes.manuscript import FOLDER, SOURCES
from learn_assets.subtypes.publication import PublicationTable
from learn_assets.subtypes.study import SubtypeStudy
from learn_assets.subtypes.tables import publication_tables

_WIDEST = 46


def subtypes_summary(study: SubtypeStudy, lake: Lake) -> str:
    """Return the study's tables as text; a lake that lacks one says what to do."""
    label = " (synthetic data)" if study.synthetic else ""
    title = f"{study.title}{label}"
    if any(lake.stamp(name) is None for name in (*SOURCES, "discharge_tables")):
        return f"{title}\nnothing yet; run: learn-assets materialize --study {study.name}"
    tables = {name: lake.read(name) for name in SOURCES}
    parts = [
        "\n".join(_lines(table)) for table in publication_tables(tables, study.privacy.minimum_cell)
    ]
    files = f"These tables as Word and CSV, and the figures: {lake.folder(FOLDER)}"
    return "\n\n".join([title, *parts, files])


def _lines(table: PublicationTable) -> Iterator[str]:
    yield table.title
    rows = [table.header, *table.rows]
    cells = [[_shortened(cell) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(table.header))]
    for row in cells:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _shortened(cell: str) -> str:
    return cell if len(cell) <= _WIDEST else f"{cell[: _WIDEST - 1]}…"
