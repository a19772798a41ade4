"""Store: vectors of chunks under content-addressed keys, in append-only shards.

What belongs here: the shard format, the index and what happens to a damaged shard. A shard is one
safetensors file `<space>/<unique name>.safetensors` with `keys` (uint8, n x 32) and `vectors`
(float32, n x d) and the sha256 of both in its header. It appears by rename, whole or not at all,
under a name no other writer uses; the index is rebuilt from the keys when a store is opened.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import struct
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from learn_assets.lake import private_folder

KEY_BYTES = 32

_SUFFIX = ".safetensors"
_CORRUPT_SUFFIX = ".corrupt"
_STAGED_PREFIX = ".staged-"
_STAGED_LIFETIME_SECONDS = 3600.0
_LENGTH_BYTES = 8
_MAXIMUM_HEADER = 1_000_000

_log = logging.getLogger(__name__)

Vectors = npt.NDArray[np.float32]
Keys = npt.NDArray[np.bytes_]


class CorruptShardError(ValueError):
    """A shard was damaged; it has been set aside and its vectors must be embedded again."""


class _UnreadableShardError(ValueError):
    """Why a file is not a whole shard of this store."""


@dataclass(frozen=True)
class Verification:
    """Result of reading a whole store: shards and vectors that are sound, shards set aside."""

    shards: int
    vectors: int
    corrupt: int


@dataclass(frozen=True)
class _Shard:
    path: Path
    rows: int
    dimension: int
    keys_offset: int
    vectors_offset: int
    checksum: str

    def keys(self) -> Keys:
        raw = np.fromfile(
            self.path, dtype=np.uint8, count=self.rows * KEY_BYTES, offset=self.keys_offset
        )
        return raw.view(f"S{KEY_BYTES}").reshape(-1)

    def vectors(self) -> Vectors:
        return np.memmap(
            self.path,
            dtype=np.float32,
            mode="r",
            offset=self.vectors_offset,
            shape=(self.rows, self.dimension),
        )


class VectorStore:
    """The vectors of one encoder in one folder; several processes may append at once."""

    def __init__(self, home: Path, space: str, dimension: int) -> None:
        """Open or make the store of a space (`Encoder.space`) whose vectors have a dimension."""
        self.space = space
        self.dimension = dimension
        self.folder = home / space[:32]
        private_folder(home)
        private_folder(self.folder)
        self._shards: list[_Shard] = []
        self._sound: set[Path] = set()
        self._keys: Keys = np.empty(0, dtype=f"S{KEY_BYTES}")
        self._places = np.empty((0, 2), dtype=np.int64)
        self._remove_abandoned()
        self.refresh()

    def __len__(self) -> int:
        return len(self._keys)

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

        A torn shard is set aside with a warning; the rest stays usable.
        """
        self._shards = []
        self._keys = np.empty(0, dtype=f"S{KEY_BYTES}")
        self._places = np.empty((0, 2), dtype=np.int64)
        found: list[Keys] = []
        for path in sorted(self.folder.glob(f"*{_SUFFIX}")):
            try:
                shard = _read_header(path, self.dimension)
            except _UnreadableShardError as error:
                self._set_aside(path, str(error))
                continue
            self._shards.append(shard)
            found.append(shard.keys())
        self._index(found)

    def contains(self, keys: Sequence[bytes]) -> npt.NDArray[np.bool_]:
        """Return for each key whether its vector is committed."""
        return self._lookup(keys) >= 0

    def read(self, keys: Sequence[bytes]) -> Vectors:
        """Return the vectors of keys, (n, d) float32. KeyError when one is not committed.

        Each shard is checked against its checksum once; CorruptShardError after one was set aside
        (its keys are gone from the index, so asking `contains` again says what is missing).
        """
        rows = self._lookup(keys)
        if (rows < 0).any():
            raise KeyError(f"{int((rows < 0).sum())} of {len(keys)} chunks have no vector yet")
        places = self._places[rows]
        vectors = np.empty((len(keys), self.dimension), dtype=np.float32)
        for number in np.unique(places[:, 0]):
            shard = self._shards[number]
            self._require_sound(shard)
            wanted = places[:, 0] == number
            vectors[wanted] = shard.vectors()[places[wanted, 1]]
        return vectors

    def append(self, keys: Sequence[bytes], vectors: Vectors) -> None:
        """Commit vectors (n, d) under their keys as one shard, whole or not at all.

        ValueError when counts or dimension disagree or a value is not finite; OSError (disk full)
        leaves the store as it was.
        """
        if vectors.shape != (len(keys), self.dimension):
            raise ValueError(
                f"{len(keys)} keys need vectors of shape ({len(keys)}, {self.dimension}), "
                f"got {vectors.shape}"
            )
        if not np.isfinite(vectors).all():
            raise ValueError("the encoder returned values that are not finite; nothing was stored")
        if not keys:
            return
        path = self._write_shard(b"".join(keys), np.ascontiguousarray(vectors, dtype=np.float32))
        shard = _read_header(path, self.dimension)
        self._sound.add(path)
        self._shards.append(shard)
        self._insert(shard.keys(), len(self._shards) - 1)

    def verify(self) -> Verification:
        """Read every shard against its checksum; damaged ones are set aside."""
        before = len(list(self.folder.glob(f"*{_CORRUPT_SUFFIX}")))
        self._sound.clear()
        self.refresh()
        for shard in tuple(self._shards):
            if problem := _damage(shard):
                self._set_aside(shard.path, problem)
            else:
                self._sound.add(shard.path)
        self.refresh()
        corrupt = len(list(self.folder.glob(f"*{_CORRUPT_SUFFIX}"))) - before
        return Verification(len(self._shards), len(self), corrupt)

    def _lookup(self, keys: Sequence[bytes]) -> npt.NDArray[np.int64]:
        """Return the index row of each key, -1 where there is none."""
        wanted = np.array(keys, dtype=f"S{KEY_BYTES}")
        if not len(self._keys) or not len(wanted):
            return np.full(len(wanted), -1, dtype=np.int64)
        rows = np.minimum(np.searchsorted(self._keys, wanted), len(self._keys) - 1)
        return np.where(self._keys[rows] == wanted, rows, -1)

    def _index(self, found: Sequence[Keys]) -> None:
        if not found:
            return
        keys = np.concatenate(found)
        places = np.concatenate(
            [
                np.column_stack([np.full(len(k), number), np.arange(len(k))])
                for number, k in enumerate(found)
            ]
        )
        # Two writers may both have embedded a chunk: the shard that sorts first wins.
        self._keys, first = np.unique(keys, return_index=True)
        self._places = places[first]

    def _insert(self, keys: Keys, number: int) -> None:
        order = np.argsort(keys)
        new = order[self._lookup(keys[order].tolist()) < 0] if len(self._keys) else order
        positions = np.searchsorted(self._keys, keys[new])
        places = np.column_stack([np.full(len(new), number), new])
        self._keys = np.insert(self._keys, positions, keys[new])
        self._places = np.insert(self._places, positions, places, axis=0)

    def _write_shard(self, keys: bytes, vectors: Vectors) -> Path:
        from safetensors.numpy import save

        content = save(
            {
                "keys": np.frombuffer(keys, dtype=np.uint8).reshape(-1, KEY_BYTES),
                "vectors": vectors,
            },
            metadata={"space": self.space, "sha256": _checksum(keys, vectors)},
        )
        name = f"{time.time_ns():020d}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        staged = self.folder / f"{_STAGED_PREFIX}{name}"
        path = self.folder / f"{name}{_SUFFIX}"
        try:
            with staged.open("wb") as handle:
                handle.write(content)
                handle.flush()
                os.fsync(handle.fileno())
            staged.replace(path)
        finally:
            staged.unlink(missing_ok=True)
        _sync_folder(self.folder)
        return path

    def _require_sound(self, shard: _Shard) -> None:
        if shard.path in self._sound:
            return
        if problem := _damage(shard):
            self._set_aside(shard.path, problem)
            self.refresh()
            raise CorruptShardError(
                f"{shard.path.name}: {problem}; the shard was set aside and its {shard.rows} "
                "vectors must be embedded again"
            )
        self._sound.add(shard.path)

    def _set_aside(self, path: Path, problem: str) -> None:
        _log.warning(
            "embedding store: shard %s is damaged (%s); set aside as *%s, its chunks will be "
            "embedded again",
            path.name,
            problem,
            _CORRUPT_SUFFIX,
        )
        # Another process may have set it aside already.
        if path.exists():
            path.replace(path.with_suffix(_CORRUPT_SUFFIX))

    def _remove_abandoned(self) -> None:
        """Remove what killed writers left behind, old enough to be nobody's work."""
        horizon = time.time() - _STAGED_LIFETIME_SECONDS
        for path in self.folder.glob(f"{_STAGED_PREFIX}*"):
            if path.stat().st_mtime < horizon:
                path.unlink(missing_ok=True)


def _read_header(path: Path, dimension: int) -> _Shard:
    """Read where keys and vectors lie in a shard, as the safetensors format lays them out."""
    size = path.stat().st_size
    with path.open("rb") as handle:
        prefix = handle.read(_LENGTH_BYTES)
        length = struct.unpack("<Q", prefix)[0] if len(prefix) == _LENGTH_BYTES else 0
        raw = handle.read(length) if 0 < length <= _MAXIMUM_HEADER else b""
    try:
        header = json.loads(raw)
        keys, vectors = header["keys"], header["vectors"]
        (rows, width), (vector_rows, columns) = keys["shape"], vectors["shape"]
        keys_start, keys_end = keys["data_offsets"]
        vectors_start, vectors_end = vectors["data_offsets"]
        checksum = str(header["__metadata__"]["sha256"])
    except (ValueError, KeyError, TypeError) as error:
        raise _UnreadableShardError("its header cannot be read") from error
    if (width, columns, vector_rows) != (KEY_BYTES, dimension, rows):
        raise _UnreadableShardError("its shapes are not those of this store")
    data = _LENGTH_BYTES + length
    if size != data + max(keys_end, vectors_end):
        raise _UnreadableShardError("its length is not what its header says")
    return _Shard(path, rows, columns, data + keys_start, data + vectors_start, checksum)


def _damage(shard: _Shard) -> str | None:
    """Return what is wrong with a shard's content, or None."""
    try:
        actual = _checksum(shard.keys().tobytes(), shard.vectors())
    except (OSError, ValueError):
        return "it cannot be read"
    return None if actual == shard.checksum else "its content does not match its checksum"


def _checksum(keys: bytes, vectors: Vectors) -> str:
    digest = hashlib.sha256(keys)
    digest.update(np.ascontiguousarray(vectors).data)
    return digest.hexdigest()


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
