"""Measure: one number about a table, and the counts it is made of."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Measure:
    """What was measured for an expectation.

    value: share or number, None when there is nothing to judge, and `reason` says why. part, whole:
    the counts of a share or rate (records, rows or patients). hidden: the part must not be told,
    since another one that is too small could be worked out from it. months: which ones it is about.
    """

    value: float | None
    part: int | None = None
    whole: int | None = None
    hidden: bool = False
    months: tuple[str, ...] = ()
    reason: str | None = None


def share(part: int, whole: int, *, least: int, hidden: bool = False) -> Measure:
    """Return part / whole, or nothing when the whole is under `least`."""
    if whole < least:
        return nothing("there are none" if whole == 0 else f"there are fewer than {least}")
    return Measure(part / whole, part, whole, hidden)


def nothing(reason: str) -> Measure:
    """Return a measure that could not be taken."""
    return Measure(None, reason=reason)
