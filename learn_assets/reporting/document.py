"""Document: what a report consists of, whatever it is printed as.

What belongs here: sections and the typed blocks in them. The page and `study.json` are two
renderings of one document, so neither can hold a number that the other lacks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from learn_assets.reporting.figures import SvgFigure
from learn_assets.reporting.values import Value

Tone = Literal["plain", "lead", "quiet", "warning", "absent"]


@dataclass(frozen=True)
class Paragraph:
    """Sentences; tone `absent` says why something is not shown."""

    text: str
    tone: Tone = "plain"
    key: str = ""


@dataclass(frozen=True)
class Bullets:
    """Sentences one below the other."""

    key: str
    items: tuple[str, ...]


@dataclass(frozen=True)
class NamedValue:
    """A value with its name."""

    name: str
    value: Value


@dataclass(frozen=True)
class Facts:
    """Named values; `layout` numbers are short, words may be long."""

    key: str
    items: tuple[NamedValue, ...]
    layout: Literal["numbers", "words"] = "words"


@dataclass(frozen=True)
class Column:
    """A column of a table; `key` is its name in `study.json`."""

    key: str
    title: str
    numeric: bool = True


@dataclass(frozen=True)
class Table:
    """A table of values, as many a row as there are columns.

    grouped: equal values that follow each other in the first column are one cell. folded: closed
    until a reader opens it.
    """

    key: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Value, ...], ...]
    note: str = ""
    grouped: bool = False
    folded: bool = False

    def __post_init__(self) -> None:
        if any(len(row) != len(self.columns) for row in self.rows):
            raise ValueError(f"table {self.key}: a row has another length than the columns")


@dataclass(frozen=True)
class FlowStep:
    """Patients left after a rule, and the patients it removed."""

    name: str
    reason: str
    remaining: Value
    removed: Value


@dataclass(frozen=True)
class Flow:
    """A flow diagram: a step a rule, and the groups that the last step consists of."""

    key: str
    caption: str
    steps: tuple[FlowStep, ...]
    groups: tuple[NamedValue, ...] = ()


@dataclass(frozen=True)
class Series:
    """What a figure draws of one model or group: named columns of equal length, rounded."""

    name: str
    columns: tuple[tuple[str, tuple[float | None, ...]], ...]


@dataclass(frozen=True)
class Figure:
    """A figure with its caption and the numbers that are drawn."""

    key: str
    svg: SvgFigure
    caption: str
    series: tuple[Series, ...] = ()


@dataclass(frozen=True)
class Source:
    """Text as a machine reads it, such as a study file; closed until a reader opens it."""

    key: str
    caption: str
    text: str


Block = Paragraph | Bullets | Facts | Table | Flow | Figure | Source


@dataclass(frozen=True)
class Section:
    """A heading, what stands below it, and the sections inside it.

    folded: all below the heading is closed until a reader opens it; it is printed all the same.
    """

    anchor: str
    title: str
    blocks: tuple[Block, ...] = ()
    sections: tuple[Section, ...] = ()
    folded: bool = False

    def walk(self) -> Iterator[Section]:
        """Yield this section and those inside it, in the order of the document."""
        yield self
        for section in self.sections:
            yield from section.walk()


@dataclass(frozen=True)
class Report:
    """The whole document of one study."""

    name: str
    title: str
    synthetic: bool
    minimum_cell: int
    sections: tuple[Section, ...]

    def walk(self) -> Iterator[Section]:
        """Yield every section, in the order of the document."""
        for section in self.sections:
            yield from section.walk()


def block_anchor(section: Section, block: Block) -> str:
    """Return the id of a block, by which it can be linked to."""
    return f"{section.anchor}-{block.key}".replace("_", "-")


def topics(sections: tuple[Section, ...]) -> dict[str, str]:
    """Return where each topic is reported first: its name and the anchor.

    The topic of a block is its key up to the first `-`; what is said to be absent is none.
    """
    found: dict[str, str] = {}
    for section in (inner for outer in sections for inner in outer.walk()):
        for block in section.blocks:
            if block.key and not (isinstance(block, Paragraph) and block.tone == "absent"):
                found.setdefault(block.key.split("-")[0], block_anchor(section, block))
    return found


def numbered(report: Report) -> dict[str, str]:
    """Return the label of each table and figure, such as `Table 3`, by its anchor."""
    labels: dict[str, str] = {}
    tables = figures = 0
    for section in report.walk():
        for block in section.blocks:
            if isinstance(block, Table):
                tables += 1
                labels[block_anchor(section, block)] = f"Table {tables}"
            elif isinstance(block, Figure | Flow):
                figures += 1
                labels[block_anchor(section, block)] = f"Figure {figures}"
    return labels


def absent(what: str, why: str) -> Paragraph:
    """Return the one line that stands for something that cannot be shown."""
    return Paragraph(f"{what}: not shown, because {why}.", tone="absent")
