"""Publication: a table as CSV and as a Word file, with the same bytes for the same content.

What belongs here: writing. What is written has passed disclosure control before.
"""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass

# What an archive says of a file's time: the earliest that the format can.
_NO_TIME = (1980, 1, 1, 0, 0, 0)
_INDENT = "  "
_PORTRAIT_COLUMNS = 5
_PORTRAIT_CM, _LANDSCAPE_CM = 15.2, 21.5


class WordUnavailableError(RuntimeError):
    """python-docx is not installed; the message says how to install it."""


@dataclass(frozen=True)
class PublicationTable:
    """A table of shown cells. Rows indented by two spaces belong to the heading above them.

    widths: of the columns in a Word file, relative to each other; by default labels take twice the
    room of numbers.
    """

    name: str
    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()
    widths: tuple[float, ...] = ()


def as_csv(table: PublicationTable) -> bytes:
    """Return header and rows as CSV, UTF-8."""
    target = io.StringIO()
    writer = csv.writer(target, lineterminator="\n")
    writer.writerow(table.header)
    writer.writerows(table.rows)
    return target.getvalue().encode()


def as_word(table: PublicationTable) -> bytes:
    """Return a .docx file: title, table with a repeated header row, notes.

    WordUnavailableError without python-docx.
    """
    try:
        from docx import Document
        from docx.enum.section import WD_ORIENT
        from docx.shared import Pt
    except ImportError:
        raise WordUnavailableError(
            "Word tables need the extra `subtypes`: pip install 'learn-assets[subtypes]'"
        ) from None
    document = Document()
    page = document.sections[0]
    if len(table.header) > _PORTRAIT_COLUMNS:
        page.orientation = WD_ORIENT.LANDSCAPE
        page.page_width, page.page_height = page.page_height, page.page_width
    document.styles["Normal"].font.name = "Calibri"
    document.styles["Normal"].font.size = Pt(9)
    document.add_heading(table.title, level=2)
    _add_rows(document, table)
    for note in table.notes:
        document.add_paragraph(note).paragraph_format.space_before = Pt(4)
    target = io.BytesIO()
    document.save(target)
    return _without_times(target.getvalue())


def _add_rows(document: object, table: PublicationTable) -> None:
    from docx.oxml import OxmlElement
    from docx.shared import Cm

    wide = len(table.header) > _PORTRAIT_COLUMNS
    across = _LANDSCAPE_CM if wide else _PORTRAIT_CM
    relative = table.widths or (2.0, *[1.0] * (len(table.header) - 1))
    widths = [Cm(across * width / sum(relative)) for width in relative]
    grid = document.add_table(rows=1, cols=len(table.header), style="Table Grid")  # type: ignore[attr-defined]
    grid.autofit = False
    # Word reads the widths of cells, other programs those of columns.
    for column, width in zip(grid.columns, widths, strict=True):
        column.width = width
    _fill(grid.rows[0], table.header, widths, bold=True)
    properties = grid.rows[0]._tr.get_or_add_trPr()
    properties.append(OxmlElement("w:tblHeader"))
    sectioned = any(row[0].startswith(_INDENT) for row in table.rows)
    for row in table.rows:
        heading = sectioned and not row[0].startswith(_INDENT)
        added = grid.add_row()
        _fill(added, row, widths, bold=heading)
        if heading and not any(row[1:]):
            across_all = added.cells[0].merge(added.cells[-1])
            # Merging keeps the empty paragraph of every cell.
            for paragraph in across_all.paragraphs[1:]:
                paragraph._element.getparent().remove(paragraph._element)


def _fill(row: object, texts: tuple[str, ...], widths: Sequence[int], *, bold: bool) -> None:
    cells = row.cells  # type: ignore[attr-defined]
    for cell, text, width in zip(cells, texts, widths, strict=True):
        cell.width = width
        cell.paragraphs[0].add_run(text).bold = bold


def _without_times(content: bytes) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as source, zipfile.ZipFile(target, "w") as packed:
        for item in source.infolist():
            entry = zipfile.ZipInfo(item.filename, date_time=_NO_TIME)
            entry.compress_type = zipfile.ZIP_DEFLATED
            packed.writestr(entry, source.read(item.filename))
    return target.getvalue()
