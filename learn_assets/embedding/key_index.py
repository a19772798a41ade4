"""Key index: which row of which shard holds the vector of a key.

What belongs here: lookup over sorted runs of keys. The keys of a large shard are mapped from its
file; those of small shards are held in memory, in runs that are merged when they have grown alike,
so adding keys costs the logarithm of what is there and not all of it.

Measured at 5 million keys in decision 10 (`benchmarks/store.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from learn_assets.embedding.shards import KEY_BYTES, Keys, Shard

ABSENT = -1

# Below this many rows a file mapping costs more than the memory it saves.
_MAPPED_ROWS = 32_768
_ROW_BITS = 32

Places = npt.NDArray[np.int64]


@dataclass(frozen=True)
class _Run:
    """Keys ascending, each once, and their places."""

    keys: Keys
    places: Places

    def find(self, wanted: Keys) -> Places:
        """Return the place of each key, ABSENT where there is none."""
        rows, found = _rows(self.keys, wanted)
        return np.where(found, self.places[rows], ABSENT)


@dataclass(frozen=True)
class _MappedRun:
    """Keys of one shard, ascending, each once: the place of a key follows from its row."""

    keys: Keys
    first_place: int

    def find(self, wanted: Keys) -> Places:
        """Return the place of each key, ABSENT where there is none."""
        rows, found = _rows(self.keys, wanted)
        return np.where(found, rows + self.first_place, ABSENT)


class KeyIndex:
    """Places of keys in numbered shards; of a key in several shards the lowest number wins."""

    def __init__(self, shards: Sequence[Shard] = ()) -> None:
        """Index shards, numbered in their order. FileNotFoundError when one has vanished."""
        self._mapped: list[_MappedRun] = []
        self._merged: list[_Run] = []
        self._distinct: int | None = None
        small: list[_Run] = []
        for number, shard in enumerate(shards):
            if shard.ascending and shard.rows >= _MAPPED_ROWS:
                self._mapped.append(_MappedRun(shard.mapped_keys(), number << _ROW_BITS))
            else:
                small.append(_run_of(shard.keys(), number))
        if small:
            self._merged.append(_merge(small))

    def __len__(self) -> int:
        if self._distinct is None:
            runs = self._runs()
            # Of a key in several runs, only its place in the first is the one looked up.
            self._distinct = sum(
                int((_lowest(runs[:number], run.keys) == ABSENT).sum())
                for number, run in enumerate(runs)
            )
        return self._distinct

    def add(self, keys: Keys, number: int) -> None:
        """Add the keys of one more shard, whose number is above all others."""
        self._distinct = None
        self._merged.append(_run_of(keys, number))
        while len(self._merged) > 1 and len(self._merged[-2].keys) < 2 * len(self._merged[-1].keys):
            self._merged[-2:] = [_merge(self._merged[-2:])]

    def find(self, keys: Sequence[bytes] | Keys) -> Places:
        """Return shard number * 2**32 + row of each key (n,) int64, ABSENT where there is none."""
        wanted = np.array(keys, dtype=f"S{KEY_BYTES}")
        # Ascending queries walk through a run once, in order.
        order = np.argsort(wanted)
        places = np.empty(len(wanted), dtype=np.int64)
        places[order] = _lowest(self._runs(), wanted[order])
        return places

    def _runs(self) -> list[_Run | _MappedRun]:
        return [*self._mapped, *self._merged]


def merged_keys(shards: Sequence[Shard]) -> tuple[Keys, Places]:
    """Return all keys of shards, ascending and each once, and the lowest place of each."""
    run = _merge([_run_of(shard.keys(), number) for number, shard in enumerate(shards)])
    return run.keys, run.places


def by_shard(places: Places) -> Iterator[tuple[int, Places, Places]]:
    """Yield for each shard its number, which of the places are in it, and their ascending rows."""
    order = np.argsort(places)
    numbers = places[order] >> _ROW_BITS
    rows = places[order] & ((1 << _ROW_BITS) - 1)
    starts = np.flatnonzero(np.diff(numbers, prepend=ABSENT))
    ends = np.append(starts, len(order))[1:]
    for start, end in zip(starts, ends, strict=True):
        yield int(numbers[start]), order[start:end], rows[start:end]


def _lowest(runs: Sequence[_Run | _MappedRun], wanted: Keys) -> Places:
    places = np.full(len(wanted), ABSENT, dtype=np.int64)
    for run in runs:
        found = run.find(wanted)
        better = (found != ABSENT) & ((places == ABSENT) | (found < places))
        places[better] = found[better]
    return places


def _rows(keys: Keys, wanted: Keys) -> tuple[Places, npt.NDArray[np.bool_]]:
    """Return the row where each wanted key would stand, and whether it does."""
    rows = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return rows, keys[rows] == wanted


def _run_of(keys: Keys, number: int) -> _Run:
    # Stable, and so of a key that stands twice the first row is kept.
    order = np.argsort(keys, kind="stable")
    return _without_repeats(keys[order], order + (number << _ROW_BITS))


def _merge(runs: Sequence[_Run]) -> _Run:
    """Merge runs whose shard numbers ascend from run to run."""
    keys = np.concatenate([run.keys for run in runs])
    places = np.concatenate([run.places for run in runs])
    order = np.argsort(keys, kind="stable")
    return _without_repeats(keys[order], places[order])


def _without_repeats(keys: Keys, places: Places) -> _Run:
    kept = np.ones(len(keys), dtype=bool)
    kept[1:] = keys[1:] != keys[:-1]
    return _Run(keys, places) if kept.all() else _Run(keys[kept], places[kept])
