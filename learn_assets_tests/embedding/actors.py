"""Actors: backends for Ray's workers that cost nothing, leave a trace and may die when told to.

Module-level and without torch, so that a worker loads them by name in no time.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from learn_assets.embedding.backends import Backend
from learn_assets.embedding.encoders import Encoder
from learn_assets_tests.embedding.fakes import fake_vector

DEADLY = "this text kills whoever reads it"
HUGE = "this text fits no memory"
WRONG = "this text is refused"


@dataclass
class TracedBackend:
    """Hashed vectors; each worker notes itself in a folder as `<its process id>`."""

    folder: Path
    seconds: float = 0.0
    token_budget: int = 512
    concurrency: int = 1

    def encode(self, texts: Sequence[str], padded_length: int) -> npt.NDArray[np.float32]:
        (self.folder / str(os.getpid())).touch()
        time.sleep(self.seconds)
        if DEADLY in texts:
            os._exit(1)
        if HUGE in texts:
            raise RuntimeError("CUDA out of memory. Tried to allocate")
        if WRONG in texts:
            raise ValueError("a text of 9 tokens does not fit 8")
        return np.stack([fake_vector(text, 384) for text in texts])

    def close(self) -> None:
        pass


@dataclass(frozen=True)
class OpenTraced:
    """Opens a TracedBackend in a worker; refuses when the folder holds a file `refuse`."""

    folder: Path
    seconds: float = 0.0

    def __call__(self, encoder: Encoder) -> Backend:
        if (self.folder / "refuse").exists():
            raise FileNotFoundError(f"encoder {encoder.id}: no weights on this node")
        return TracedBackend(self.folder, self.seconds)

    def workers(self) -> list[int]:
        """Process ids of the workers that have encoded."""
        return [int(path.name) for path in self.folder.iterdir() if path.name.isdigit()]
