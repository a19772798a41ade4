"""Threads: one numeric thread a fit, so fits run side by side without oversubscribing the cores.

One thread also makes a result independent of how many cores the machine has.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from threadpoolctl import threadpool_limits


@contextmanager
def single_thread() -> Iterator[None]:
    """Limit the numeric libraries of this thread to one thread each."""
    with threadpool_limits(limits=1):
        yield


@contextmanager
def fit_pool(workers: int | None, *, uses_torch: bool) -> Iterator[ThreadPoolExecutor]:
    """Yield a pool of worker threads (default: one a core), each limited to one numeric thread."""
    with single_thread(), _torch_threads_kept(uses_torch):
        pool = ThreadPoolExecutor(workers or available_cores(), initializer=_limit_this_thread)
        with pool:
            yield pool


@contextmanager
def single_torch_thread() -> Iterator[None]:
    """Limit torch too, when something has imported it, and give its threads back afterwards."""
    import sys

    with single_thread(), _torch_threads_kept("torch" in sys.modules):
        yield


def available_cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _limit_this_thread() -> None:
    # OpenMP keeps its limit for each thread apart, so every worker sets its own.
    threadpool_limits(limits=1)


@contextmanager
def _torch_threads_kept(uses_torch: bool) -> Iterator[None]:
    """Give torch its number of threads back: a fit sets it for the whole process."""
    if not uses_torch:
        yield
        return
    import torch

    threads = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(threads)
