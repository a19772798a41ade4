"""Summary: what a subtypes study has in its lake, for people and programs; counts masked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

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


@dataclass(frozen=True)
class SubtypesSummary:
    """What a study shows so far, in order: tables, whose notes are verdicts, and remarks."""

    name: str
    title: str
    synthetic: bool
    parts: tuple[PublicationTable | str, ...]

    @property
    def text(self) -> str:
        """The summary as a terminal shows it; long cells are shortened."""
        title = f"{self.title}{' (synthetic data)' if self.synthetic else ''}"
        shown = (part if isinstance(part, str) else "\n".join(_lines(part)) for part in self.parts)
        return "\n\n".join([title, *shown])

    def document(self) -> dict[str, object]:
        """Return the same tables and remarks for programs."""
        tables = [part for part in self.parts if isinstance(part, PublicationTable)]
        return {
            "study": self.name,
            "title": self.title,
            "synthetic": self.synthetic,
            "tables": [
                {
                    "name": table.name,
                    "title": table.title,
                    "columns": table.header,
                    "rows": table.rows,
                    "verdicts": table.notes,
                }
                for table in tables
            ],
            "remarks": [part for part in self.parts if isinstance(part, str)],
        }


def subtypes_summary(study: SubtypeStudy, lake: Lake) -> SubtypesSummary:
    """Return the study's tables; for a lake that lacks one, what to do."""
    return SubtypesSummary(study.name, study.title, study.synthetic, tuple(_parts(study, lake)))


def _parts(study: SubtypeStudy, lake: Lake) -> Iterator[PublicationTable | str]:
    if any(lake.stamp(name) is None for name in (*SOURCES, "discharge_tables")):
        yield f"nothing yet; run: learn-assets materialize --study {study.name}"
        return
    tables = {name: lake.read(name) for name in SOURCES}
    for table in publication_tables(tables, study.privacy.minimum_cell):
        yield replace(table, notes=())
    yield f"These tables as Word and CSV, and the figures: {lake.folder(FOLDER)}"
    yield from _cluster_parts(study, lake)


def _cluster_parts(study: SubtypeStudy, lake: Lake) -> Iterator[PublicationTable | str]:
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
        told = (one.verdict["verdict"], one.verdict["published_verdict"])
        yield PublicationTable(
            name=table.name,
            title=table.title,
            header=table.header[:4],
            rows=tuple(row[:4] for row in table.rows),
            notes=tuple(str(words) for words in told if words),
        )
    yield replace(audit_table(results.sexes), notes=())
    yield f"Page of the study: {lake.folder(PAGE_FOLDER) / PAGE_FILE}"


def _lines(table: PublicationTable) -> Iterator[str]:
    yield table.title
    rows = [table.header, *table.rows]
    cells = [[_shortened(cell) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(table.header))]
    for row in cells:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
    yield from table.notes


def _shortened(cell: str) -> str:
    return cell if len(cell) <= _WIDEST else f"{cell[: _WIDEST - 1]}…"
