"""Store: what `learn-assets store` does to a study's vectors, and its answer in counts."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from learn_assets.commands.answer import Answer, RefusedError
from learn_assets.embedding import maintenance
from learn_assets.embedding.encoders import MissingModelError, UnknownEncoderError
from learn_assets.embedding.maintenance import CompactionRunningError
from learn_assets.embedding.shard_folder import StoreFullError
from learn_assets.lake import Lake
from learn_assets.study import Study
from learn_assets.study.file import AnyStudy

_NOBODY = "no encoder of the study"


def tend_stores(study: AnyStudy, lake: Lake, action: str, *, delete: bool = False) -> Answer:
    """Size, verify, compact or collect the stores of a study; `delete` is for `collect`.

    Status 1 when damage was found. RefusedError when it cannot be done.
    """
    if not isinstance(study, Study):
        raise RefusedError(f"study {study.name} embeds no narratives, so it has no store")
    if delete and action != "collect":
        raise RefusedError("--delete belongs to `store collect`")
    home = lake.folder("embedding_store")
    try:
        owners = maintenance.current_folders(study)
        if action == "collect":
            return _collect(home, owners, delete=delete)
        return {"size": _size, "verify": _verify, "compact": _compact}[action](home, owners)
    except (
        MissingModelError,
        UnknownEncoderError,
        CompactionRunningError,
        StoreFullError,
    ) as error:
        raise RefusedError(str(error)) from error


def _size(home: Path, owners: dict[str, str]) -> Answer:
    sizes = maintenance.measure_stores(home, owners)
    total = sum(size.bytes for size in sizes)
    lines = [
        f"{size.encoder or _NOBODY}: {size.vectors:,} vectors in {size.shards:,} shards, "
        f"{_readable(size.bytes)}"
        for size in sizes
    ]
    text = "\n".join([*lines, f"{len(sizes)} stores, {_readable(total)}"])
    return Answer(text, {"stores": [asdict(size) for size in sizes], "bytes": total})


def _verify(home: Path, owners: dict[str, str]) -> Answer:
    results = maintenance.verify_stores(home)
    lines = [
        f"{owners.get(folder, _NOBODY)}: {found.vectors:,} vectors in {found.shards:,} shards are "
        f"sound, {found.corrupt:,} damaged shards were set aside"
        for folder, found in results.items()
    ]
    damaged = any(found.corrupt for found in results.values())
    if damaged:
        lines.append("what was in them is embedded again when the study is materialized")
    stores = [_named(folder, owners) | asdict(found) for folder, found in results.items()]
    return _of_stores(lines, stores, damaged=damaged)


def _compact(home: Path, owners: dict[str, str]) -> Answer:
    results = {
        folder.name: maintenance.compact(folder) for folder in maintenance.store_folders(home)
    }
    lines = [
        f"{owners.get(folder, _NOBODY)}: {done.shards_before:,} shards of "
        f"{_readable(done.bytes_before)} became {done.shards_after:,} of "
        f"{_readable(done.bytes_after)}, {done.corrupt:,} damaged shards were set aside"
        for folder, done in results.items()
    ]
    stores = [_named(folder, owners) | asdict(done) for folder, done in results.items()]
    return _of_stores(lines, stores, damaged=any(done.corrupt for done in results.values()))


def _of_stores(lines: list[str], stores: list[dict[str, object]], *, damaged: bool) -> Answer:
    return Answer("\n".join(lines) or "no store yet", {"stores": stores}, 1 if damaged else 0)


def _named(folder: str, owners: dict[str, str]) -> dict[str, object]:
    return {"folder": folder, "encoder": owners.get(folder)}


def _collect(home: Path, owners: dict[str, str], *, delete: bool) -> Answer:
    garbage = maintenance.collect(home, owners, delete=delete)
    found, lines = [], []
    for kind in dict.fromkeys(item.kind for item in garbage):
        items = [item for item in garbage if item.kind == kind and not item.in_use]
        size = sum(item.bytes for item in items)
        lines.append(f"{kind}: {len(items):,}, {_readable(size)}")
        found.append({"kind": kind, "items": len(items), "bytes": size})
    if busy := sum(item.in_use for item in garbage):
        lines.append(f"left alone, a process has them open: {busy:,}")
    if len(garbage) == busy:
        lines.append("nothing to remove")
    else:
        lines.append("removed" if delete else "nothing was removed; add --delete to remove them")
    return Answer("\n".join(lines), {"garbage": found, "in_use": busy, "removed": delete})


def _readable(size: float) -> str:
    """Return bytes in the unit that reads best."""
    for unit in ("bytes", "KiB", "MiB"):
        if size < 1024:
            return f"{size:,.0f} {unit}"
        size /= 1024
    return f"{size:,.1f} GiB"
