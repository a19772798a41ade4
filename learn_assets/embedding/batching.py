"""Batching: which chunks go through the encoder together.

What belongs here: grouping by length, the token budget and what happens when memory runs out.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from learn_assets.embedding.backends import Backend

_log = logging.getLogger(__name__)

_FINEST_STEP = 8
_STEPS_PER_DOUBLING = 16


class OutOfMemoryError(MemoryError):
    """One chunk alone does not fit the device's memory."""


@dataclass(frozen=True)
class Batch:
    """Positions of the chunks of one batch, all padded to the same number of tokens."""

    positions: tuple[int, ...]
    padded_length: int


def padded_length(length: int, token_limit: int) -> int:
    """Return the number of tokens a chunk is padded to: a function of its own length alone.

    A chunk therefore always has the same shape, and its vector does not depend on which other
    chunks are in its batch. Padding costs at most 7 tokens or one sixteenth.
    """
    doubling = 1 << max(length - 1, 1).bit_length()
    step = max(_FINEST_STEP, doubling // 2 // _STEPS_PER_DOUBLING)
    return min(-(-length // step) * step, max(token_limit, length))


def plan_batches(
    lengths: Sequence[int], keys: Sequence[bytes], *, token_budget: int, token_limit: int
) -> list[Batch]:
    """Return batches of at most `token_budget` padded tokens (one chunk at least), longest first.

    The order is that of padded length, then key, whatever the order of the input.
    """
    padded = [padded_length(length, token_limit) for length in lengths]
    order = sorted(range(len(lengths)), key=lambda i: (-padded[i], keys[i]))
    batches: list[Batch] = []
    current: list[int] = []
    for i in order:
        full = len(current) >= max(1, token_budget // padded[i])
        if current and (full or padded[current[0]] != padded[i]):
            batches.append(Batch(tuple(current), padded[current[0]]))
            current = []
        current.append(i)
    if current:
        batches.append(Batch(tuple(current), padded[current[0]]))
    return batches


class TokenBudget:
    """Padded tokens a batch may hold: half of what failed once memory has run out, ever after.

    Several threads may share it.
    """

    def __init__(self, tokens: int) -> None:
        """Begin with what the backend states."""
        self._lock = threading.Lock()
        self._tokens = tokens

    @property
    def tokens(self) -> int:
        """Padded tokens a batch."""
        return self._tokens

    def halve(self, failed: int) -> None:
        """Remember that a batch of so many padded tokens did not fit."""
        with self._lock:
            smaller = max(1, min(self._tokens, failed // 2))
            if smaller < self._tokens:
                _log.warning(
                    "memory ran out at %d padded tokens a batch; going on with %d", failed, smaller
                )
            self._tokens = smaller


def encode_batch(
    backend: Backend, texts: Sequence[str], batch: Batch, budget: TokenBudget
) -> Iterator[tuple[tuple[int, ...], npt.NDArray[np.float32]]]:
    """Yield positions and their vectors (n, d), in smaller batches when memory runs out.

    OutOfMemoryError when a single chunk does not fit; other errors pass through.
    """
    waiting = [batch.positions]
    while waiting:
        positions = waiting.pop()
        most = max(1, budget.tokens // batch.padded_length)
        if len(positions) > most:
            waiting.extend(positions[i : i + most] for i in range(0, len(positions), most))
            continue
        try:
            vectors = backend.encode([texts[i] for i in positions], batch.padded_length)
        except RuntimeError as error:
            # torch.OutOfMemoryError is a RuntimeError, and so is the CPU allocator's complaint.
            if not _is_out_of_memory(error):
                raise
            if len(positions) == 1:
                raise OutOfMemoryError(
                    f"one chunk of {batch.padded_length} tokens does not fit the device's memory; "
                    "use an encoder with fewer tokens a chunk or a device with more memory"
                ) from error
            budget.halve(len(positions) * batch.padded_length)
            waiting.append(positions)
        else:
            yield positions, vectors


def _is_out_of_memory(error: RuntimeError) -> bool:
    message = str(error).lower()
    return "out of memory" in message or "can't allocate memory" in message
