"""Requests: which cells to embed now, and in one sentence why each of the others waits.

What belongs here: the decision, from values alone. Asking machine, lake and run history is for
whoever calls it.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass

from learn_assets.embedding.devices import Devices
from learn_assets.embedding.placement import Need, NoPlace, Place, find_place, reserve


@dataclass(frozen=True)
class Rules:
    """How many runs are asked for at once, and how often a failed cell is tried.

    Pauses double from `first_pause_seconds` to `longest_pause_seconds`.
    """

    most_requests: int = 4
    attempts: int = 4
    first_pause_seconds: float = 300.0
    longest_pause_seconds: float = 7_200.0

    def pause(self, tried: int) -> float:
        """Return the seconds to wait after so many runs in vain."""
        return min(self.first_pause_seconds * 2.0 ** (tried - 1), self.longest_pause_seconds)


DEFAULT_RULES = Rules()


@dataclass(frozen=True)
class History:
    """Earlier runs of a cell with the same inputs: all that ended, and the latest of no avail.

    `last_ended` is in seconds since the epoch.
    """

    ended: int = 0
    in_vain: int = 0
    last_ended: float = 0.0


@dataclass(frozen=True)
class CellState:
    """A cell as it stands: what it would be made from, and what keeps it from being made.

    `unready` says what is wrong with its inputs, `underway` that a run of it has begun or queues.
    """

    label: str
    encoder: str
    inputs: str
    current: bool
    need: Need
    unready: str = ""
    underway: bool = False
    history: History = History()


@dataclass(frozen=True)
class Request:
    """A run to ask for; `key` is never used twice for one attempt at the same inputs.

    `priority` is higher for cells that stand earlier in the study.
    """

    cell: CellState
    key: str
    device: str | None
    priority: int
    attempt: int


@dataclass(frozen=True)
class Decision:
    """What to ask for now, and one sentence for each wait."""

    requests: tuple[Request, ...]
    waits: tuple[str, ...]


def decide(
    cells: Sequence[CellState],
    devices: Devices,
    *,
    slots: int,
    free_slots: int,
    starting: Sequence[Need] = (),
    now: float,
    rules: Rules = DEFAULT_RULES,
) -> Decision:
    """Choose among the cells of a study, heaviest first as the study orders them.

    `slots` and `free_slots` are of the pool that encoders share; `starting` are runs that were
    asked for and hold no memory yet. Windows of one encoder follow each other: the first embeds for
    all of them. `now`: seconds since the epoch.
    """
    for need in starting:
        if isinstance(place := find_place(need, devices), Place):
            devices = reserve(devices, need, place)
    busy = {cell.encoder for cell in cells if cell.underway}
    room = min(free_slots, rules.most_requests)
    requests: list[Request] = []
    waits: dict[str, list[str]] = {}
    for position, cell in enumerate(cells):
        if cell.current:
            continue
        reason = _waits_by_itself(cell, busy, now, rules)
        if not reason and len(requests) >= room:
            reason = _no_room(slots, free_slots, rules)
        place = NoPlace(reason) if reason else find_place(cell.need, devices)
        if isinstance(place, NoPlace):
            waits.setdefault(place.reason, []).append(cell.label)
            continue
        devices = reserve(devices, cell.need, place)
        busy.add(cell.encoder)
        requests.append(_request(cell, place, priority=len(cells) - position))
    sentences = tuple(f"{', '.join(labels)}: waits, {why}" for why, labels in waits.items())
    return Decision(tuple(requests), sentences)


def _request(cell: CellState, place: Place, *, priority: int) -> Request:
    attempt = cell.history.ended + 1
    key = f"{cell.label}:{cell.inputs[:16]}:{attempt}"
    return Request(cell, key, place.device, priority, attempt)


def _waits_by_itself(cell: CellState, busy: Set[str], now: float, rules: Rules) -> str:
    """Return why a cell cannot be asked for whatever the machine has free; empty if it can."""
    if cell.underway:
        return "a run of it is under way"
    if cell.unready:
        return cell.unready
    if cell.encoder in busy:
        return "another window of this encoder is embedded first, for all of them"
    tried = cell.history.in_vain
    if tried >= rules.attempts:
        return (
            f"it was tried {tried} times in vain with these inputs; look at its runs, mend what "
            "they found and launch it by hand"
        )
    left = cell.history.last_ended + rules.pause(tried) - now if tried else 0.0
    if left > 0:
        when = f"{left / 60:.0f} min" if left >= 90 else f"{left:.0f} s"
        return f"it was tried {tried} of {rules.attempts} times in vain, and again in {when}"
    return ""


def _no_room(slots: int, free_slots: int, rules: Rules) -> str:
    if slots == 0:
        return "the pool `gpu` is closed (limit 0)"
    if free_slots < rules.most_requests:
        return f"the pool `gpu` has no slot left of {slots}"
    return f"{rules.most_requests} runs at a time are asked for"
