"""Values: numbers as they are shown, with the same numbers for machines.

What belongs here: how a count, an estimate, a share or a p-value is written. The number beside a
text is rounded as the text is, so that a file for machines tells no more than the page.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from learn_assets.disclosure import ShownCount

NOT_AVAILABLE = "-"


@dataclass(frozen=True)
class Estimate:
    """A value with its 95 % limits, where it has them."""

    value: float
    lower: float | None = None
    upper: float | None = None

    @property
    def limits(self) -> tuple[float, float]:
        """Return both limits; the value itself where there is none."""
        lower = self.value if self.lower is None else self.lower
        return lower, self.value if self.upper is None else self.upper


@dataclass(frozen=True)
class Value:
    """One cell: the text, its number and limits where it has them, and where it leads to."""

    text: str
    number: float | None = None
    lower: float | None = None
    upper: float | None = None
    link: str | None = None


MISSING = Value(NOT_AVAILABLE)


def for_machines(value: Value) -> dict[str, str | float | None]:
    """Return the text and, where there are some, the number and its limits."""
    content: dict[str, str | float | None] = {"text": value.text, "value": value.number}
    if value.lower is not None or value.upper is not None:
        content |= {"lower": value.lower, "upper": value.upper}
    return content


def words(text: str, link: str | None = None) -> Value:
    """Return a text."""
    return Value(text, link=link)


def count(shown: ShownCount | None) -> Value:
    """Return a count that has passed disclosure control."""
    return MISSING if shown is None else Value(shown.text, shown.value)


def count_of(found: Estimate | None) -> Value:
    """Return a count that a table of estimates holds, masked there already."""
    return number(found.value if found else None, 0)


def number(value: float | None, digits: int = 2, *, signed: bool = False) -> Value:
    """Return a number with so many decimals."""
    if value is None or not math.isfinite(value):
        return MISSING
    return Value(_written(value, digits, signed), _rounded(value, digits))


def estimate(found: Estimate | None, digits: int = 2, *, signed: bool = False) -> Value:
    """Return an estimate with its limits, such as `0.83 [0.80, 0.86]`."""
    if found is None:
        return MISSING
    value = number(found.value, digits, signed=signed)
    if found.lower is None or found.upper is None:
        return value
    lower, upper = found.lower, found.upper
    limits = f"[{_written(lower, digits, signed)}, {_written(upper, digits, signed)}]"
    return Value(
        f"{value.text} {limits}", value.number, _rounded(lower, digits), _rounded(upper, digits)
    )


def share(found: Estimate | float | None, digits: int = 1) -> Value:
    """Return a share in percent with its limits; the number beside it is the share itself."""
    if found is None:
        return MISSING
    whole = found if isinstance(found, Estimate) else Estimate(found)
    value = f"{100 * whole.value:.{digits}f}"
    parts = [_rounded(part, digits + 2) for part in (whole.value, whole.lower, whole.upper)]
    if whole.lower is None or whole.upper is None:
        return Value(f"{value} %", parts[0])
    limits = f"[{100 * whole.lower:.{digits}f}, {100 * whole.upper:.{digits}f}]"
    return Value(f"{value} {limits} %", parts[0], parts[1], parts[2])


def p_value(value: float | None) -> Value:
    """Return a p-value with three decimals, and what lies below them as such."""
    if value is None or not math.isfinite(value):
        return MISSING
    return Value("<0.001") if value < 0.001 else Value(f"{value:.3f}", _rounded(value, 3))


def rounded_column(values: list[float | None], digits: int = 3) -> tuple[float | None, ...]:
    """Return numbers of a figure, rounded finer than an eye can read them from it."""
    return tuple(_rounded(value, digits) for value in values)


def _rounded(value: float | None, digits: int) -> float | None:
    if value is None or not math.isfinite(value):
        return None
    # Adding 0.0 turns -0.0 into 0.0.
    return round(value, digits) + 0.0


def _written(value: float, digits: int, signed: bool) -> str:
    return f"{round(value, digits) + 0.0:{'+' if signed else ''},.{digits}f}"
