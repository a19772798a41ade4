"""Which column is which: header variants, unnamed id columns, and files without a header."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from learn_assets.sources.delimited import Dialect, first_lines, split_line
from learn_assets.sources.files import SourceError, SourceFile

SAMPLE_LINES = 100
_MOST_LINES_BEFORE_HEADER = 20
_NAMES_IN_NOTE = 5
MOST_COLUMNS = 10_000
PATIENT_ID = "patient_id"
_RESERVED = ("source_file", "source_row")
_SEPARATORS = ("\t", ",", ";", "|")

_LOOKS = {
    "date": re.compile(r"\d{8}|\d{4}-\d{2}-\d{2}.*"),
    "code_system": re.compile(
        r"ICD.*|CPT.*|HCPCS|RxNorm|NDC|LOINC|SNOMED.*|TNX|CVX|VA.*|ATC", re.IGNORECASE
    ),
    "code": re.compile(r"[A-Z0-9.:*-]{1,20}", re.IGNORECASE),
    "sex": re.compile(r"F|M|U|female|male|unknown|", re.IGNORECASE),
    "year_of_birth": re.compile(r"(1[89]|20)\d\d(\.0)?|"),
    "score": re.compile(r"[+-]?\d*\.?\d+(e[+-]?\d+)?|", re.IGNORECASE),
}


@dataclass(frozen=True)
class TableLayout:
    """How a table looks in a file.

    `aliases` gives, for each canonical column, the header names that mean it, best first, squashed
    (lower case, letters and digits only). `positional` gives the column orders known of files
    without a header.
    """

    required: tuple[str, ...]
    aliases: Mapping[str, tuple[str, ...]]
    positional: tuple[tuple[str, ...], ...] = ()
    keep_unknown: bool = True

    @property
    def canonical(self) -> tuple[str, ...]:
        """Names a table of this layout always has."""
        return tuple(self.aliases)

    @property
    def identified(self) -> bool:
        """Whether the first column is the patient id when no header names it."""
        return PATIENT_ID in self.aliases


@dataclass(frozen=True)
class FileShape:
    """How one file is to be read: its columns in order and its dialect.

    header_lines: non-empty lines up to and with the one that names the columns; 0 without one.
    notes: what is unusual about the file and read all the same, in words without values.
    """

    file: SourceFile
    columns: tuple[str, ...]
    dialect: Dialect
    header_lines: int
    notes: tuple[str, ...] = ()


def squash(name: str) -> str:
    """Return a header name reduced to its lower-case letters and digits."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def file_shapes(files: Sequence[SourceFile], layout: TableLayout) -> tuple[FileShape, ...]:
    """Return the shape of every non-empty file of a table.

    A file without a header takes the columns of a sibling that has one and as many columns, or the
    known column order that fits its values. SourceError names the file, what is missing, and the
    names that are understood, or says that line 1 has more than MOST_COLUMNS columns.
    """
    shapes: list[FileShape] = []
    headless: list[tuple[SourceFile, list[list[str]], Dialect]] = []
    for file in files:
        lines = first_lines(file, SAMPLE_LINES)
        if not lines:
            continue
        place = _header_place(lines, layout)
        dialect = Dialect(_separator(lines[place]))
        cells = split_line(lines[place], dialect) or []
        if len(cells) > MOST_COLUMNS:
            raise SourceError(
                f"{file.label}, line 1: {len(cells)} columns, and at most {MOST_COLUMNS} are read; "
                "check its line ends, or remove columns"
            )
        if _is_header(cells, layout):
            shapes.append(_named_shape(file, lines[place:], layout, place))
            continue
        rows = [row for row in (split_line(line, dialect) for line in lines) if row]
        headless.append((file, rows, dialect))
    named = tuple(shapes)
    for file, rows, dialect in headless:
        columns = _columns_of_headless(file, rows, layout, named)
        names_line_one = not _fits(rows[:1], columns) and not _has_digit(rows[0])
        shapes.append(FileShape(file, columns, dialect, int(names_line_one)))
    return tuple(sorted(shapes, key=lambda shape: shape.file.label))


def _header_place(lines: list[str], layout: TableLayout) -> int:
    """Return the place of the first line that names columns; 0 when none does.

    A title, comments or `sep=;`, as spreadsheets want it, may stand before it.
    """
    for place, line in enumerate(lines[:_MOST_LINES_BEFORE_HEADER]):
        cells = split_line(line, Dialect(_separator(line))) or []
        if len(cells) > 1 and _is_header(cells, layout):
            return place
    return 0


def _named_shape(
    file: SourceFile, lines: list[str], layout: TableLayout, skipped: int
) -> FileShape:
    """Return the shape of a file by its header, the first of `lines`."""
    dialect = Dialect(_separator(lines[0]))
    cells = split_line(lines[0], dialect) or []
    columns = _name_columns(cells, layout, file)
    notes = []
    if skipped:
        notes.append(f"{skipped} lines before the header were skipped")
    written = Counter(cell.strip().lower() for cell in cells if cell.strip())
    twice = sorted(name for name, times in written.items() if times > 1)[:_NAMES_IN_NOTE]
    if twice:
        notes.append(f"the header names {', '.join(twice)} more than once; the first is read")
    beyond = _cells_beyond(lines[1:], len(cells), dialect)
    if beyond:
        notes.append("rows end in delimiters that the header lacks; they were left out")
        columns = (*columns, *(f"beyond_the_header_{number + 1}" for number in range(beyond)))
    return FileShape(file, columns, dialect, skipped + 1, tuple(notes))


def _cells_beyond(lines: list[str], width: int, dialect: Dialect) -> int:
    """Return how many empty cells every row of a sample has beyond its header; 0 if any differs."""
    rows = [row for row in (split_line(line, dialect) for line in lines) if row is not None]
    beyond = {len(row) - width for row in rows}
    if len(beyond) != 1 or not rows or min(beyond) < 1:
        return 0
    return min(beyond) if not any(cell.strip() for row in rows for cell in row[width:]) else 0


def _separator(line: str) -> str:
    counts = Counter({separator: line.count(separator) for separator in _SEPARATORS})
    return counts.most_common(1)[0][0] if any(counts.values()) else ","


def _is_header(cells: list[str], layout: TableLayout) -> bool:
    names = {squash(cell) for cell in cells}
    known = sum(not names.isdisjoint(aliases) for aliases in layout.aliases.values())
    return known >= min(2, len(cells))


def _name_columns(cells: list[str], layout: TableLayout, file: SourceFile) -> tuple[str, ...]:
    squashed = [squash(cell) for cell in cells]
    chosen: dict[int, str] = {}
    for canonical, aliases in layout.aliases.items():
        position = next((squashed.index(name) for name in aliases if name in squashed), None)
        if position is not None:
            chosen.setdefault(position, canonical)
    if layout.identified and PATIENT_ID not in chosen.values():
        # A download has the id first; pandas writes such a column without a name.
        chosen.setdefault(0, PATIENT_ID)
    missing = [name for name in layout.required if name not in chosen.values()]
    if missing:
        accepted = {name: layout.aliases[name] for name in missing}
        raise SourceError(
            f"{file.label}, line 1: no column for {', '.join(missing)}; "
            f"header names understood: {accepted}"
        )
    names = [chosen.get(position, cell.strip()) for position, cell in enumerate(cells)]
    return _distinct(names, keep=set(chosen))


def _distinct(names: list[str], keep: set[int]) -> tuple[str, ...]:
    """Return the names with the canonical ones untouched and every other made unique."""
    taken = {names[position] for position in keep} | set(_RESERVED)
    # The last suffix of each name: to begin at 2 each time would be slow with many equal names.
    suffixes: dict[str, int] = {}
    result: list[str] = []
    for position, name in enumerate(names):
        stem = name or f"column_{position + 1}"
        unique = stem
        while position not in keep and unique in taken:
            suffixes[stem] = suffixes.get(stem, 1) + 1
            unique = f"{stem}_{suffixes[stem]}"
        taken.add(unique)
        result.append(unique)
    return tuple(result)


def _columns_of_headless(
    file: SourceFile,
    rows: list[list[str]],
    layout: TableLayout,
    named: tuple[FileShape, ...],
) -> tuple[str, ...]:
    width = Counter(len(row) for row in rows).most_common(1)[0][0] if rows else 0
    for shape in named:
        if len(shape.columns) == width:
            return shape.columns
    sample = [row for row in rows if len(row) == width]
    for columns in layout.positional:
        if len(columns) == width and _fits(sample, columns):
            return columns
    raise SourceError(
        f"{file.label}: line 1 names no known column and the {width} columns fit no known order; "
        f"add a header line with {', '.join(layout.required)}"
    )


def _fits(rows: list[list[str]], columns: tuple[str, ...]) -> bool:
    """Say whether most rows have as many cells as columns, and look as their names demand."""
    looks = [(position, _LOOKS[name]) for position, name in enumerate(columns) if name in _LOOKS]
    good = sum(
        len(row) == len(columns)
        and all(pattern.fullmatch(row[position].strip()) for position, pattern in looks)
        for row in rows
    )
    return good * 2 > len(rows)


def _has_digit(row: list[str]) -> bool:
    return any(character.isdigit() for cell in row for character in cell)
