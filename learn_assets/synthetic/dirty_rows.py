"""Dirty rows: rows that are bad for exactly one reason, planted into otherwise clean files.

What belongs here: how each kind of bad row is made and how many are planted where. A bad row is an
extra row made from a clean one, so nothing true is lost with it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date, timedelta

import numpy as np

SHAPE_REASONS = ("duplicate_row", "wrong_column_count", "bad_encoding", "unbalanced_quote")
REASONS = (
    "unreadable_date", "impossible_date", "missing_patient_id", "missing_code",
    "unknown_code_system", "future_date", "before_birth", "after_death", *SHAPE_REASONS,
)  # fmt: skip

_UNREADABLE = ("not known", "2o14o312", "spring", "12 of May")
_IMPOSSIBLE = ("20150231", "20141301", "20130431", "20121145")
_IMPOSSIBLE_MONTHS = ("201513", "201900", "202014")
_INVALID_BYTE = b"\xff"
_MOST_TRIES = 50


@dataclass(frozen=True)
class RowContext:
    """A clean row to be spoiled: its fields and what is known of its patient.

    `death` is the first day of the month of death; `birth_year` is None when not on file.
    """

    fields: tuple[str, ...]
    birth_year: int | None = None
    death: date | None = None


@dataclass(frozen=True)
class FileLayout:
    """Columns of one file and the reasons that apply; dates have 8 digits, or 6 for months."""

    name: str
    header: tuple[str, ...]
    reasons: tuple[str, ...]
    date_column: str | None = None
    date_digits: int = 8

    def position(self, column: str) -> int:
        """Return the position of a column; ValueError when the file lacks it."""
        return self.header.index(column)


@dataclass
class PlantedRows:
    """Running count of planted rows by file and reason."""

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)

    def as_table(self) -> dict[str, dict[str, int]]:
        """Return file -> reason -> rows, sorted."""
        table: dict[str, dict[str, int]] = {}
        for (name, reason), rows in sorted(self.counts.items()):
            table.setdefault(name, {})[reason] = rows
        return table


def plant(
    layout: FileLayout,
    lines: list[bytes],
    contexts: Callable[[str, np.random.Generator], RowContext],
    how_many: dict[str, int],
    planted: PlantedRows,
    generator: np.random.Generator,
) -> list[bytes]:
    """Return the lines with bad rows among them and count these in `planted`.

    `contexts(reason, generator)` gives a clean row fit for that reason. A duplicate comes after its
    original, and no clean row is duplicated twice.
    """
    total = sum(how_many.values())
    if total == 0:
        return lines
    bad: list[bytes] = []
    seen: set[bytes] = set(lines)
    for reason, rows in how_many.items():
        if reason == "duplicate_row":
            continue
        for _ in range(rows):
            line = _distinct_bad_row(layout, reason, contexts, seen, generator)
            if line is not None:
                bad.append(line)
                planted.counts[layout.name, reason] += 1
    duplicates = min(how_many.get("duplicate_row", 0), len(lines))
    chosen = generator.choice(len(lines), duplicates, replace=False)
    planted.counts[layout.name, "duplicate_row"] += duplicates
    return _mixed(lines, bad, generator) + [lines[i] for i in chosen]


def _distinct_bad_row(
    layout: FileLayout,
    reason: str,
    contexts: Callable[[str, np.random.Generator], RowContext],
    seen: set[bytes],
    generator: np.random.Generator,
) -> bytes | None:
    """Return a bad row unlike any other, or None when the clean rows are too alike to give one."""
    # Two equal bad rows would be bad for two reasons, so draw again.
    for _ in range(_MOST_TRIES):
        line = spoil(layout, reason, contexts(reason, generator), generator)
        if line not in seen:
            seen.add(line)
            return line
    return None


def shares(
    reasons: Iterable[str], rows: int, share: float, at_least: int, generator: np.random.Generator
) -> dict[str, int]:
    """Return how many bad rows of each reason to plant among `rows` clean ones.

    None at all when `share` is 0; otherwise at least `at_least` of each.
    """
    names = tuple(reasons)
    if share <= 0:
        return dict.fromkeys(names, 0)
    drawn = generator.multinomial(round(rows * share), [1 / len(names)] * len(names))
    return {name: max(at_least, int(count)) for name, count in zip(names, drawn, strict=True)}


def spoil(
    layout: FileLayout, reason: str, context: RowContext, generator: np.random.Generator
) -> bytes:
    """Return one bad row for one reason. KeyError for a reason that is not made from a row."""
    return _SPOILERS[reason](layout, context, generator)


def _replaced(layout: FileLayout, context: RowContext, column: str, value: str) -> bytes:
    fields = list(context.fields)
    fields[layout.position(column)] = value
    return ",".join(fields).encode()


def _dated(layout: FileLayout, context: RowContext, day: date) -> bytes:
    written = day.strftime("%Y%m%d")[: layout.date_digits]
    return _replaced(layout, context, _date_column(layout), written)


def _date_column(layout: FileLayout) -> str:
    if layout.date_column is None:
        raise ValueError(f"{layout.name} has no date to spoil")
    return layout.date_column


def _unreadable_date(
    layout: FileLayout, context: RowContext, generator: np.random.Generator
) -> bytes:
    value = _UNREADABLE[int(generator.integers(len(_UNREADABLE)))]
    return _replaced(layout, context, _date_column(layout), value)


def _impossible_date(
    layout: FileLayout, context: RowContext, generator: np.random.Generator
) -> bytes:
    choices = _IMPOSSIBLE if layout.date_digits == 8 else _IMPOSSIBLE_MONTHS
    value = choices[int(generator.integers(len(choices)))]
    return _replaced(layout, context, _date_column(layout), value)


def _future_date(layout: FileLayout, context: RowContext, generator: np.random.Generator) -> bytes:
    day = date(2070, 1, 1) + timedelta(days=int(generator.integers(3_000)))
    return _dated(layout, context, day)


def _before_birth(layout: FileLayout, context: RowContext, generator: np.random.Generator) -> bytes:
    if context.birth_year is None:
        raise ValueError("a row before birth needs a year of birth")
    first = date(context.birth_year - 8, 1, 1)
    day = first + timedelta(days=int(generator.integers(7 * 365)))
    return _dated(layout, context, day)


def _after_death(layout: FileLayout, context: RowContext, generator: np.random.Generator) -> bytes:
    if context.death is None:
        raise ValueError("a row after death needs a death")
    # 60 days after the last day of the month are still accepted; 31 + 60 < 120.
    day = context.death + timedelta(days=int(generator.integers(120, 360)))
    return _dated(layout, context, day)


def _missing_patient_id(layout: FileLayout, context: RowContext, _: np.random.Generator) -> bytes:
    return _replaced(layout, context, "patient_id", "")


def _missing_code(layout: FileLayout, context: RowContext, _: np.random.Generator) -> bytes:
    return _replaced(layout, context, "code", "")


def _unknown_code_system(layout: FileLayout, context: RowContext, _: np.random.Generator) -> bytes:
    return _replaced(layout, context, "code_system", "SITE-LOCAL")


def _wrong_column_count(
    _: FileLayout, context: RowContext, generator: np.random.Generator
) -> bytes:
    fields = list(context.fields)
    if generator.random() < 0.5:
        return ",".join([*fields, "surplus"]).encode()
    return ",".join(fields[:-1]).encode()


def _bad_encoding(_: FileLayout, context: RowContext, __: np.random.Generator) -> bytes:
    return ",".join(context.fields).encode() + _INVALID_BYTE


def _unbalanced_quote(_: FileLayout, context: RowContext, __: np.random.Generator) -> bytes:
    fields = list(context.fields)
    fields[-1] = '"' + fields[-1]
    return ",".join(fields).encode()


_SPOILERS: dict[str, Callable[[FileLayout, RowContext, np.random.Generator], bytes]] = {
    "unreadable_date": _unreadable_date,
    "impossible_date": _impossible_date,
    "missing_patient_id": _missing_patient_id,
    "missing_code": _missing_code,
    "unknown_code_system": _unknown_code_system,
    "future_date": _future_date,
    "before_birth": _before_birth,
    "after_death": _after_death,
    "wrong_column_count": _wrong_column_count,
    "bad_encoding": _bad_encoding,
    "unbalanced_quote": _unbalanced_quote,
}


def _mixed(lines: list[bytes], bad: list[bytes], generator: np.random.Generator) -> list[bytes]:
    places = np.sort(generator.integers(0, len(lines) + 1, len(bad)))
    mixed: list[bytes] = []
    before = 0
    for place, line in zip(places, bad, strict=True):
        mixed.extend(lines[before:place])
        mixed.append(line)
        before = int(place)
    mixed.extend(lines[before:])
    return mixed
