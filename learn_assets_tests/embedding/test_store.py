"""Store: what is committed stays, what is damaged is noticed, writers do not disturb each other."""

from __future__ import annotations

import itertools
import logging
import subprocess
import sys
import uuid
from hashlib import sha256
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from learn_assets.embedding.key_index import KeyIndex
from learn_assets.embedding.maintenance import compact
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


def test_float16_is_a_store_of_its_own_and_reads_float32(tmp_path: Path) -> None:
    texts = ["a", "b", "c"]
    half = VectorStore(tmp_path, "space" * 16, DIMENSION, storage="float16")
    fill(half, texts)
    reopened = VectorStore(tmp_path, "space" * 16, DIMENSION, storage="float16")
    read = reopened.read(keys_of(reopened, texts))
    assert read.dtype == np.float32
    np.testing.assert_array_equal(read, vectors_of(texts).astype(np.float16).astype(np.float32))
    assert len(open_store(tmp_path)) == 0
    with pytest.raises(ValueError, match="float16"):
        half.append([half.key("", "d")], np.full((1, DIMENSION), 1e6, dtype=np.float32))


def test_a_shard_is_a_safetensors_file(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    texts = ["a", "b", "c"]
    fill(store, texts)
    tensors = load_file(next(store.folder.glob("*.safetensors")))
    order = np.argsort(keys_of(store, texts))
    np.testing.assert_array_equal(tensors["vectors"], vectors_of(texts)[order])
    assert tensors["keys"].tobytes() == b"".join(sorted(keys_of(store, texts)))


def test_a_shard_whose_keys_are_in_any_order_is_read(tmp_path: Path) -> None:
    """Shards of before keys were sorted; they may also hold a key twice."""
    store = open_store(tmp_path)
    texts = ["c", "a", "b", "a"]
    keys = b"".join(keys_of(store, texts))
    vectors = vectors_of(texts)
    metadata = {"space": store.space, "sha256": sha256(keys + vectors.tobytes()).hexdigest()}
    tensors = {"keys": np.frombuffer(keys, dtype=np.uint8).reshape(-1, 32), "vectors": vectors}
    save_file(tensors, store.folder / "1-1-1.safetensors", metadata=metadata)
    store.refresh()
    np.testing.assert_array_equal(store.read(keys_of(store, texts)), vectors)
    assert store.verify() == Verification(shards=1, vectors=3, corrupt=0)
    compact(store.folder)
    fill(store, ["d"])
    assert compact(store.folder).shards_after == 1
    reopened = open_store(tmp_path)
    np.testing.assert_array_equal(reopened.read(keys_of(reopened, texts)), vectors)


def test_a_shard_of_another_store_is_set_aside(tmp_path: Path) -> None:
    other = VectorStore(tmp_path, "other" * 16, DIMENSION)
    fill(other, ["a"])
    store = open_store(tmp_path)
    (stray,) = other.folder.glob("*.safetensors")
    stray.replace(store.folder / stray.name)
    store.refresh()
    assert store.verify() == Verification(shards=0, vectors=0, corrupt=0)


@given(
    batches=st.lists(st.lists(st.integers(0, 40), min_size=1, max_size=12), max_size=12),
    opened=st.integers(0, 12),
    mapped_rows=st.sampled_from([1, 6, 1000]),
)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_index_equals_a_dictionary(
    tmp_path: Path, batches: list[list[int]], opened: int, mapped_rows: int
) -> None:
    """Whether shards are mapped, loaded or added: the first shard that has a key wins."""
    home = tmp_path / uuid.uuid4().hex
    expected: dict[str, float] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("learn_assets.embedding.key_index._MAPPED_ROWS", mapped_rows)
        store = open_store(home)
        for number, batch in enumerate(batches):
            if number == opened:
                store = open_store(home)
            texts = [str(value) for value in batch]
            values = number + np.arange(len(texts)) / 100
            store.append(
                keys_of(store, texts),
                np.repeat(values[:, None], DIMENSION, axis=1).astype(np.float32),
            )
            for text, value in zip(texts, values, strict=True):
                expected.setdefault(text, value)
        known = keys_of(store, list(expected))
        assert store.contains([*known, store.key("", "unknown")]).tolist() == (
            [True] * len(expected) + [False]
        )
        np.testing.assert_array_equal(
            store.read(known)[:, 0], np.array(list(expected.values()), dtype=np.float32)
        )
        assert len(store) == len(expected)


def test_a_commit_does_not_copy_what_is_there() -> None:
    """Keys of many commits lie in runs of geometric sizes: few merges, each key in few of them."""
    index = KeyIndex()
    for number in range(256):
        index.add(
            np.sort(np.frombuffer(np.random.default_rng(number).bytes(320), dtype="S32")), number
        )
    sizes = [len(run.keys) for run in index._merged]
    assert sum(sizes) == 2560
    assert len(sizes) < 12
    assert all(earlier >= 2 * later for earlier, later in itertools.pairwise(sizes))


def test_folders_are_private(tmp_path: Path) -> None:
    store = open_store(tmp_path / "home")
    assert (store.folder.stat().st_mode & 0o777) == 0o700
