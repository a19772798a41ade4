"""Store: what is committed stays, what is damaged is noticed, writers do not disturb each other."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from learn_assets.embedding.store import CorruptShardError, VectorStore, Verification
from learn_assets_tests.embedding.fakes import fake_vector

DIMENSION = 12


def open_store(home: Path) -> VectorStore:
    return VectorStore(home, "space" * 16, DIMENSION)


def vectors_of(texts: list[str]) -> npt.NDArray[np.float32]:
    return np.stack([fake_vector(text, DIMENSION) for text in texts])


def fill(store: VectorStore, *shards: list[str]) -> None:
    for texts in shards:
        store.append([store.key("", text) for text in texts], vectors_of(texts))


def keys_of(store: VectorStore, texts: list[str]) -> list[bytes]:
    return [store.key("", text) for text in texts]


def test_vectors_come_back_in_any_order_after_reopening(tmp_path: Path) -> None:
    texts = [f"text {i}" for i in range(100)]
    fill(open_store(tmp_path), texts[:40], texts[40:41], texts[41:])
    reopened = open_store(tmp_path)
    shuffled = [texts[i] for i in np.random.default_rng(0).permutation(100)] + texts[:3]
    np.testing.assert_array_equal(reopened.read(keys_of(reopened, shuffled)), vectors_of(shuffled))
    assert len(reopened) == 100


def test_index_while_writing_equals_index_after_reopening(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    fill(store, ["a", "b"], ["c"], ["b", "d"])
    assert store.contains(keys_of(store, ["a", "b", "c", "d", "e"])).tolist() == [True] * 4 + [
        False
    ]
    assert len(store) == len(open_store(tmp_path)) == 4
    np.testing.assert_array_equal(store.read(keys_of(store, ["d", "b"])), vectors_of(["d", "b"]))


def test_key_depends_on_space_prompt_and_text(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    other = VectorStore(tmp_path, "other" * 16, DIMENSION)
    keys = {store.key("", "ab"), store.key("a", "b"), store.key("ab", ""), other.key("", "ab")}
    assert len(keys) == 4
    assert {len(key) for key in keys} == {32}


def test_unknown_keys_are_counted(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    fill(store, ["a"])
    with pytest.raises(KeyError, match="2 of 3"):
        store.read(keys_of(store, ["a", "b", "c"]))


def test_wrong_shapes_and_values_are_not_stored(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    with pytest.raises(ValueError, match="shape"):
        store.append([store.key("", "a")], np.zeros((2, DIMENSION), dtype=np.float32))
    with pytest.raises(ValueError, match="finite"):
        store.append([store.key("", "a")], np.full((1, DIMENSION), np.nan, dtype=np.float32))
    assert store.verify() == Verification(shards=0, vectors=0, corrupt=0)


@pytest.mark.parametrize("kept", [0, 5, 100, -1])
def test_torn_shard_is_set_aside_when_opening(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, kept: int
) -> None:
    store = open_store(tmp_path)
    fill(store, ["a", "b"], ["c"])
    first, _ = sorted(store.folder.glob("*.safetensors"))
    first.write_bytes(first.read_bytes()[:kept])
    with caplog.at_level(logging.WARNING):
        reopened = open_store(tmp_path)
    assert reopened.contains(keys_of(reopened, ["a", "b", "c"])).tolist() == [False, False, True]
    assert "set aside" in caplog.text
    assert [path.suffix for path in store.folder.iterdir() if path.stem == first.stem] == [
        ".corrupt"
    ]


def flip_a_bit(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


def test_changed_content_is_noticed_on_reading_and_can_be_replaced(tmp_path: Path) -> None:
    fill(open_store(tmp_path), ["a", "b"], ["c"])
    store = open_store(tmp_path)
    flip_a_bit(min(store.folder.glob("*.safetensors")), at=-100)
    with pytest.raises(CorruptShardError, match="2 vectors"):
        store.read(keys_of(store, ["a", "c"]))
    assert store.contains(keys_of(store, ["a", "b", "c"])).tolist() == [False, False, True]
    fill(store, ["a", "b"])
    np.testing.assert_array_equal(store.read(keys_of(store, ["a"])), vectors_of(["a"]))


def test_verify_counts_sound_and_damaged_shards(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    fill(store, ["a", "b"], ["c"], ["d"])
    flip_a_bit(max(store.folder.glob("*.safetensors")), at=-1)
    assert store.verify() == Verification(shards=2, vectors=3, corrupt=1)
    assert store.verify() == Verification(shards=2, vectors=3, corrupt=0)


def test_disk_full_leaves_the_store_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(tmp_path)
    fill(store, ["a"])

    def no_space(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("learn_assets.embedding.shard_folder.os.fsync", no_space)
    with pytest.raises(OSError, match="No space"):
        fill(store, ["b"])
    monkeypatch.undo()
    assert store.verify() == Verification(shards=1, vectors=1, corrupt=0)
    assert len(list(store.folder.iterdir())) == 1


WRITER = """
import sys
from pathlib import Path
from learn_assets_tests.embedding.test_store import fill, open_store
store = open_store(Path(sys.argv[1]))
for shard in range(20):
    fill(store, [f"shared {shard}", f"{sys.argv[2]} {shard}"])
"""


def test_two_writers_at_once_lose_nothing(tmp_path: Path) -> None:
    watching = open_store(tmp_path)
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), name])
        for name in ("first", "second")
    ]
    assert [writer.wait(timeout=120) for writer in writers] == [0, 0]
    texts = [f"{name} {i}" for name in ("shared", "first", "second") for i in range(20)]
    assert len(watching) == 0
    watching.refresh()
    np.testing.assert_array_equal(watching.read(keys_of(watching, texts)), vectors_of(texts))
    assert watching.verify() == Verification(shards=40, vectors=60, corrupt=0)


def test_folders_are_private(tmp_path: Path) -> None:
    store = open_store(tmp_path / "home")
    assert (store.folder.stat().st_mode & 0o777) == 0o700
