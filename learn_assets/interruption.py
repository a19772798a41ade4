"""Interruption: Ctrl-C or SIGTERM ends a command at once, and its last words say how to go on."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import NoReturn

INTERRUPTED = 130
# Polars installs a handler of SIGINT that restarts a waiting system call, so a wait without an end
# would not see the signal.
_LOOK_SECONDS = 0.1
# The helper process of `multiprocessing` frees our semaphores; it need not warn that it had to.
_QUIET_HELPER = "ignore::UserWarning:multiprocessing.resource_tracker"


def run_until_signal(work: Callable[[], int], cancel: Callable[[], None], farewell: str) -> int:
    """Return what `work` returns; at the first SIGINT or SIGTERM end the process with status 130.

    The work runs in a thread of its own, and the main thread waits for signals. So a library that
    computes for minutes, or that handles interrupts itself, cannot delay the end. Tables are
    written atomically: the lake is as it was after the last finished table. `cancel` closes what
    the work has open, `farewell` is printed last.
    """
    os.environ.setdefault("PYTHONWARNINGS", _QUIET_HELPER)
    numbers = (signal.SIGINT, signal.SIGTERM)
    handlers = {number: signal.signal(number, _interrupt) for number in numbers}
    try:
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="work") as pool:
            future = pool.submit(work)
            try:
                while not wait([future], timeout=_LOOK_SECONDS).done:
                    pass
                return future.result()
            except KeyboardInterrupt:
                _end(cancel, farewell)
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _end(cancel: Callable[[], None], farewell: str) -> NoReturn:
    try:
        cancel()
    finally:
        sys.stderr.write(f"{farewell}\n")
        sys.stderr.flush()
        os._exit(INTERRUPTED)
