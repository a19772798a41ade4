"""Disclosure control: which counts may be shown, so that no small one can be worked out.

What belongs here: masking of counts and of whatever would give a masked count away by subtraction.
Counts from 1 to `minimum_cell` - 1 are small; 0 says nothing about a person and is shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

WITHHELD = "withheld"


@dataclass(frozen=True)
class ShownCount:
    """A count as it may leave the lake; `value` is None when masked, `text` is always safe."""

    value: int | None
    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class ShownChain:
    """Patients left after each step and removed by it; the first step removes nobody."""

    remaining: tuple[ShownCount, ...]
    removed: tuple[ShownCount, ...]


def shown(count: int, minimum_cell: int) -> ShownCount:
    """Return a count that stands alone, masked when it is small."""
    if _is_small(count, minimum_cell):
        return _masked(count, minimum_cell)
    return ShownCount(count, f"{count:,}")


def shown_parts(parts: Sequence[int], minimum_cell: int) -> tuple[ShownCount, ...]:
    """Return the parts of a total that is shown, so that no small part is the total's remainder.

    The smallest other parts are withheld with the small ones until those hidden sum to at least
    `minimum_cell` (complementary suppression).
    """
    hidden = {index for index, part in enumerate(parts) if _is_small(part, minimum_cell)}
    others = [index for index, part in enumerate(parts) if part and index not in hidden]
    for index in sorted(others, key=lambda index: parts[index]):
        if _is_small(sum(parts[chosen] for chosen in hidden), minimum_cell):
            hidden.add(index)
    return tuple(
        _masked(part, minimum_cell) if index in hidden else shown(part, minimum_cell)
        for index, part in enumerate(parts)
    )


def shown_share(described: int, records: int, minimum_cell: int) -> str:
    """Return described / records in percent, coarse where it would give a small count away."""
    if records < minimum_cell:
        return "-"
    if shown(records - described, minimum_cell).value is None:
        return f"≥ {100 * (records - minimum_cell + 1) // records} %"
    if shown(described, minimum_cell).value is None:
        return f"≤ {-(-100 * (minimum_cell - 1) // records)} %"
    return f"{100 * described / records:.1f} %"


def shown_chain(remaining: Sequence[int], minimum_cell: int) -> ShownChain:
    """Return a falling series of counts and its steps, with no small step left to subtract.

    The last counts matter most, so they are chosen from the end: an earlier one is shown when it
    exceeds the next one shown by 0 or by at least `minimum_cell`. ValueError when a count rises.
    """
    if any(later > earlier for earlier, later in pairwise(remaining)):
        raise ValueError("patients left cannot rise from one step to the next")
    visible = _visible(remaining, minimum_cell)
    left = tuple(
        shown(count, minimum_cell) if index in visible else _masked(count, minimum_cell)
        for index, count in enumerate(remaining)
    )
    steps = [ShownCount(0, "0")]
    for index in range(1, len(remaining)):
        removed = remaining[index - 1] - remaining[index]
        exact = removed == 0 or {index - 1, index} <= visible
        steps.append(shown(removed, minimum_cell) if exact else _masked(removed, minimum_cell))
    return ShownChain(left, tuple(steps[: len(remaining)]))


def hidden_groups(groups: Sequence[tuple[int, int]], minimum_cell: int) -> frozenset[int]:
    """Return which groups of (cases, controls) to withhold wholly when both totals are shown.

    A group is withheld when its cases, controls or patients are few, or when `shown_parts` would
    withhold its patients; then the smallest others, until those withheld hold together no small
    number of cases or controls that subtraction could give.
    """
    sizes = [cases + controls for cases, controls in groups]
    hidden = {
        index
        for index, (group, part) in enumerate(
            zip(groups, shown_parts(sizes, minimum_cell), strict=True)
        )
        if part.value is None or is_small(minimum_cell, *group)
    }
    for index in sorted(range(len(groups)), key=lambda index: sizes[index]):
        sums = [sum(groups[chosen][side] for chosen in hidden) for side in (0, 1)]
        if sizes[index] and index not in hidden and is_small(minimum_cell, *sums):
            hidden.add(index)
    return frozenset(hidden)


def is_small(minimum_cell: int, *counts: int) -> bool:
    """Return whether one of the counts is small: above 0 and below `minimum_cell`."""
    return any(_is_small(count, minimum_cell) for count in counts)


def _visible(remaining: Sequence[int], minimum_cell: int) -> set[int]:
    visible: set[int] = set()
    last: int | None = None
    for index in range(len(remaining) - 1, -1, -1):
        count = remaining[index]
        if _is_small(count, minimum_cell):
            continue
        if last is None or not _is_small(count - last, minimum_cell):
            visible.add(index)
            last = count
    return visible


def _is_small(count: int, minimum_cell: int) -> bool:
    return 0 < count < minimum_cell


def _masked(count: int, minimum_cell: int) -> ShownCount:
    return ShownCount(None, f"<{minimum_cell}" if 0 < count < minimum_cell else WITHHELD)
