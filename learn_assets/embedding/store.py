"""Store: vectors of chunks under content-addressed keys, in append-only shards.

What belongs here: what the engine asks of a store. The files are in `shards.py`, the lookup in
`key_index.py`, compaction and clearing out in `maintenance.py`.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import struct
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from learn_assets.embedding.key_index import ABSENT, KeyIndex, by_shard
from learn_assets.embedding.shard_folder import (
    StoreFullError,
    abandoned_files,
    hold_mark,
    new_name,
    set_aside,
    shard_paths,
    sound_shards,
    write_shard,
)
from learn_assets.embedding.shards import (
    KEY_BYTES,
    Shard,
    Storage,
    UnreadableShardError,
    folder_name,
    read_header,
)
from learn_assets.staging import private_folder

__all__ = ["KEY_BYTES", "CorruptShardError", "StoreFullError", "VectorStore", "Verification"]

# A compaction may replace what was listed; that often in a row, something else is wrong.
_ATTEMPTS = 20

Vectors = npt.NDArray[np.float32]


class CorruptShardError(ValueError):
    """A shard was damaged; it has been set aside and its vectors must be embedded again."""


@dataclass(frozen=True)
class Verification:
    """Result of reading a whole store: shards and vectors that are sound, shards set aside."""

    shards: int
    vectors: int
    corrupt: int


class VectorStore:
    """The vectors of one encoder in one folder; several processes may append at once."""

    def __init__(
        self, home: Path, space: str, dimension: int, *, storage: Storage = "float32"
    ) -> None:
        """Open or make the store of a space (`Encoder.space`) whose vectors have a dimension.

        `storage` is the type vectors are kept in; another type is another store. While a store is
        open, `maintenance.collect` leaves it alone.
        """
        self.space = space
        self.dimension = dimension
        self.storage: Storage = storage
        self.folder = home / folder_name(space, storage)
        private_folder(home)
        in_use = hold_mark(self.folder, "in_use", fcntl.LOCK_SH)
        weakref.finalize(self, os.close, in_use)
        private_folder(self.folder)
        for path in abandoned_files(self.folder):
            path.unlink(missing_ok=True)
        self._shards: list[Shard] = []
        self._sound: set[Path] = set()
        self._index = KeyIndex()
        self.refresh()

    def __len__(self) -> int:
        return len(self._index)

    def key(self, prompt: str, text: str) -> bytes:
        """Return the 32-byte key of a chunk: sha256 of space, prompt and text."""
        digest = hashlib.sha256(self.space.encode())
        for part in (prompt, text):
            encoded = part.encode()
            digest.update(struct.pack("<Q", len(encoded)))
            digest.update(encoded)
        return digest.digest()

    def refresh(self) -> None:
        """Read again which shards exist, so that other writers' vectors are seen.

        A torn shard is set aside with a warning; the rest stays usable. Without new shards this
        costs one listing of the folder.
        """
        for _ in range(_ATTEMPTS):
            paths = shard_paths(self.folder)
            if paths == sorted(shard.path for shard in self._shards):
                return
            try:
                shards = self._described(paths)
                self._index = KeyIndex(shards)
            except FileNotFoundError:
                continue
            self._shards = shards
            self._sound &= {shard.path for shard in shards}
            return
        raise OSError(f"the shards in {self.folder} change faster than they can be listed")

    def contains(self, keys: Sequence[bytes]) -> npt.NDArray[np.bool_]:
        """Return for each key whether its vector is committed."""
        committed: npt.NDArray[np.bool_] = self._index.find(keys) != ABSENT
        return committed

    def read(self, keys: Sequence[bytes]) -> Vectors:
        """Return the vectors of keys, (n, d) float32. KeyError when one is not committed.

        Each shard is checked against its checksum once; CorruptShardError after one was set aside
        (its keys are gone from the index, so asking `contains` again says what is missing).
        """
        for _ in range(_ATTEMPTS):
            try:
                return self._gather(keys)
            except FileNotFoundError:
                # A compaction has merged the shard since the folder was listed.
                self.refresh()
        raise OSError(f"the shards in {self.folder} change faster than they can be read")

    def append(self, keys: Sequence[bytes], vectors: Vectors) -> None:
        """Commit vectors (n, d) under their keys as one shard, whole or not at all.

        ValueError when counts or dimension disagree or a value is not finite as it would be stored;
        StoreFullError when the disk is full, which leaves the store as it was.
        """
        if vectors.shape != (len(keys), self.dimension):
            raise ValueError(
                f"{len(keys)} keys need vectors of shape ({len(keys)}, {self.dimension}), "
                f"got {vectors.shape}"
            )
        with np.errstate(over="ignore"):
            stored = vectors.astype(self.storage)
        if not np.isfinite(stored).all():
            raise ValueError(
                f"the encoder returned values that are not finite in {self.storage}; nothing was "
                "stored"
            )
        if not keys:
            return
        distinct, rows = np.unique(np.array(keys, dtype=f"S{KEY_BYTES}"), return_index=True)
        shard = write_shard(
            self.folder,
            self.space,
            distinct,
            [stored[rows]],
            storage=self.storage,
            dimension=self.dimension,
            name=new_name(),
        )
        self._sound.add(shard.path)
        self._shards.append(shard)
        self._index.add(distinct, len(self._shards) - 1)

    def verify(self) -> Verification:
        """Read every shard against its checksum; damaged ones are set aside."""
        shards, corrupt = sound_shards(self.folder)
        self._sound = {shard.path for shard in shards}
        self.refresh()
        return Verification(len(self._shards), len(self), corrupt)

    def _described(self, paths: Sequence[Path]) -> list[Shard]:
        """Return the headers of shards, setting those aside that have none."""
        known = {shard.path: shard for shard in self._shards}
        shards = []
        for path in paths:
            try:
                shard = known.get(path) or read_header(path)
                if shard.dimension != self.dimension:
                    raise UnreadableShardError("its vectors have another dimension")
            except UnreadableShardError as error:
                set_aside(path, str(error))
                continue
            shards.append(shard)
        return shards

    def _gather(self, keys: Sequence[bytes]) -> Vectors:
        places = self._index.find(keys)
        if missing := int((places == ABSENT).sum()):
            raise KeyError(f"{missing} of {len(keys)} chunks have no vector yet")
        vectors = np.empty((len(keys), self.dimension), dtype=np.float32)
        for number, positions, rows in by_shard(places):
            shard = self._shards[number]
            self._require_sound(shard)
            vectors[positions] = shard.vectors()[rows]
        return vectors

    def _require_sound(self, shard: Shard) -> None:
        if shard.path in self._sound:
            return
        if problem := shard.damage():
            set_aside(shard.path, problem)
            self.refresh()
            raise CorruptShardError(
                f"{shard.path.name}: {problem}; the shard was set aside and its {shard.rows} "
                "vectors must be embedded again"
            )
        self._sound.add(shard.path)
