"""Recovery: runs killed, starved of disk or crossing each other end as a calm run does."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from learn_assets.embedding.maintenance import compact
from learn_assets.embedding.shard_folder import StoreFullError
from learn_assets.embedding.store import VectorStore
from learn_assets_tests.embedding import victims
from learn_assets_tests.embedding.fakes import CountingBackend

pytestmark = pytest.mark.slow

PATIENCE = 240.0
COMMIT_SECONDS = 0.02
KILLS = 3


def finish(process: victims.BaseProcess) -> int | None:
    process.join(PATIENCE)
    return process.exitcode


def kill(process: victims.BaseProcess) -> None:
    if process.is_alive():
        os.kill(process.pid or 0, signal.SIGKILL)
    process.join()


def wait_until(reached: Callable[[], bool], process: victims.BaseProcess) -> None:
    deadline = time.monotonic() + PATIENCE
    while not reached() and process.is_alive() and time.monotonic() < deadline:
        time.sleep(0.002)


def has_embedded(log: Path) -> bool:
    return log.exists() and log.stat().st_size > 0


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> tuple[pl.DataFrame, list[str], float]:
    """Vectors, texts and seconds of embedding of a run that nobody disturbs."""
    folder = tmp_path_factory.mktemp("calm")
    log, result = folder / "log", folder / "result"
    process = victims.start(victims.embed_for_real, folder / "home", log, result, COMMIT_SECONDS)
    wait_until(partial(has_embedded, log), process)
    began = time.monotonic()
    assert finish(process) == 0
    return pl.read_ipc(result), lines_of(log), time.monotonic() - began


def lines_of(log: Path) -> list[str]:
    """What was embedded, in order; a commit is an empty line."""
    return log.read_text(encoding="utf-8").split("\n")[:-1] if log.exists() else []


@pytest.mark.parametrize("seed", range(2))
def test_killed_at_random_moments_the_same_vectors_come_out(
    calm: tuple[pl.DataFrame, list[str], float], tmp_path: Path, seed: int
) -> None:
    expected, calm_lines, seconds = calm
    assert calm_lines.count("") > 3
    draw = random.Random(seed)
    home, result = tmp_path / "home", tmp_path / "result"
    committed: set[str] = set()
    for attempt in count():
        log = tmp_path / f"log {attempt}"
        process = victims.start(victims.embed_for_real, home, log, result, COMMIT_SECONDS)
        if attempt < KILLS:
            wait_until(partial(has_embedded, log), process)
            time.sleep(draw.uniform(0.0, 0.3) * seconds)
            kill(process)
        else:
            assert finish(process) == 0
        lines = lines_of(log)
        embedded = [line for line in lines if line]
        # Nothing that was committed is embedded again, and nothing twice.
        assert not committed & set(embedded)
        assert len(embedded) == len(set(embedded))
        store = victims.minilm_store(home)
        assert store.verify().corrupt == 0
        kept = store.contains([store.key("", text) for text in embedded])
        lost = [text for text, has in zip(embedded, kept, strict=True) if not has]
        assert_at_most_one_shard(lines, lost)
        committed |= set(embedded) - set(lost)
        if attempt == KILLS:
            break
    assert committed == {line for line in calm_lines if line}
    assert pl.read_ipc(result).equals(expected)


def assert_at_most_one_shard(lines: list[str], lost: list[str]) -> None:
    """What is lost was embedded after the last commit, or while it was written.

    While it is written each thread may finish the text it has and one more that was waiting.
    """
    last = max((i for i, line in enumerate(lines) if not line), default=-1)
    before = [line for line in lines[:last] if line][-(victims.MOST_THREADS + 1) :]
    assert set(lost) <= {*before, *lines[last + 1 :]}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB, where the tests may mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no file system can be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_said_and_the_run_goes_on_after_making_room(small_disk: Path) -> None:
    home = small_disk / "home"
    starved = CountingBackend(384)
    with pytest.raises(StoreFullError, match=r"No space left on device.*make room"):
        victims.embed_with_fake(home, starved)
    store = victims.minilm_store(home)
    sound = store.verify()
    assert sound.corrupt == 0
    assert sound.vectors > 0
    subprocess.run(["mount", "-o", "remount,size=50m", str(small_disk)], check=True)
    resumed = CountingBackend(384)
    frame = victims.embed_with_fake(home, resumed)
    assert len(resumed.texts) == len(victims.minilm_store(home)) - sound.vectors
    assert frame.equals(victims.embed_with_fake(small_disk / "fresh", CountingBackend(384)))


def test_files_that_may_not_grow_leave_a_sound_store(tmp_path: Path) -> None:
    home = tmp_path / "home"
    # Room for shards of few chunks, not for those of full batches.
    process = victims.start(victims.embed_with_small_files, home, 4_000)
    assert finish(process) == victims.STORE_WAS_FULL
    store = victims.minilm_store(home)
    assert store.verify().corrupt == 0
    assert not list(store.folder.glob(".staged-*"))
    frame = victims.embed_with_fake(home, CountingBackend(384))
    assert frame.equals(victims.embed_with_fake(tmp_path / "fresh", CountingBackend(384)))


def everything(writers: int, shards: int) -> list[str]:
    parts = [victims.texts_of(w, s) for w in range(writers) for s in range(shards)]
    return sorted({text for part in parts for text in part})


def assert_holds(store: VectorStore, texts: list[str]) -> None:
    read = store.read([store.key("", text) for text in texts])
    np.testing.assert_array_equal(read, victims.vectors_of(texts))
    assert len(store) == len(texts)


def test_compaction_disturbs_neither_writers_nor_readers(tmp_path: Path) -> None:
    texts = everything(writers=3, shards=60)
    reader = victims.open_store(tmp_path)
    keys = [reader.key("", text) for text in texts]
    expected = victims.vectors_of(texts)
    writers = [victims.start(victims.append_shards, tmp_path, number, 60) for number in range(3)]
    compactor = victims.start(victims.compact_again_and_again, tmp_path)
    seen = np.zeros(len(texts), dtype=bool)
    while any(writer.is_alive() for writer in writers):
        reader.refresh()
        there = reader.contains(keys)
        # What has been seen once stays.
        assert not (seen & ~there).any()
        chosen = np.flatnonzero(there)
        np.testing.assert_array_equal(reader.read([keys[i] for i in chosen]), expected[chosen])
        seen = there
    assert [finish(writer) for writer in writers] == [0, 0, 0]
    assert compactor.is_alive()
    kill(compactor)
    store = victims.open_store(tmp_path)
    assert_holds(store, texts)
    assert store.verify().corrupt == 0
    assert compact(store.folder).shards_after == 1
    assert_holds(victims.open_store(tmp_path), texts)


def test_compaction_killed_at_random_moments_loses_nothing(tmp_path: Path) -> None:
    texts = everything(writers=2, shards=40)
    draw = random.Random(0)
    for attempt in range(6):
        home = tmp_path / str(attempt)
        for writer in range(2):
            victims.append_shards(home, writer, 40)
        folder = victims.open_store(home).folder
        compactor = victims.start(victims.compact_again_and_again, home)
        mark = folder.with_name(f".{folder.name}.compaction")
        wait_until(mark.exists, compactor)
        time.sleep(draw.uniform(0.0, 0.15))
        kill(compactor)
        assert_holds(victims.open_store(home), texts)
        # The killed one's lock is gone with it.
        done = compact(folder)
        assert (done.shards_after, done.corrupt) == (1, 0)
        assert_holds(victims.open_store(home), texts)
