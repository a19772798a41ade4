"""Dispatch: batches through a backend, as many at once as it takes with profit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from learn_assets.embedding.batching import Batch, TokenBudget, encode_batch

if TYPE_CHECKING:
    from learn_assets.embedding.backends import Backend

_Parts = list[tuple[tuple[int, ...], npt.NDArray[np.float32]]]


@dataclass(frozen=True)
class EncodedBatch:
    """A finished batch: the positions of its chunks and their vectors (n, d)."""

    batch: Batch
    positions: tuple[int, ...]
    vectors: npt.NDArray[np.float32]


def encode_batches(
    backend: Backend, texts: Sequence[str], batches: Sequence[Batch], budget: TokenBudget
) -> Iterator[EncodedBatch]:
    """Yield finished batches, in any order.

    When a batch fails, no further one is begun, those under way are yielded, then its error is
    raised.
    """
    if backend.concurrency == 1:
        yield from (_encoded(batch, _encode(backend, texts, batch, budget)) for batch in batches)
        return
    with ThreadPoolExecutor(backend.concurrency, thread_name_prefix="encode") as pool:
        yield from _in_flight(pool, backend, texts, batches, budget)


def _in_flight(
    pool: ThreadPoolExecutor,
    backend: Backend,
    texts: Sequence[str],
    batches: Sequence[Batch],
    budget: TokenBudget,
) -> Iterator[EncodedBatch]:
    waiting = iter(batches)
    flying: dict[Future[_Parts], Batch] = {}
    failure: BaseException | None = None
    while True:
        # One more than the threads, so that none waits for this one.
        while failure is None and len(flying) <= backend.concurrency:
            batch = next(waiting, None)
            if batch is None:
                break
            flying[pool.submit(_encode, backend, texts, batch, budget)] = batch
        if not flying:
            break
        done, _ = wait(flying, return_when=FIRST_COMPLETED)
        for future in done:
            batch = flying.pop(future)
            if (error := future.exception()) is not None:
                failure = failure or error
            else:
                yield _encoded(batch, future.result())
    if failure is not None:
        raise failure


def _encode(backend: Backend, texts: Sequence[str], batch: Batch, budget: TokenBudget) -> _Parts:
    return list(encode_batch(backend, texts, batch, budget))


def _encoded(batch: Batch, parts: _Parts) -> EncodedBatch:
    positions = tuple(position for part, _ in parts for position in part)
    return EncodedBatch(batch, positions, np.concatenate([vectors for _, vectors in parts]))
