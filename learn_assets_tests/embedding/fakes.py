"""Fakes: an encoder that costs nothing and remembers what it was asked."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from learn_assets.embedding.encoders import Encoder


class InterruptedRunError(Exception):
    """Planted: the run dies."""


class CountingBackend:
    """Vectors drawn from the hash of a text; counts texts, may die or fail on large batches."""

    def __init__(
        self,
        dimension: int,
        *,
        token_budget: int = 512,
        dies_after: int | None = None,
        most_tokens: int | None = None,
        seconds: float = 0.0,
        concurrency: int = 1,
    ) -> None:
        self.token_budget = token_budget
        self.concurrency = concurrency
        self.shapes: list[tuple[int, int]] = []
        self.closed = False
        self.most_at_once = 0
        self._at_once = 0
        self._lock = threading.Lock()
        self.texts: list[str] = []
        self._dimension = dimension
        self._dies_after = dies_after
        self._most_tokens = most_tokens
        self._seconds = seconds
        self._batches = 0

    def encode(self, texts: Sequence[str], padded_length: int) -> npt.NDArray[np.float32]:
        with self._lock:
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            return self._encode(texts, padded_length)
        finally:
            with self._lock:
                self._at_once -= 1

    def _encode(self, texts: Sequence[str], padded_length: int) -> npt.NDArray[np.float32]:
        with self._lock:
            self.shapes.append((len(texts), padded_length))
            if self._most_tokens is not None and len(texts) * padded_length > self._most_tokens:
                raise RuntimeError("CUDA out of memory. Tried to allocate")
            if self._batches == self._dies_after:
                raise InterruptedRunError
            self._batches += 1
        time.sleep(self._seconds)
        with self._lock:
            self.texts.extend(texts)
        return np.stack([fake_vector(text, self._dimension) for text in texts])

    def close(self) -> None:
        self.closed = True

    def __call__(self, encoder: Encoder) -> CountingBackend:
        return self


def fake_vector(text: str, dimension: int) -> npt.NDArray[np.float32]:
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")
    vector = np.random.default_rng(seed).normal(size=dimension)
    return (vector / np.linalg.norm(vector)).astype(np.float32)
