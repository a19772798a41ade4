"""A signal ends a command at once, even while a library computes, and says how to go on."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

from learn_assets.interruption import INTERRUPTED, run_until_signal

# One call into C that takes minutes and never looks at Python's signals.
BUSY = """
import hashlib
from learn_assets.interruption import run_until_signal

def work():
    print("busy", flush=True)
    hashlib.pbkdf2_hmac("sha256", b"", b"", 10**9)
    return 0

run_until_signal(work, lambda: print("canceled", flush=True), "say how to go on")
"""


# Libraries that handle signals or threads themselves, imported by the work.
LIBRARIES = ["hashlib", "polars", "duckdb", "pyarrow"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("library", LIBRARIES)
def test_a_signal_ends_the_process_while_a_library_computes(
    number: signal.Signals, library: str
) -> None:
    code = BUSY.replace("def work():", f"def work():\n    import {library}")
    process = subprocess.Popen(
        [sys.executable, "-c", code], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "busy\n"
    time.sleep(0.2)
    process.send_signal(number)
    output, errors = process.communicate(timeout=10)
    assert process.returncode == INTERRUPTED
    assert output == "canceled\n"
    assert errors == "say how to go on\n"


def test_without_a_signal_everything_is_as_before() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    assert run_until_signal(lambda: 7, pytest.fail, "") == 7
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_an_error_of_the_work_reaches_the_caller() -> None:
    def work() -> int:
        raise ValueError("of the work")

    with pytest.raises(ValueError, match="of the work"):
        run_until_signal(work, pytest.fail, "")
