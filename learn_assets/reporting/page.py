"""Page: one self-contained HTML file for a study, from a report that is already masked.

What belongs here: placing a report's blocks. The markup is in `templates/`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from learn_assets.reporting.document import (
    Block,
    Column,
    Figure,
    Report,
    Section,
    Table,
    block_anchor,
    numbered,
)
from learn_assets.reporting.values import Value

_TEMPLATES = Path(__file__).parent / "templates"
_MARK = "SYNTHETIC DATA"


@dataclass(frozen=True)
class CellView:
    """A cell of a table as the template shows it; rowspan 0: part of the cell above."""

    value: Value
    column: Column
    is_header: bool
    rowspan: int = 1


@dataclass(frozen=True)
class BlockView:
    """A block with its id and label; rows are those of a table, `svg` that of a figure."""

    kind: str
    block: Block
    anchor: str
    label: str
    rows: tuple[tuple[CellView, ...], ...] = ()
    svg: str = ""


@dataclass(frozen=True)
class SectionView:
    """A section with its heading's level and number, such as 2.1."""

    level: int
    number: str
    section: Section
    blocks: tuple[BlockView, ...]
    sections: tuple[SectionView, ...]


def render_page(report: Report) -> str:
    """Return the page as HTML text; the same report gives the same bytes."""
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    labels = numbered(report)
    sections = [
        _section_view(section, str(place), 2, labels, synthetic=report.synthetic)
        for place, section in enumerate(report.sections, start=1)
    ]
    return environment.get_template("study_report.html").render(
        report=report,
        sections=sections,
        mark=_MARK,
        style=(_TEMPLATES / "study_report.css").read_text(encoding="utf-8"),
    )


def _section_view(
    section: Section, number: str, level: int, labels: Mapping[str, str], *, synthetic: bool
) -> SectionView:
    return SectionView(
        level,
        number,
        section,
        tuple(_block_view(section, block, labels, synthetic) for block in section.blocks),
        tuple(
            _section_view(inner, f"{number}.{place}", level + 1, labels, synthetic=synthetic)
            for place, inner in enumerate(section.sections, start=1)
        ),
    )


def _block_view(
    section: Section, block: Block, labels: Mapping[str, str], synthetic: bool
) -> BlockView:
    anchor = block_anchor(section, block)
    label = labels.get(anchor, "")
    kind = type(block).__name__.lower()
    if isinstance(block, Table):
        return BlockView(kind, block, anchor, label, rows=_rows(block))
    if isinstance(block, Figure):
        svg = _marked(block.svg.svg) if synthetic else block.svg.svg
        return BlockView(kind, block, anchor, label, svg=svg)
    return BlockView(kind, block, anchor, label)


def _rows(table: Table) -> tuple[tuple[CellView, ...], ...]:
    spans = _spans(table)
    # The words that a row begins with name it.
    headers = 0
    for column in table.columns[:2]:
        headers += not column.numeric and headers == table.columns.index(column)
    headers = min(headers, 2 if table.grouped else 1)
    return tuple(
        tuple(
            CellView(value, column, place < headers, spans[number] if place == 0 else 1)
            for place, (value, column) in enumerate(zip(row, table.columns, strict=True))
        )
        for number, row in enumerate(table.rows)
    )


def _spans(table: Table) -> list[int]:
    """Return how many rows the first cell of each row covers; 0 where the one above covers it."""
    if not table.grouped:
        return [1] * len(table.rows)
    spans: list[int] = []
    opener = 0
    for number, row in enumerate(table.rows):
        if number and row[0].text == table.rows[number - 1][0].text:
            spans[opener] += 1
            spans.append(0)
        else:
            opener = number
            spans.append(1)
    return spans


def _marked(svg: str) -> str:
    """Return a figure that says of itself that its data are synthetic, wherever it is copied."""
    box = re.search(r'viewBox="([-\d.]+) ([-\d.]+) ([\d.]+) ([\d.]+)"', svg)
    if box is None:
        return svg
    left, top, width, height = map(float, box.groups())
    mark = (
        f'<text x="{left + width / 2:.1f}" y="{top + height / 2:.1f}" class="mark" '
        'text-anchor="middle" font-size="30" font-weight="700" fill="#8a6400" '
        f'fill-opacity="0.13" aria-hidden="true">{_MARK}</text>'
    )
    return svg.removesuffix("</svg>") + mark + "</svg>"
