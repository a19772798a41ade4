"""Batching: which chunks go through the encoder together.

What belongs here: grouping by length, the token budget and what happens when memory runs out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from learn_assets.embedding.backends import Backend

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


def encode_batch(
    backend: Backend, texts: Sequence[str], batch: Batch
) -> Iterator[tuple[tuple[int, ...], npt.NDArray[np.float32]]]:
    """Yield positions and their vectors (n, d), halving the batch when memory runs out.

    OutOfMemoryError when a single chunk does not fit; other errors pass through.
    """
    try:
        vectors = backend.encode([texts[i] for i in batch.positions], batch.padded_length)
    except RuntimeError as error:
        # torch.OutOfMemoryError is a RuntimeError, and so is the CPU allocator's complaint.
        if not _is_out_of_memory(error):
            raise
        if len(batch.positions) == 1:
            raise OutOfMemoryError(
                f"one chunk of {batch.padded_length} tokens does not fit the device's memory; use "
                "an encoder with fewer tokens a chunk or a device with more memory"
            ) from error
    else:
        yield batch.positions, vectors
        return
    middle = len(batch.positions) // 2
    for half in (batch.positions[:middle], batch.positions[middle:]):
        yield from encode_batch(backend, texts, Batch(half, batch.padded_length))


def _is_out_of_memory(error: RuntimeError) -> bool:
    message = str(error).lower()
    return "out of memory" in message or "can't allocate memory" in message
