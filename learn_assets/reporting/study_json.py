"""Study JSON: the report for machines, number for number what the page shows.

What belongs here: the form of `study.json`. Its version rises with each change of form: the first
number when a reader must change, the second when something is added.
"""

from __future__ import annotations

import json
from typing import Any

from learn_assets.reporting.document import (
    Block,
    Bullets,
    Facts,
    Figure,
    Flow,
    Paragraph,
    Report,
    Section,
    Source,
    Table,
    block_anchor,
    numbered,
)
from learn_assets.reporting.values import for_machines

SCHEMA = "learn_assets/study_report"
SCHEMA_VERSION = "1.1"


def render_json(report: Report) -> str:
    """Return the report as JSON text; the same report gives the same bytes."""
    labels = numbered(report)
    document = {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "name": report.name,
        "title": report.title,
        "synthetic": report.synthetic,
        "minimum_cell": report.minimum_cell,
        "sections": [_section(section, labels) for section in report.sections],
    }
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _section(section: Section, labels: dict[str, str]) -> dict[str, Any]:
    return {
        "id": section.anchor,
        "title": section.title,
        "content": [_block(section, block, labels) for block in section.blocks],
        "sections": [_section(inner, labels) for inner in section.sections],
    }


def _block(section: Section, block: Block, labels: dict[str, str]) -> dict[str, Any]:
    anchor = block_anchor(section, block)
    head: dict[str, Any] = {"type": type(block).__name__.lower()}
    if block.key:
        head |= {"key": block.key, "id": anchor}
    if anchor in labels:
        head["label"] = labels[anchor]
    return head | _content(block)


def _content(block: Block) -> dict[str, Any]:
    if isinstance(block, Table):
        return _table(block)
    if isinstance(block, Flow):
        return _flow(block)
    if isinstance(block, Figure):
        return _figure(block)
    return _words(block)


def _words(block: Paragraph | Bullets | Facts | Source) -> dict[str, Any]:
    match block:
        case Paragraph():
            return {"tone": block.tone, "text": block.text}
        case Bullets():
            return {"items": list(block.items)}
        case Facts():
            return {
                "values": [{"name": item.name, **for_machines(item.value)} for item in block.items]
            }
        case Source():
            return {"caption": block.caption, "text": block.text}


def _table(table: Table) -> dict[str, Any]:
    return {
        "caption": table.caption,
        "note": table.note,
        "columns": [{"key": column.key, "title": column.title} for column in table.columns],
        "rows": [
            {
                column.key: for_machines(value)
                for column, value in zip(table.columns, row, strict=True)
            }
            for row in table.rows
        ],
    }


def _flow(flow: Flow) -> dict[str, Any]:
    return {
        "caption": flow.caption,
        "steps": [
            {
                "name": step.name,
                "reason": step.reason,
                "remaining": for_machines(step.remaining),
                "removed": for_machines(step.removed),
            }
            for step in flow.steps
        ],
        "groups": [{"name": group.name, **for_machines(group.value)} for group in flow.groups],
    }


def _figure(figure: Figure) -> dict[str, Any]:
    return {
        "caption": figure.caption,
        "title": figure.svg.title,
        "alternative": figure.svg.alternative,
        "series": [
            {"name": series.name, **{name: list(values) for name, values in series.columns}}
            for series in figure.series
        ],
    }
