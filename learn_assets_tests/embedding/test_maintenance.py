"""Maintenance: stores shrink without losing a bit, and only what nobody uses is removed."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import numpy as np
import pytest

from learn_assets.commands.answer import Answer, RefusedError, as_json
from learn_assets.commands.store import tend_stores
from learn_assets.embedding import maintenance, shard_folder
from learn_assets.embedding.cell import vector_store
from learn_assets.embedding.encoders import find_encoder
from learn_assets.embedding.maintenance import (
    CompactionRunningError,
    compact,
    current_folders,
    measure_stores,
)
from learn_assets.embedding.shards import Storage, read_header
from learn_assets.embedding.store import VectorStore, Verification
from learn_assets.lake import Lake
from learn_assets.study import EncoderChoice, Study
from learn_assets_tests.embedding.fakes import fake_vector

DIMENSION = 12
SPACE = "0123456789abcdef" * 4
TEXTS = [f"text {i}" for i in range(60)]


def filled(home: Path, *, each: int = 7, storage: Storage = "float32") -> VectorStore:
    """A store of all texts in small shards, each overlapping the next by one text."""
    store = VectorStore(home, SPACE, DIMENSION, storage=storage)
    for start in range(0, len(TEXTS), each):
        put(store, TEXTS[start : start + each + 1])
    return store


def put(store: VectorStore, texts: list[str]) -> None:
    vectors = np.stack([fake_vector(text, DIMENSION) for text in texts])
    store.append([store.key("", text) for text in texts], vectors)


def read_all(store: VectorStore) -> np.ndarray:
    return store.read([store.key("", text) for text in TEXTS])


@pytest.mark.parametrize("storage", ["float32", "float16"])
def test_compaction_keeps_every_bit_in_fewer_shards(tmp_path: Path, storage: Storage) -> None:
    store = filled(tmp_path, storage=storage)
    before = read_all(store)
    done = compact(store.folder)
    assert (done.shards_before, done.shards_after, done.corrupt) == (9, 1, 0)
    assert done.bytes_after < done.bytes_before
    reopened = VectorStore(tmp_path, SPACE, DIMENSION, storage=storage)
    np.testing.assert_array_equal(read_all(reopened), before)
    assert reopened.verify() == Verification(1, len(TEXTS), 0)
    assert compact(store.folder).shards_after == 1


def test_shards_stay_below_the_bound_and_large_ones_are_not_rewritten(tmp_path: Path) -> None:
    store = filled(tmp_path)
    bound = 4 * max(path.stat().st_size for path in store.folder.glob("*.safetensors"))
    compact(store.folder, shard_bytes=bound)
    large = {path for path in store.folder.iterdir() if path.stat().st_size >= bound / 2}
    assert large
    put(store, ["new"])
    put(store, ["newer"])
    compact(store.folder, shard_bytes=bound)
    sizes = {path: path.stat().st_size for path in store.folder.glob("*.safetensors")}
    assert large <= set(sizes)
    assert max(sizes.values()) <= bound
    assert len(VectorStore(tmp_path, SPACE, DIMENSION)) == len(TEXTS) + 2


def test_of_two_vectors_of_one_key_the_same_is_read_before_and_after(tmp_path: Path) -> None:
    store = VectorStore(tmp_path, SPACE, DIMENSION)
    key = store.key("", "twice")
    for value in (1.0, 2.0, 3.0):
        store.append([key], np.full((1, DIMENSION), value, dtype=np.float32))
    first = VectorStore(tmp_path, SPACE, DIMENSION).read([key])
    compact(store.folder)
    np.testing.assert_array_equal(VectorStore(tmp_path, SPACE, DIMENSION).read([key]), first)


def test_an_open_store_reads_on_when_its_shards_were_merged(tmp_path: Path) -> None:
    filled(tmp_path)
    reader = VectorStore(tmp_path, SPACE, DIMENSION)
    keys = [reader.key("", text) for text in TEXTS]
    compact(reader.folder)
    assert reader.contains(keys).all()
    np.testing.assert_array_equal(
        reader.read(keys), np.stack([fake_vector(text, DIMENSION) for text in TEXTS])
    )
    put(reader, ["more"])
    assert reader.contains([reader.key("", "more"), *keys]).all()


def test_damaged_shards_are_not_merged(tmp_path: Path) -> None:
    store = filled(tmp_path)
    victim = min(store.folder.glob("*.safetensors"))
    lost = read_header(victim).rows
    content = bytearray(victim.read_bytes())
    content[-1] ^= 1
    victim.write_bytes(content)
    done = compact(store.folder)
    assert (done.corrupt, done.shards_after) == (1, 1)
    # The last text of the lost shard stands in the next one too.
    assert VectorStore(tmp_path, SPACE, DIMENSION).verify().vectors == len(TEXTS) - lost + 1


def test_two_compactions_exclude_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = filled(tmp_path)
    merge = maintenance._merge

    def meanwhile(folder: Path, group: list[maintenance.Shard]) -> int:
        with pytest.raises(CompactionRunningError):
            compact(folder)
        return merge(folder, group)

    monkeypatch.setattr(maintenance, "_merge", meanwhile)
    assert compact(store.folder).shards_after == 1
    monkeypatch.undo()
    assert compact(store.folder).shards_after == 1


class _KilledError(BaseException):
    """Planted: the process ends here; nothing after it runs, not even what cleans up."""


@pytest.mark.parametrize("calls", range(11))
def test_compaction_killed_at_any_removal_or_rename_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, calls: int
) -> None:
    store = filled(tmp_path)
    expected = read_all(store)
    left = iter(range(calls))

    def failing(step: str) -> None:
        real = getattr(Path, step)

        def maybe(path: Path, *arguments: object, **options: object) -> object:
            if next(left, None) is None:
                raise _KilledError
            return real(path, *arguments, **options)

        monkeypatch.setattr(shard_folder.Path, step, maybe)

    for step in ("replace", "unlink"):
        failing(step)
    with pytest.raises(_KilledError):
        compact(store.folder)
    monkeypatch.undo()

    reopened = VectorStore(tmp_path, SPACE, DIMENSION)
    np.testing.assert_array_equal(read_all(reopened), expected)
    assert reopened.verify().corrupt == 0
    assert compact(store.folder).shards_after == 1
    np.testing.assert_array_equal(read_all(VectorStore(tmp_path, SPACE, DIMENSION)), expected)


def test_compaction_without_room_leaves_the_store_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = filled(tmp_path)
    names = sorted(store.folder.iterdir())

    def no_space(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("learn_assets.embedding.shard_folder.os.fsync", no_space)
    with pytest.raises(shard_folder.StoreFullError, match="No space left"):
        compact(store.folder)
    assert sorted(store.folder.iterdir()) == names


@pytest.fixture
def study(small_study: Study) -> Study:
    half = EncoderChoice(id="half", model="minilm", vector_storage="float16")
    return small_study.model_copy(update={"encoders": (EncoderChoice(id="minilm"), half)})


def stores_of(study: Study, lake: Lake) -> list[VectorStore]:
    """The stores of the study's encoders and one of an encoder it has no more, each of 2 texts."""
    encoder = find_encoder(study.encoders[0])
    old = VectorStore(lake.folder("embedding_store"), "f" * 64, encoder.dimension)
    stores = [*(vector_store(lake, choice) for choice in study.encoders), old]
    for store in stores:
        store.append(
            [store.key("", text) for text in ("a", "b")],
            np.stack([fake_vector(text, encoder.dimension) for text in ("a", "b")]),
        )
    return stores


def test_sizes_are_known_by_encoder(study: Study, lake: Lake) -> None:
    single, half, _ = stores_of(study, lake)
    sizes = {
        size.encoder: size
        for size in measure_stores(lake.folder("embedding_store"), current_folders(study))
    }
    dtype = find_encoder(study.encoders[0]).dtype
    assert set(sizes) == {f"minilm ({dtype})", f"half ({dtype})", None}
    assert {(size.shards, size.vectors) for size in sizes.values()} == {(1, 2)}
    for name, store in ((f"minilm ({dtype})", single), (f"half ({dtype})", half)):
        assert sizes[name].bytes == sum(path.stat().st_size for path in store.folder.iterdir())
    assert sizes[f"half ({dtype})"].bytes < 0.75 * sizes[f"minilm ({dtype})"].bytes


def test_only_what_no_encoder_uses_is_removed_and_only_on_request(study: Study, lake: Lake) -> None:
    stores = stores_of(study, lake)
    used, _, old = (store.folder for store in stores)
    (used / "1-1-1.corrupt").write_bytes(b"damaged")
    for name, age in ((".staged-old", 3600), (".staged-new", 0)):
        (used / name).write_bytes(b"half a shard")
        os.utime(used / name, (time.time() - age,) * 2)
    home, current = lake.folder("embedding_store"), current_folders(study)
    (home / "a folder of somebody else").mkdir()

    (busy,) = (item for item in maintenance.collect(home, current) if item.in_use)
    assert busy.path == old
    # Closed, as at the end of a process.
    del stores
    found = {item.path for item in maintenance.collect(home, current)}
    assert found == {old, used / "1-1-1.corrupt", used / ".staged-old"}
    assert all(path.exists() for path in found)
    assert {item.path for item in maintenance.collect(home, current, delete=True)} == found
    assert not any(path.exists() for path in found)
    assert (used / ".staged-new").exists()
    assert (home / "a folder of somebody else").exists()
    assert [len(vector_store(lake, choice)) for choice in study.encoders] == [2, 2]
    assert maintenance.collect(home, current, delete=True) == []


def test_vectors_of_another_machine_s_type_are_current(study: Study, lake: Lake) -> None:
    folders = set(current_folders(study))
    for dtype in ("float32", "bfloat16"):
        space = find_encoder(study.encoders[0], dtype=dtype).space
        assert {space[:32], f"{space[:32]}-float16"} & folders


def numbers(answer: Answer, *names: str) -> list[tuple[int, ...]]:
    """These numbers of each store, as a program reads them."""
    stores = json.loads(as_json(answer.document))["stores"]
    return [tuple(store[name] for name in names) for store in stores]


def test_the_command_answers_in_counts(study: Study, lake: Lake) -> None:
    stores = stores_of(study, lake)
    folders = {store.folder for store in stores}

    def answer(action: str, *, delete: bool = False) -> Answer:
        return tend_stores(study, lake, action, delete=delete)

    assert answer("size").status == answer("verify").status == answer("compact").status == 0
    size = answer("size")
    assert "2 vectors in 1 shards" in size.text
    assert numbers(size, "vectors", "shards") == [(2, 1)] * 3
    assert size.document["bytes"] == sum(number for (number,) in numbers(size, "bytes"))
    assert numbers(answer("verify"), "vectors", "shards", "corrupt") == [(2, 1, 0)] * 3
    victim = next(stores[0].folder.glob("*.safetensors"))
    victim.write_bytes(victim.read_bytes()[:-1])
    damaged = answer("verify")
    assert damaged.status == 1
    assert sorted(numbers(damaged, "corrupt")) == [(0,), (0,), (1,)]
    assert answer("verify").status == 0
    assert sum(after for (after,) in numbers(answer("compact"), "shards_after")) == 2
    with pytest.raises(RefusedError, match="--delete"):
        answer("size", delete=True)
    del stores
    listed = json.loads(as_json(answer("collect").document))
    kinds = {item["kind"]: item["items"] for item in listed["garbage"]}
    assert kinds == {"unused store": 1, "damaged shard": 1}
    assert (listed["in_use"], listed["removed"]) == (0, False)
    assert all(folder.exists() for folder in folders)
    assert answer("collect", delete=True).status == 0
    assert sorted(folder.exists() for folder in folders) == [False, True, True]


def test_nothing_is_collected_while_an_encoder_is_unknown(study: Study, lake: Lake) -> None:
    *_, old = (store.folder for store in stores_of(study, lake))
    gone = EncoderChoice(id="gone", path=lake.root / "nowhere")
    changed = study.model_copy(update={"encoders": (gone,)})
    with pytest.raises(RefusedError, match="gone"):
        tend_stores(changed, lake, "collect", delete=True)
    assert old.exists()


def test_a_shard_that_is_merged_the_moment_it_has_its_name_was_committed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = VectorStore(tmp_path, SPACE, DIMENSION)
    put(store, TEXTS[:30])
    swap = shard_folder._swap

    def then_compacted(folder: Path, staged: Path, path: Path, replaces: tuple[Path, ...]) -> None:
        monkeypatch.setattr(shard_folder, "_swap", swap)
        swap(folder, staged, path, replaces)
        assert compact(folder).shards_after == 1
        assert not path.exists()

    monkeypatch.setattr(shard_folder, "_swap", then_compacted)
    put(store, TEXTS[30:])
    expected = np.stack([fake_vector(text, DIMENSION) for text in TEXTS])
    np.testing.assert_array_equal(read_all(store), expected)
    np.testing.assert_array_equal(read_all(VectorStore(tmp_path, SPACE, DIMENSION)), expected)
