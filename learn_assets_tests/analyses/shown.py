"""What is shown of an analysis: the words of a figure, and small tables to draw from."""

from __future__ import annotations

from xml.etree import ElementTree

import polars as pl

from learn_assets.reporting.figures import SvgFigure
from learn_assets.schemas.registry import empty_frame


def text_of(figure: SvgFigure | None) -> str:
    """Return the words of a figure that is well formed and described."""
    assert figure is not None
    root = ElementTree.fromstring(figure.svg)
    assert [element.text for element in root[:2]] == [figure.title, figure.alternative]
    return "\n".join(root.itertext())


def filled(table: str, rows: list[dict[str, object]]) -> pl.DataFrame:
    """Return rows of a table, empty where nothing is said."""
    columns = empty_frame(table).schema
    return pl.DataFrame([{name: row.get(name) for name in columns} for row in rows], schema=columns)
