"""Shards: the format of the files that hold vectors; how one is written, described and checked.

A shard is one safetensors file with `vectors` (n x d, float32 or float16) and `keys` (uint8,
n x 32, ascending, each once); its metadata holds the space, the sha256 of keys and vectors, and
the names of the shards it replaces. Shards of before these rules hold their keys in any order.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
import numpy.typing as npt

KEY_BYTES = 32

_LENGTH_BYTES = 8
_ALIGNMENT = 8
_MAXIMUM_HEADER = 1_000_000
_READ_BYTES = 8 * 2**20
_NAMES = {"float32": "F32", "float16": "F16"}
Storage = Literal["float32", "float16"]
Keys = npt.NDArray[np.bytes_]
Stored = npt.NDArray[np.float32] | npt.NDArray[np.float16]


class UnreadableShardError(ValueError):
    """Why a file is not a whole shard."""


@dataclass(frozen=True)
class Shard:
    """What the header of a shard says.

    `ascending`: the keys stand in order and once; `replaces`: names of the shards merged into it.
    """

    path: Path
    space: str
    storage: Storage
    rows: int
    dimension: int
    size: int
    keys_offset: int
    vectors_offset: int
    checksum: str
    ascending: bool
    replaces: tuple[str, ...]

    def keys(self) -> Keys:
        """Return all keys (n,) in memory."""
        count = self.rows * KEY_BYTES
        raw = np.fromfile(self.path, dtype=np.uint8, count=count, offset=self.keys_offset)
        return raw.view(f"S{KEY_BYTES}").reshape(-1)

    def mapped_keys(self) -> Keys:
        """Return all keys (n,) mapped from the file: they cost no memory of the process."""
        return np.memmap(
            self.path,
            dtype=f"S{KEY_BYTES}",
            mode="r",
            offset=self.keys_offset,
            shape=(self.rows,),
        )

    def vectors(self) -> Stored:
        """Return all vectors (n, d) mapped from the file, in the type they are stored in."""
        return np.memmap(
            self.path,
            dtype=self.storage,
            mode="r",
            offset=self.vectors_offset,
            shape=(self.rows, self.dimension),
        )

    def damage(self) -> str | None:
        """Read the whole shard and return what is wrong with it, or None.

        FileNotFoundError when it is gone, which is no damage: it was merged or set aside.
        """
        row_bytes = self.dimension * np.dtype(self.storage).itemsize
        digest = hashlib.sha256()
        try:
            with self.path.open("rb") as handle:
                _digest_part(digest, handle, self.keys_offset, self.rows * KEY_BYTES)
                _digest_part(digest, handle, self.vectors_offset, self.rows * row_bytes)
        except FileNotFoundError:
            raise
        except OSError:
            return "it cannot be read"
        matches = digest.hexdigest() == self.checksum
        return None if matches else "its content does not match its checksum"


def folder_name(space: str, storage: Storage) -> str:
    """Return the name of the folder for a space's vectors; float16 and float32 never mix."""
    return space[:32] if storage == "float32" else f"{space[:32]}-{storage}"


def read_header(path: Path) -> Shard:
    """Read where keys and vectors lie in a shard, as the safetensors format lays them out.

    UnreadableShardError when the file is torn or no shard of its folder.
    """
    with path.open("rb") as handle:
        size = os.fstat(handle.fileno()).st_size
        prefix = handle.read(_LENGTH_BYTES)
        length = struct.unpack("<Q", prefix)[0] if len(prefix) == _LENGTH_BYTES else 0
        raw = handle.read(length) if 0 < length <= _MAXIMUM_HEADER else b""
    try:
        shard, end = _described(path, size, json.loads(raw), _LENGTH_BYTES + length)
    except (ValueError, KeyError, TypeError, StopIteration) as error:
        raise UnreadableShardError("its header cannot be read") from error
    if size != end:
        raise UnreadableShardError("its length is not what its header says")
    if path.parent.name != folder_name(shard.space, shard.storage):
        raise UnreadableShardError("it belongs to another store")
    return shard


def write_content(
    handle: IO[bytes],
    keys: Keys,
    blocks: Iterable[Stored],
    metadata: dict[str, str],
    storage: Storage,
    dimension: int,
) -> None:
    """Write a shard to a file: header, vectors, keys; the checksum comes last, into its place.

    `blocks` hold a vector for each key, in order, and are cast to `storage`. ValueError when their
    number disagrees.
    """
    start = handle.tell()
    handle.write(_header(metadata, len(keys), dimension, storage))
    content = np.ascontiguousarray(keys).tobytes()
    digest = hashlib.sha256(content)
    rows = 0
    for block in blocks:
        stored = np.ascontiguousarray(block, dtype=storage)
        rows += len(stored)
        digest.update(stored.data)
        handle.write(stored.data)
    if rows != len(keys):
        raise ValueError(f"{len(keys)} keys, but {rows} vectors")
    handle.write(content)
    handle.seek(start)
    handle.write(_header(metadata | {"sha256": digest.hexdigest()}, rows, dimension, storage))


def _header(metadata: dict[str, str], rows: int, dimension: int, storage: Storage) -> bytes:
    vectors_end = rows * dimension * np.dtype(storage).itemsize
    # Vectors first: safetensors starts the data at a multiple of 8, which mapping them needs.
    document: dict[str, Any] = {
        "__metadata__": metadata,
        "vectors": {
            "dtype": _NAMES[storage],
            "shape": [rows, dimension],
            "data_offsets": [0, vectors_end],
        },
        "keys": {
            "dtype": "U8",
            "shape": [rows, KEY_BYTES],
            "data_offsets": [vectors_end, vectors_end + rows * KEY_BYTES],
        },
    }
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    return struct.pack("<Q", len(text)) + text


def _described(path: Path, size: int, header: dict[str, Any], data: int) -> tuple[Shard, int]:
    """Return the shard a header describes, and where its file should end."""
    keys, vectors, metadata = header["keys"], header["vectors"], header["__metadata__"]
    (rows, width), (vector_rows, columns) = keys["shape"], vectors["shape"]
    if width != KEY_BYTES or vector_rows != rows or rows < 1:
        raise ValueError("shapes disagree")
    shard = Shard(
        path=path,
        space=str(metadata["space"]),
        storage=next(name for name in _storages() if _NAMES[name] == vectors["dtype"]),
        rows=rows,
        dimension=columns,
        size=size,
        keys_offset=data + keys["data_offsets"][0],
        vectors_offset=data + vectors["data_offsets"][0],
        checksum=str(metadata["sha256"]),
        ascending=metadata.get("order") == "ascending",
        replaces=tuple(json.loads(metadata.get("replaces", "[]"))),
    )
    return shard, data + max(keys["data_offsets"][1], vectors["data_offsets"][1])


def _storages() -> tuple[Storage, ...]:
    return ("float32", "float16")


def _digest_part(digest: hashlib._Hash, handle: IO[bytes], offset: int, length: int) -> None:
    handle.seek(offset)
    while length:
        part = handle.read(min(length, _READ_BYTES))
        if not part:
            return  # Cut short since its header was read: the checksum will not match.
        digest.update(part)
        length -= len(part)
