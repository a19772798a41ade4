"""Shard folder: how shards come into a store's folder, are listed, replaced and set aside.

What belongs here: every rename, removal and lock. A shard appears by rename, whole or not at all,
under a name no other writer uses. Listing a folder and swapping shards in it take turns, so a
listing never misses both the old shards and the one that replaces them.
"""

from __future__ import annotations

import errno
import fcntl
import json
import logging
import os
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from learn_assets.embedding.shards import (
    Keys,
    Shard,
    Storage,
    Stored,
    UnreadableShardError,
    read_header,
    write_content,
)

SHARD_SUFFIX = ".safetensors"
CORRUPT_SUFFIX = ".corrupt"
STAGED_PREFIX = ".staged-"

_STAGED_SECONDS = 60.0
_FULL = {
    errno.ENOSPC: "No space left on device",
    errno.EDQUOT: "Disk quota exceeded",
    errno.EFBIG: "File too large",
}

_log = logging.getLogger(__name__)


class StoreFullError(OSError):
    """A shard could not be written for want of space; what was committed before stays."""


def shard_paths(folder: Path) -> list[Path]:
    """Return the shards of a folder by name, never in the middle of a swap."""
    with _folder_lock(folder, fcntl.LOCK_SH):
        return sorted(folder.glob(f"*{SHARD_SUFFIX}"))


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
            write_content(handle, keys, blocks, metadata, storage, dimension)
            handle.flush()
            os.fsync(handle.fileno())
            # Read before it has its name: from then on a compaction may merge and remove it.
            shard = replace(read_header(staged), path=path)
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
    return shard


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
