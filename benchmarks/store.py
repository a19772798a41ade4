"""Vector store: what opening, looking up and committing cost against one sorted array of all keys.

    python benchmarks/store.py [--vectors 5000000]

Fills a store with vectors of 8 numbers, once as the commits of an embedding run leave it and once
compacted, and prints seconds, memory of the process, and the ratio of our commit to a commit that
copies the whole index (`numpy.insert`).
"""

from __future__ import annotations

import argparse
import multiprocessing
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from learn_assets.embedding.maintenance import compact
from learn_assets.embedding.store import KEY_BYTES, VectorStore

DIMENSION = 8
SPACE = "0123456789abcdef" * 4
COMMIT = 4_096
QUERIES = 20_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--vectors", type=int, default=5_000_000)
    vectors = parser.parse_args().vectors
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        print(f"{vectors:,} vectors in commits of {COMMIT:,}")
        in_process(fill, home, vectors)
        in_process(measure, home, vectors)
        print("compacted")
        in_process(compacted, home, vectors)
        in_process(measure, home, vectors)
        in_process(plain, home, vectors)


def in_process(step: Callable[[Path, int], None], home: Path, vectors: int) -> None:
    """Run a step in a process of its own, so that memory is its own too."""
    process = multiprocessing.get_context("spawn").Process(target=step, args=(home, vectors))
    process.start()
    process.join()
    if process.exitcode:
        raise SystemExit(process.exitcode)


def fill(home: Path, vectors: int) -> None:
    store = VectorStore(home, SPACE, DIMENSION)
    draw = np.random.default_rng(0)
    began = time.perf_counter()
    for start in range(0, vectors, COMMIT):
        keys = random_keys(draw, min(COMMIT, vectors - start))
        store.append(keys, np.zeros((len(keys), DIMENSION), dtype=np.float32))
    commits = -(-vectors // COMMIT)
    seconds = (time.perf_counter() - began) / commits
    print(f"  {commits:,} commits: {1000 * seconds:.1f} ms each, with the writing")


def compacted(home: Path, _: int) -> None:
    began = time.perf_counter()
    result = compact(VectorStore(home, SPACE, DIMENSION).folder)
    seconds = time.perf_counter() - began
    print(f"  {result.shards_before:,} -> {result.shards_after} shards in {seconds:.1f} s")


def measure(home: Path, vectors: int) -> None:
    before = own_memory()
    began = time.perf_counter()
    store = VectorStore(home, SPACE, DIMENSION)
    opened = time.perf_counter() - began
    memory = own_memory() - before
    draw = np.random.default_rng(0)
    known = random_keys(draw, min(QUERIES, COMMIT, vectors))
    unknown = random_keys(np.random.default_rng(1), QUERIES - len(known))
    began = time.perf_counter()
    found = int(store.contains(known + unknown).sum())
    looked_up = time.perf_counter() - began
    if found != len(known):
        raise SystemExit(f"{found} of {len(known)} keys found")
    began = time.perf_counter()
    store._index.add(np.array(unknown[:COMMIT], dtype=f"S{KEY_BYTES}"), len(store._shards))
    added = time.perf_counter() - began
    print(
        f"  open {opened:.3f} s, {memory / 2**20:.0f} MiB; {QUERIES:,} lookups "
        f"{1000 * looked_up:.1f} ms; index of a commit {1000 * added:.1f} ms"
    )


def plain(_: Path, vectors: int) -> None:
    """One sorted array of all keys, and places beside it, copied at each commit."""
    keys = np.sort(np.array(random_keys(np.random.default_rng(0), vectors), dtype="S32"))
    places = np.zeros((len(keys), 2), dtype=np.int64)
    new = np.sort(np.array(random_keys(np.random.default_rng(1), COMMIT), dtype="S32"))
    began = time.perf_counter()
    positions = np.searchsorted(keys, new)
    np.insert(keys, positions, new)
    np.insert(places, positions, np.zeros((COMMIT, 2), dtype=np.int64), axis=0)
    print(f"plain: index of a commit {1000 * (time.perf_counter() - began):.1f} ms")


def random_keys(draw: np.random.Generator, count: int) -> list[bytes]:
    content = draw.bytes(KEY_BYTES * count)
    return [content[start : start + KEY_BYTES] for start in range(0, len(content), KEY_BYTES)]


def own_memory() -> int:
    """Return the bytes only this process holds: mapped files are not among them."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return 1024 * int(status.split("RssAnon:")[1].split()[0])


if __name__ == "__main__":
    main()
