"""Summary: what a subtypes study has in its lake, as text for the terminal; small counts masked."""

from __future__ import annotations

from collections.abc import Iterator

from learn_assets.lake import Lake
from learn_assets.study.subtypes import SubtypeStudy
from learn_assets.subtypes.audit import NuisanceError
from learn_assets.subtypes.cluster_files import PAGE_FILE, PAGE_FOLDER
from learn_assets.subtypes.cluster_results import collect_clusters
from learn_assets.subtypes.cluster_tables import audit_table, subtypes_table
from learn_assets.subtypes.manuscript import FOLDER, SOURCES
from learn_assets.subtypes.publication import PublicationTable
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
    return "\n\n".join([title, *parts, files, *_cluster_parts(study, lake)])


def _cluster_parts(study: SubtypeStudy, lake: Lake) -> Iterator[str]:
    """Yield the verdict and the subtypes of each sex, or what is still to be made."""
    if any(lake.stamp(name) is None for name in ("subtype_match", "subtype_page")):
        yield f"No subtypes yet; run: learn-assets materialize --study {study.name}"
        return
    try:
        results = collect_clusters(study, lake)
    except NuisanceError as error:
        yield f"Subtypes are not shown: {error}"
        return
    for one in results.sexes:
        table = subtypes_table(one, one.minimum_cell)
        shown = PublicationTable(
            table.name, table.title, table.header[:4], tuple(row[:4] for row in table.rows)
        )
        told = (one.verdict["verdict"], one.verdict["published_verdict"])
        yield "\n".join([*_lines(shown), *(str(words) for words in told if words)])
    yield "\n".join(_lines(audit_table(results.sexes)))
    yield f"Page of the study: {lake.folder(PAGE_FOLDER) / PAGE_FILE}"


def _lines(table: PublicationTable) -> Iterator[str]:
    yield table.title
    rows = [table.header, *table.rows]
    cells = [[_shortened(cell) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(table.header))]
    for row in cells:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _shortened(cell: str) -> str:
    return cell if len(cell) <= _WIDEST else f"{cell[: _WIDEST - 1]}…"
