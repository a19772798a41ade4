"""Key index: which row of which shard holds the vector of a key.

What belongs here: lookup over sorted runs of keys. The keys of a large shard are mapped from its
file; those of small shards are held in memory, in runs that are merged when they have grown alike,
so adding keys costs the logarithm of what is there and not all of it.

Opening and looking up, 5 million keys, measured on two shared cores (`benchmarks/store.py`): the
numbers are in decision 10.
"""

from __future__ import annotations

from collections.abc import Sequence
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
    """Keys ascending, each once, and their places; no places: those of one shard, row by row."""

    keys: Keys
    places: Places | None
    first_place: int = 0

    def find(self, wanted: Keys) -> Places:
        """Return the place of each key, ABSENT where there is none."""
        if not len(self.keys):
            return np.full(len(wanted), ABSENT, dtype=np.int64)
        rows = np.minimum(np.searchsorted(self.keys, wanted), len(self.keys) - 1)
        places = rows + self.first_place if self.places is None else self.places[rows]
        return np.where(self.keys[rows] == wanted, places, ABSENT)


class KeyIndex:
    """Places of keys in numbered shards; of a key in several shards the lowest number wins."""

    def __init__(self, shards: Sequence[Shard] = ()) -> None:
        """Index shards, numbered in their order. FileNotFoundError when one has vanished."""
        self._mapped: list[_Run] = []
        self._merged: list[_Run] = []
        self._distinct: int | None = None
        small: list[_Run] = []
        for number, shard in enumerate(shards):
            if shard.ascending and shard.rows >= _MAPPED_ROWS:
                self._mapped.append(_Run(shard.mapped_keys(), None, number << _ROW_BITS))
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

    def _runs(self) -> list[_Run]:
        return [*self._mapped, *self._merged]


def shard_and_row(places: Places) -> tuple[Places, Places]:
    """Split places into shard numbers and rows."""
    return places >> _ROW_BITS, places & ((1 << _ROW_BITS) - 1)


def _lowest(runs: Sequence[_Run], wanted: Keys) -> Places:
    places = np.full(len(wanted), ABSENT, dtype=np.int64)
    for run in runs:
        found = run.find(wanted)
        better = (found != ABSENT) & ((places == ABSENT) | (found < places))
        places[better] = found[better]
    return places


def _run_of(keys: Keys, number: int) -> _Run:
    # Stable, and so of a key that stands twice the first row is kept.
    order = np.argsort(keys, kind="stable")
    return _without_repeats(keys[order], order + (number << _ROW_BITS))


def _merge(runs: Sequence[_Run]) -> _Run:
    """Merge runs whose shard numbers ascend from run to run."""
    keys = np.concatenate([run.keys for run in runs])
    places = np.concatenate([run.places for run in runs if run.places is not None])
    order = np.argsort(keys, kind="stable")
    return _without_repeats(keys[order], places[order])


def _without_repeats(keys: Keys, places: Places) -> _Run:
    kept = np.ones(len(keys), dtype=bool)
    kept[1:] = keys[1:] != keys[:-1]
    return _Run(keys, places) if kept.all() else _Run(keys[kept], places[kept])
