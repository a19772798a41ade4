"""Replicas: several copies of a local backend in this process, one a device."""

from __future__ import annotations

import queue
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from learn_assets.embedding.backends import Backend
from learn_assets.embedding.encoders import Encoder


class Replica(Backend, Protocol):
    """A backend that says how many callers it takes and can be released."""

    @property
    def concurrency(self) -> int:
        """Calls of `encode` at once."""
        ...

    def close(self) -> None:
        """Release what it holds."""
        ...


class ReplicatedBackend:
    """Copies of one backend behind a queue of those that are free.

    `concurrency` is their sum: as many threads as that may call `encode` at once, each with a
    replica to itself. Replicas must give a text the same vector.
    """

    def __init__(self, replicas: Sequence[Replica]) -> None:
        """Take over replicas of one encoder. ValueError when there is none."""
        if not replicas:
            raise ValueError("no replica was given; name at least one device")
        self._replicas = tuple(replicas)
        self._free: queue.Queue[Replica] = queue.Queue()
        for replica in replicas:
            for _ in range(replica.concurrency):
                self._free.put(replica)
        self.token_budget = min(replica.token_budget for replica in replicas)
        self.concurrency = sum(replica.concurrency for replica in replicas)

    def encode(self, texts: Sequence[str], padded_length: int) -> npt.NDArray[np.float32]:
        """Return vectors (n, d) float32 from the first replica that is free; waits for one."""
        replica = self._free.get()
        try:
            return replica.encode(texts, padded_length)
        finally:
            self._free.put(replica)

    def close(self) -> None:
        """Release every replica."""
        for replica in self._replicas:
            replica.close()


def open_replicas(
    encoder: Encoder, devices: Sequence[str], open_one: Callable[[Encoder, str], Replica]
) -> ReplicatedBackend:
    """Load an encoder once a device (`cuda:0`, `cuda:1`, ...), all or none.

    An error of `open_one` passes through after the replicas already loaded were released.
    """
    replicas: list[Replica] = []
    try:
        replicas.extend(open_one(encoder, device) for device in devices)
        return ReplicatedBackend(replicas)
    except BaseException:
        for replica in replicas:
            replica.close()
        raise
