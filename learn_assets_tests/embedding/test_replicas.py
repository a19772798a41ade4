"""Replicas: several copies of a backend work at once, each for one caller at a time."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from learn_assets.embedding.backends import Observation
from learn_assets.embedding.backends.replicas import ReplicatedBackend, open_replicas
from learn_assets.embedding.backends.transformers import TransformersBackend
from learn_assets.embedding.encoders import Encoder
from learn_assets_tests.embedding.servers import hashed

TEXTS = [f"history {number}" for number in range(5)]


class Replica:
    """Refuses a second caller; its vectors cost a moment."""

    def __init__(self, token_budget: int = 512) -> None:
        self.token_budget = token_budget
        self.concurrency = 1
        self.calls = 0
        self.closed = False
        self._busy = threading.Lock()

    def encode(self, texts: Sequence[str], padded_length: int) -> npt.NDArray[np.float32]:
        assert self._busy.acquire(blocking=False), "two callers in one replica"
        try:
            self.calls += 1
            time.sleep(0.02)
            if "wrong" in texts:
                raise ValueError("planted")
            return hashed(texts)
        finally:
            self._busy.release()

    def close(self) -> None:
        self.closed = True


def test_every_replica_works_and_none_for_two_at_once() -> None:
    replicas = [Replica(512), Replica(256), Replica(1024)]
    backend = ReplicatedBackend(replicas)
    assert (backend.concurrency, backend.token_budget) == (3, 256)
    with ThreadPoolExecutor(9) as pool:
        results = list(pool.map(lambda _: backend.encode(TEXTS, 16), range(30)))
    assert all(np.array_equal(result, hashed(TEXTS)) for result in results)
    assert sum(replica.calls for replica in replicas) == 30
    assert min(replica.calls for replica in replicas) > 3
    backend.close()
    assert all(replica.closed for replica in replicas)


def test_a_replica_that_failed_is_free_again() -> None:
    backend = ReplicatedBackend([Replica()])
    for _ in range(2):
        with pytest.raises(ValueError, match="planted"):
            backend.encode(["wrong"], 16)
    np.testing.assert_array_equal(backend.encode(TEXTS, 16), hashed(TEXTS))


def test_replicas_open_on_all_devices_or_none(minilm: Encoder) -> None:
    opened: list[Replica] = []

    def open_one(encoder: Encoder, device: str | None) -> Replica:
        if device == "cuda:2":
            raise RuntimeError("no such device")
        opened.append(Replica())
        return opened[-1]

    with pytest.raises(RuntimeError, match="no such device"):
        open_replicas(minilm, ["cuda:0", "cuda:1", "cuda:2"], open_one)
    assert [replica.closed for replica in opened] == [True, True]
    with pytest.raises(ValueError, match="at least one device"):
        open_replicas(minilm, [], open_one)


class OnDevice(Replica):
    """A transformer on a device, alone for its caller."""

    def __init__(self, encoder: Encoder, device: str) -> None:
        super().__init__()
        assert device == "cpu"
        self._transformer = TransformersBackend(encoder)

    def encode(self, texts: Sequence[str], padded_length: int) -> npt.NDArray[np.float32]:
        super().encode(texts, padded_length)
        return self._transformer.encode(texts, padded_length)


def test_replicas_give_the_vectors_of_one(minilm: Encoder) -> None:
    encoder = replace(minilm, dtype="float32")
    backend = open_replicas(encoder, ["cpu", "cpu"], OnDevice)
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(lambda text: backend.encode([text], 16), TEXTS))
    alone = TransformersBackend(encoder)
    for text, result in zip(TEXTS, results, strict=True):
        np.testing.assert_allclose(result, alone.encode([text], 16), rtol=0, atol=1e-6)


def test_what_replicas_say_together(minilm: Encoder) -> None:
    class Seen(Replica):
        def __init__(self, device: str, memory: int, peak: float | None) -> None:
            super().__init__()
            self._seen = Observation("transformers", device, memory, 2.0, 3.0, peak)

        def observation(self) -> Observation:
            return self._seen

    both = ReplicatedBackend([Seen("cuda:0", 5, 1e12), Seen("cuda:1", 7, 1e12)]).observation()
    assert both == Observation("transformers", "cuda:0, cuda:1", 7, 2.0, 3.0, 2e12)
    mixed = ReplicatedBackend([Seen("cuda:0", 5, 1e12), Seen("cuda:1", 7, None)]).observation()
    assert mixed.peak_flops is None
    assert ReplicatedBackend([Replica()]).observation().device == "1 devices"
