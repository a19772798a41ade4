"""Store command: what `learn-assets store` does to a study's vectors, and its answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from learn_assets.embedding import maintenance
from learn_assets.embedding.encoders import MissingModelError, UnknownEncoderError
from learn_assets.embedding.maintenance import CompactionRunningError
from learn_assets.embedding.shard_folder import StoreFullError
from learn_assets.lake import Lake
from learn_assets.study import Study
from learn_assets.study.file import AnyStudy

_NOBODY = "no encoder of the study"


@dataclass(frozen=True)
class StoreAnswer:
    """Lines to print, and the exit status: 0 well, 1 damage was found, 2 it could not be done."""

    lines: tuple[str, ...]
    status: int = 0


def answer_store_command(study: AnyStudy, lake: Lake, action: str, *, delete: bool) -> StoreAnswer:
    """Size, verify, compact or collect the stores of a study; `delete` is for `collect`."""
    if not isinstance(study, Study):
        return StoreAnswer((f"study {study.name} embeds no narratives, so it has no store",), 2)
    if delete and action != "collect":
        return StoreAnswer(("--delete belongs to `store collect`",), 2)
    home = lake.folder("embedding_store")
    try:
        if action == "collect":
            return _collect(study, home, delete=delete)
        return _READING[action](study, home)
    except (
        MissingModelError,
        UnknownEncoderError,
        CompactionRunningError,
        StoreFullError,
    ) as error:
        return StoreAnswer((str(error),), 2)


def _size(study: Study, home: Path) -> StoreAnswer:
    sizes = maintenance.measure_stores(home, maintenance.current_folders(study))
    lines = [
        f"{size.encoder or _NOBODY}: {size.vectors:,} vectors in {size.shards:,} shards, "
        f"{_readable(size.bytes)}"
        for size in sizes
    ]
    total = f"{len(sizes)} stores, {_readable(sum(size.bytes for size in sizes))}"
    return StoreAnswer((*lines, total))


def _verify(study: Study, home: Path) -> StoreAnswer:
    owners = maintenance.current_folders(study)
    results = maintenance.verify_stores(home)
    lines = [
        f"{owners.get(folder, _NOBODY)}: {found.vectors:,} vectors in {found.shards:,} shards are "
        f"sound, {found.corrupt:,} damaged shards were set aside"
        for folder, found in results.items()
    ]
    damaged = any(found.corrupt for found in results.values())
    if damaged:
        lines.append("what was in them is embedded again when the study is materialized")
    return StoreAnswer(tuple(lines) or ("no store yet",), 1 if damaged else 0)


def _compact(study: Study, home: Path) -> StoreAnswer:
    owners = maintenance.current_folders(study)
    lines, damaged = [], False
    for folder in maintenance.store_folders(home):
        done = maintenance.compact(folder)
        damaged |= done.corrupt > 0
        lines.append(
            f"{owners.get(folder.name, _NOBODY)}: {done.shards_before:,} shards of "
            f"{_readable(done.bytes_before)} became {done.shards_after:,} of "
            f"{_readable(done.bytes_after)}, {done.corrupt:,} damaged shards were set aside"
        )
    return StoreAnswer(tuple(lines) or ("no store yet",), 1 if damaged else 0)


def _collect(study: Study, home: Path, *, delete: bool) -> StoreAnswer:
    garbage = maintenance.collect(home, maintenance.current_folders(study), delete=delete)
    lines = []
    for kind in dict.fromkeys(item.kind for item in garbage):
        items = [item for item in garbage if item.kind == kind and not item.in_use]
        lines.append(f"{kind}: {len(items):,}, {_readable(sum(item.bytes for item in items))}")
    if busy := sum(item.in_use for item in garbage):
        lines.append(f"left alone, a process has them open: {busy:,}")
    if len(garbage) == busy:
        lines.append("nothing to remove")
    else:
        lines.append("removed" if delete else "nothing was removed; add --delete to remove them")
    return StoreAnswer(tuple(lines))


_READING: Mapping[str, Callable[[Study, Path], StoreAnswer]] = MappingProxyType(
    {"size": _size, "verify": _verify, "compact": _compact}
)


def _readable(size: float) -> str:
    """Return bytes in the unit that reads best."""
    for unit in ("bytes", "KiB", "MiB"):
        if size < 1024:
            return f"{size:,.0f} {unit}"
        size /= 1024
    return f"{size:,.1f} GiB"
