"""Places: where in the report the section of an analysis stands.

What belongs here: the chapters that analyses add to. `analyses/<name>/section.py` names its place
as `SECTION`; the lowest number comes first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import polars as pl

from learn_assets.discovery import load, parts
from learn_assets.reporting.context import CellContext, StudyContext, not_made
from learn_assets.reporting.document import Block, Section, absent


@dataclass(frozen=True)
class StudySection:
    """A section about all cells, before the first window; None where there is nothing to say."""

    at: int
    make: Callable[[StudyContext], Section | None]


@dataclass(frozen=True)
class CellSection:
    """A section of every cell, after calibration."""

    at: int
    make: Callable[[CellContext], Section]


@dataclass(frozen=True)
class SensitivityBlocks:
    """Tables and figures within a cell's section of sensitivity analyses.

    table: what they are made from; one line stands for them without its rows. why_empty: the reason
    in that line.
    """

    at: int
    title: str
    table: str
    make: Callable[[CellContext, pl.DataFrame], Sequence[Block]]
    why_empty: str = "the study does not ask for it, or there are too few patients"

    def blocks(self, cell: CellContext) -> Sequence[Block]:
        """Return what there is to show of a cell, or the line that says why there is nothing."""
        frame = cell.of_cell(self.table)
        if frame is None:
            return [absent(self.title, not_made(self.table))]
        if frame.is_empty():
            return [absent(self.title, self.why_empty)]
        return self.make(cell, frame)


_Place = TypeVar("_Place", StudySection, CellSection, SensitivityBlocks)


def placed(kind: type[_Place]) -> list[_Place]:
    """Return what the analyses add to a chapter, in order."""
    found = (module.SECTION for module in load(parts("section")))
    return sorted((item for item in found if isinstance(item, kind)), key=lambda item: item.at)
