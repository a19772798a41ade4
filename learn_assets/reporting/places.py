"""Places: where in the report the section of an analysis stands.

What belongs here: the chapters that analyses add to. `analyses/<name>/section.py` names its place
as `SECTION`; the lowest number comes first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from learn_assets.discovery import load, parts
from learn_assets.reporting.context import CellContext, StudyContext
from learn_assets.reporting.document import Block, Section


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
    """Tables and figures within a cell's section of sensitivity analyses."""

    at: int
    make: Callable[[CellContext], Sequence[Block]]


_Place = TypeVar("_Place", StudySection, CellSection, SensitivityBlocks)


def placed(kind: type[_Place]) -> list[_Place]:
    """Return what the analyses add to a chapter, in order."""
    found = (module.SECTION for module in load(parts("section")))
    return sorted((item for item in found if isinstance(item, kind)), key=lambda item: item.at)
