"""Servers that tests start: a free loopback port, and a wait until something answers there."""

from __future__ import annotations

import socket
import subprocess
import time
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

START_SECONDS = 240


def free_port() -> int:
    """Return a loopback port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_served(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Return when the URL answers; fail the test, with the end of the log, when it does not."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urlopen(url, timeout=5):
                return
        except URLError:
            time.sleep(0.5)
    pytest.fail(f"the UI did not start: {log.read_text(encoding='utf-8')[-2000:]}")
