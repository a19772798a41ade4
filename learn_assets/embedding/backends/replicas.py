"""Replicas: several copies of a local backend in this process, one a device."""

from __future__ import annotations

import queue
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from learn_assets.embedding.backends import Backend, Observation, Observed
from learn_assets.embedding.encoders import Encoder


class ReplicatedBackend:
    """Copies of one backend behind a queue of those that are free.

    `concurrency` is their sum: as many threads as that may call `encode` at once, each with a
    replica to itself. Replicas must give a text the same vector.
    """

    def __init__(self, replicas: Sequence[Backend]) -> None:
        """Take over replicas of one encoder. ValueError when there is none."""
        if not replicas:
            raise ValueError("no replica was given; name at least one device")
        self._replicas = tuple(replicas)
        self._free: queue.Queue[Backend] = queue.Queue()
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

    def observation(self) -> Observation:
        """Return all devices, the memory of the fullest, and the peak rate of all together."""
        seen = [r.observation() for r in self._replicas if isinstance(r, Observed)]
        if not seen:
            return Observation(backend="replicas", device=f"{len(self._replicas)} devices")
        memory = [item.peak_memory_bytes for item in seen if item.peak_memory_bytes is not None]
        rates = [item.peak_flops for item in seen if item.peak_flops is not None]
        return replace(
            seen[0],
            device=", ".join(item.device for item in seen),
            peak_memory_bytes=max(memory, default=None),
            peak_flops=sum(rates) if len(rates) == len(self._replicas) else None,
        )


def open_replicas(
    encoder: Encoder, devices: Sequence[str], open_one: Callable[[Encoder, str], Backend]
) -> ReplicatedBackend:
    """Load an encoder once a device (`cuda:0`, `cuda:1`, ...), all or none.

    An error of `open_one` passes through after the replicas already loaded were released.
    """
    replicas: list[Backend] = []
    try:
        replicas.extend(open_one(encoder, device) for device in devices)
        return ReplicatedBackend(replicas)
    except BaseException:
        for replica in replicas:
            replica.close()
        raise
