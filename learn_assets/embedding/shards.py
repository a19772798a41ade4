"""Shards: the files that hold vectors; how one is written, described, checked and set aside.

A shard is one safetensors file `<unique name>.safetensors` with `vectors` (n x d, float32 or
float16) and `keys` (uint8, n x 32, ascending, each once); its metadata holds the space, the sha256
of keys and vectors, and the names of the shards it replaces. It appears by rename, whole or not at
all. What lists a folder and what swaps shards in it take turns, so a listing never misses both the
old shards and the new one.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import logging
import os
import struct
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
import numpy.typing as npt

KEY_BYTES = 32
SHARD_SUFFIX = ".safetensors"
CORRUPT_SUFFIX = ".corrupt"
STAGED_PREFIX = ".staged-"

_LENGTH_BYTES = 8
_ALIGNMENT = 8
_MAXIMUM_HEADER = 1_000_000
_READ_BYTES = 8 * 2**20
_STAGED_SECONDS = 60.0
_NAMES = {"float32": "F32", "float16": "F16"}
_FULL = {
    errno.ENOSPC: "No space left on device",
    errno.EDQUOT: "Disk quota exceeded",
    errno.EFBIG: "File too large",
}

_log = logging.getLogger(__name__)

Storage = Literal["float32", "float16"]
Keys = npt.NDArray[np.bytes_]
Stored = npt.NDArray[np.float32] | npt.NDArray[np.float16]


class UnreadableShardError(ValueError):
    """Why a file is not a whole shard."""


class StoreFullError(OSError):
    """A shard could not be written for want of space; what was committed before stays."""


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


def shard_paths(folder: Path) -> list[Path]:
    """Return the shards of a folder by name, never in the middle of a swap."""
    with _folder_lock(folder, fcntl.LOCK_SH):
        return sorted(folder.glob(f"*{SHARD_SUFFIX}"))


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


def write_shard(
    folder: Path,
    space: str,
    keys: Keys,
    blocks: Iterable[Stored],
    *,
    storage: Storage,
    dimension: int,
    name: str,
    replaces: Sequence[Path] = (),
) -> Shard:
    """Write a shard whole or not at all, and remove the shards it replaces in the same swap.

    `keys` (n,) ascending, each once; `blocks` hold their n vectors in the same order, cast to
    `storage`. StoreFullError when there is no room, OSError otherwise; both leave the store as it
    was.
    """
    metadata = {"space": space, "order": "ascending", "sha256": "0" * 64}
    if replaces:
        metadata["replaces"] = json.dumps([path.name for path in replaces])
    staged, path = folder / f"{STAGED_PREFIX}{name}", folder / f"{name}{SHARD_SUFFIX}"
    try:
        with staged.open("wb") as handle:
            # Held as long as it is written: a staged file that nobody holds was left by a kill.
            fcntl.flock(handle, fcntl.LOCK_EX)
            _write_content(handle, keys, blocks, metadata, storage, dimension)
            handle.flush()
            os.fsync(handle.fileno())
            _swap(folder, staged, path, replaces)
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise StoreFullError(
            error.errno,
            f"{_FULL[error.errno]}: the embedding store has no room for a shard of {len(keys)} "
            f"vectors in {folder}. Nothing committed before is lost; make room and start again",
        ) from error
    finally:
        staged.unlink(missing_ok=True)
    return read_header(path)


def new_name(first: str = "") -> str:
    """Return a name no other writer uses. Names sort by time of writing.

    With `first`, the name of a shard, it sorts where that one did.
    """
    moment = first.split("-", maxsplit=1)[0] if first else f"{time.time_ns():020d}"
    return f"{moment}-{os.getpid()}-{uuid.uuid4().hex[:8]}"


def set_aside(path: Path, problem: str) -> None:
    """Rename a damaged shard to *.corrupt, so that its chunks count as not embedded."""
    try:
        path.replace(path.with_suffix(CORRUPT_SUFFIX))
    except FileNotFoundError:
        return  # Another process has set it aside or merged it already.
    _log.warning(
        "embedding store: shard %s is damaged (%s); set aside as *%s, its chunks will be embedded "
        "again",
        path.name,
        problem,
        CORRUPT_SUFFIX,
    )


def sound_shards(folder: Path) -> tuple[list[Shard], int]:
    """Read every shard of a folder whole: those that are sound, and how many were set aside.

    A shard that vanished meanwhile was merged by a compaction; the listing is then taken again.
    """
    sound: dict[Path, Shard] = {}
    corrupt = 0
    while True:
        paths = shard_paths(folder)
        unread = [path for path in paths if path not in sound]
        if not unread:
            return [sound[path] for path in paths], corrupt
        for path in unread:
            try:
                shard = read_header(path)
                problem = shard.damage()
            except FileNotFoundError:
                continue
            except UnreadableShardError as error:
                problem = str(error)
            if problem is None:
                sound[path] = shard
            else:
                set_aside(path, problem)
                corrupt += 1


def abandoned_files(folder: Path) -> list[Path]:
    """Return the staged files that killed writers left behind."""
    return [path for path in sorted(folder.glob(f"{STAGED_PREFIX}*")) if _is_abandoned(path)]


def remove_replaced(folder: Path, shard: Shard) -> int:
    """Remove what a shard replaces and a killed compaction left; return how many there were."""
    left = [folder / name for name in shard.replaces if (folder / name).exists()]
    if left:
        with _folder_lock(folder, fcntl.LOCK_EX):
            for path in left:
                path.unlink(missing_ok=True)
    return len(left)


def _swap(folder: Path, staged: Path, path: Path, replaces: Sequence[Path]) -> None:
    """Put a finished shard in its place; what it replaces goes only once that is on disk."""
    if not replaces:
        staged.replace(path)
        _sync_folder(folder)
        return
    with _folder_lock(folder, fcntl.LOCK_EX):
        staged.replace(path)
        _sync_folder(folder)
        for old in replaces:
            old.unlink(missing_ok=True)
    _sync_folder(folder)


def _write_content(
    handle: IO[bytes],
    keys: Keys,
    blocks: Iterable[Stored],
    metadata: dict[str, str],
    storage: Storage,
    dimension: int,
) -> None:
    """Write header, vectors and keys; the checksum is known last and its place filled then."""
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
    if width != KEY_BYTES or vector_rows != rows:
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


def _is_abandoned(path: Path) -> bool:
    try:
        # A writer needs a moment between making the file and holding it.
        if time.time() - path.stat().st_mtime < _STAGED_SECONDS:
            return False
        with path.open("rb") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, FileNotFoundError):
        return False
    return True


def hold_mark(folder: Path, mark: str, mode: int) -> int:
    """Lock a mark of a store (`in_use`, `compaction`); close the descriptor to let go.

    The mark is a file beside the folder, so that it outlives it. It stays after a kill, the lock
    does not. BlockingIOError when `mode` does not wait and another process holds it.
    """
    path = folder.with_name(f".{folder.name}.{mark}")
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, mode)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


@contextmanager
def _folder_lock(folder: Path, mode: int) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, mode)
        yield
    finally:
        os.close(descriptor)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
