"""Maintenance: keep a folder of vector stores small and sound without stopping those who use it.

What belongs here: compaction, size accounting, verification of every store, and clearing out what
no encoder of a study uses. Counts only; nothing here reads a text.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from learn_assets.embedding.encoders import find_encoder
from learn_assets.embedding.key_index import KeyIndex, Places, by_shard, merged_keys
from learn_assets.embedding.registry import DType
from learn_assets.embedding.shard_folder import (
    CORRUPT_SUFFIX,
    abandoned_files,
    hold_mark,
    new_name,
    remove_replaced,
    set_aside,
    shard_paths,
    sound_shards,
    write_shard,
)
from learn_assets.embedding.shards import (
    Shard,
    Stored,
    UnreadableShardError,
    folder_name,
    read_header,
)
from learn_assets.embedding.store import Verification
from learn_assets.study import Study

SHARD_BYTES = 2**30

_BLOCK_BYTES = 8 * 2**20
# Bounds the list of replaced shards in a header and the files mapped at once.
_MOST_SOURCES = 1_024
_FOLDER = re.compile(r"[0-9a-f]{32}(-float16)?")

GarbageKind = Literal["unused store", "damaged shard", "abandoned file"]


class CompactionRunningError(RuntimeError):
    """Another process compacts this store; it does the work, so nothing is lost by leaving."""


@dataclass(frozen=True)
class Compaction:
    """What compacting one store did: shards before and after, damaged ones set aside, bytes."""

    shards_before: int
    shards_after: int
    corrupt: int
    bytes_before: int
    bytes_after: int


@dataclass(frozen=True)
class StoreSize:
    """Size of one store.

    `encoder`: whose vectors, None when no encoder of the study. `vectors` are distinct; `bytes` is
    everything in the folder.
    """

    folder: str
    encoder: str | None
    shards: int
    vectors: int
    bytes: int


@dataclass(frozen=True)
class Garbage:
    """Something `collect` removes, and how many bytes that frees; `in_use` ones are left alone."""

    kind: GarbageKind
    path: Path
    bytes: int
    in_use: bool = False


def store_folders(home: Path) -> list[Path]:
    """Return the folders of the stores in a home, by name."""
    return [path for path in sorted(home.glob("*/")) if _FOLDER.fullmatch(path.name)]


def current_folders(study: Study) -> dict[str, str]:
    """Return the store folders the encoders of a study use, and whose each is.

    Those of every type an encoder can compute in: machines that share a lake may differ in that.
    MissingModelError when an encoder cannot be found, for then its folder is not known.
    """
    users: dict[str, list[str]] = {}
    for choice in study.encoders:
        encoder = find_encoder(choice)
        for dtype in sorted({encoder.dtype, *get_args(DType)}):
            folder = folder_name(replace(encoder, dtype=dtype).space, choice.vector_storage)
            users.setdefault(folder, []).append(f"{choice.id} ({dtype})")
    return {folder: ", ".join(names) for folder, names in users.items()}


def verify_stores(home: Path) -> dict[str, Verification]:
    """Read every shard of every store against its checksum; damaged ones are set aside."""
    results = {}
    for folder in store_folders(home):
        _, corrupt = sound_shards(folder)
        shards, index = _indexed(folder)
        results[folder.name] = Verification(len(shards), len(index), corrupt)
    return results


def measure_stores(home: Path, encoders: Mapping[str, str]) -> list[StoreSize]:
    """Return the size of each store; `encoders` maps folder names to the encoder they are of."""
    sizes = []
    for folder in store_folders(home):
        shards, index = _indexed(folder)
        sizes.append(
            StoreSize(
                folder=folder.name,
                encoder=encoders.get(folder.name),
                shards=len(shards),
                vectors=len(index),
                bytes=sum(_bytes(path) for path in folder.iterdir()),
            )
        )
    return sizes


def compact(folder: Path, *, shard_bytes: int = SHARD_BYTES) -> Compaction:
    """Merge the small shards of a store into few of at most `shard_bytes` each.

    Others may read and append meanwhile. Each merge is one swap: a kill before it changes nothing,
    a kill after it leaves shards whose vectors stand twice, which the next compaction removes.
    Shards of at least half the bound are never rewritten; neighbors in time are merged, so which of
    two vectors of one key is read stays the same. CompactionRunningError when another process
    compacts the store; StoreFullError leaves the store as it was.
    """
    with _alone(folder):
        before = _readable_shards(folder)
        for shard in before:
            remove_replaced(folder, shard)
        corrupt = 0
        while groups := _groups(_readable_shards(folder), shard_bytes):
            corrupt += sum(_merge(folder, group) for group in groups)
        after = _readable_shards(folder)
    return Compaction(len(before), len(after), corrupt, _total(before), _total(after))


def collect(home: Path, current: Collection[str], *, delete: bool = False) -> list[Garbage]:
    """Return what can go, and with `delete` remove it.

    That is: stores whose folder is not in `current` (the names of those the study's encoders use),
    shards set aside as damaged, and files that killed writers left. A store that a process has open
    is reported as in use and left alone.
    """
    garbage: list[Garbage] = []
    for folder in store_folders(home):
        if folder.name not in current:
            garbage.append(_collect_store(folder, delete=delete))
            continue
        damaged = sorted(folder.glob(f"*{CORRUPT_SUFFIX}"))
        garbage.extend(Garbage("damaged shard", path, _bytes(path)) for path in damaged)
        abandoned = abandoned_files(folder)
        garbage.extend(Garbage("abandoned file", path, _bytes(path)) for path in abandoned)
    if delete:
        for item in garbage:
            if item.kind != "unused store":
                item.path.unlink(missing_ok=True)
    return garbage


def _collect_store(folder: Path, *, delete: bool) -> Garbage:
    size = sum(_bytes(path) for path in folder.iterdir())
    try:
        in_use = hold_mark(folder, "in_use", fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return Garbage("unused store", folder, size, in_use=True)
    try:
        if delete:
            shutil.rmtree(folder)
    finally:
        os.close(in_use)
    return Garbage("unused store", folder, size)


def _groups(shards: Sequence[Shard], shard_bytes: int) -> list[list[Shard]]:
    """Return the runs of neighboring small shards that fit one shard of the bound."""
    groups: list[list[Shard]] = [[]]
    held = 0
    for shard in shards:
        settled = shard.size >= shard_bytes / 2
        if settled or held + shard.size > shard_bytes or len(groups[-1]) == _MOST_SOURCES:
            groups.append([])
            held = 0
        if not settled:
            groups[-1].append(shard)
            held += shard.size
    return [group for group in groups if len(group) > 1]


def _merge(folder: Path, group: Sequence[Shard]) -> int:
    """Replace shards by one with the vectors of all; return how many were damaged instead."""
    sources = [shard for shard in group if _is_sound(shard)]
    corrupt = len(group) - len(sources)
    if len(sources) < 2:
        return corrupt
    keys, places = merged_keys(sources)
    write_shard(
        folder,
        sources[0].space,
        keys,
        _gathered(sources, places),
        storage=sources[0].storage,
        dimension=sources[0].dimension,
        name=new_name(sources[0].path.name),
        replaces=[shard.path for shard in sources],
    )
    return corrupt


def _gathered(sources: Sequence[Shard], places: Places) -> Iterator[Stored]:
    """Yield the vectors at places, a bounded number of bytes at a time."""
    maps = [shard.vectors() for shard in sources]
    step = max(1, _BLOCK_BYTES // maps[0][:1].nbytes)
    for start in range(0, len(places), step):
        part = places[start : start + step]
        block = np.empty((len(part), sources[0].dimension), dtype=maps[0].dtype)
        for number, positions, rows in by_shard(part):
            block[positions] = maps[number][rows]
        yield block


def _is_sound(shard: Shard) -> bool:
    try:
        problem = shard.damage()
    except FileNotFoundError:
        return False  # A reader found it damaged first.
    if problem is not None:
        set_aside(shard.path, problem)
    return problem is None


def _indexed(folder: Path) -> tuple[list[Shard], KeyIndex]:
    while True:
        shards = _readable_shards(folder)
        with suppress(FileNotFoundError):  # Merged since it was listed.
            return shards, KeyIndex(shards)


def _readable_shards(folder: Path) -> list[Shard]:
    """Return the shards that have a header; torn ones are for whoever opens or verifies the store.

    Shards that vanish while they are listed have been merged by another process.
    """
    shards = []
    for path in shard_paths(folder):
        with suppress(FileNotFoundError, UnreadableShardError):
            shards.append(read_header(path))
    return shards


def _total(shards: Sequence[Shard]) -> int:
    return sum(shard.size for shard in shards)


def _bytes(path: Path) -> int:
    with suppress(FileNotFoundError):
        return path.stat().st_size
    return 0


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Be the only compaction of a store; the system lets go of a killed one."""
    with ExitStack() as stack:
        stack.callback(os.close, hold_mark(folder, "in_use", fcntl.LOCK_SH))
        try:
            lock = hold_mark(folder, "compaction", fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise CompactionRunningError(
                f"another process compacts the store {folder.name}; it does the work"
            ) from error
        stack.callback(os.close, lock)
        yield
