"""Great Expectations answers as a comparison would, shows nothing, and touches nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from math import inf, nextafter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from learn_assets.quality import judge
from learn_assets.quality.judge import JudgmentError, judged
from learn_assets.study.expectations import SUITE, Bound, Expectation


def expectation(number: int, bound: Bound, threshold: float) -> Expectation:
    return replace(SUITE[0], key=f"number_{number}", bound=bound, threshold=threshold)


@pytest.mark.parametrize("threshold", [0.0, 1e-9, 0.1, 0.95, 1.0, 3.0, 1e6])
def test_the_threshold_passes_and_the_next_number_beyond_it_fails(threshold: float) -> None:
    suite = [expectation(0, "at_least", threshold), expectation(1, "at_most", threshold)]
    least, most = (item.name for item in suite)
    assert judged(dict.fromkeys((least, most), threshold), suite) == {least: True, most: True}
    below, above = nextafter(threshold, -inf), nextafter(threshold, inf)
    assert judged({least: below, most: above}, suite) == {least: False, most: False}
    assert judged({least: above, most: below}, suite) == {least: True, most: True}


def test_judgments_are_those_of_a_comparison() -> None:
    generator = np.random.default_rng(4)
    thresholds = generator.choice([0.0, 0.01, 0.5, 0.95, 1.0, 12.0], 300)
    values = np.where(
        generator.random(300) < 0.2, thresholds, thresholds + generator.normal(0, 0.1, 300)
    )
    suite = [
        expectation(place, "at_least" if place % 2 else "at_most", float(threshold))
        for place, threshold in enumerate(thresholds)
    ]
    measured = {item.name: float(value) for item, value in zip(suite, values, strict=True)}
    naive = {
        item.name: measured[item.name] >= item.threshold
        if item.bound == "at_least"
        else measured[item.name] <= item.threshold
        for item in suite
    }
    assert judged(measured, suite) == naive
    assert 100 < sum(naive.values()) < 250


def test_what_has_no_value_is_not_judged() -> None:
    suite = [expectation(0, "at_least", 0.5), expectation(1, "at_least", 0.5)]
    assert judged({suite[1].name: 0.6}, suite) == {suite[1].name: True}
    assert judged({}, suite) == {}


def test_an_error_inside_the_library_is_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    item = expectation(0, "at_least", 0.5)
    rule = judge._rule

    def of_another_column(asked: Expectation) -> Any:
        return rule(replace(asked, key="absent"))

    monkeypatch.setattr(judge, "_rule", of_another_column)
    with pytest.raises(JudgmentError, match="absent"):
        judged({item.name: 0.6}, [item])


WATCHED = """
import os, sys
touched = []

def watch(event, arguments):
    if event.startswith(("socket.connect", "socket.getaddrinfo", "socket.sendto", "subprocess.")):
        touched.append(event)
    elif event == "open" and arguments[0] not in ("/dev/null", None):
        mode, flags = arguments[1] or "", arguments[2] or 0
        if set(mode) & set("wax+") or flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            touched.append(f"open {arguments[0]}")
    elif event in ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "tempfile.mkdtemp"):
        touched.append(f"{event} {arguments[0]}")

sys.addaudithook(watch)
from learn_assets.quality.judge import judged
from learn_assets.study.expectations import SUITE
answers = judged({item.name: item.threshold for item in SUITE}, SUITE)
import great_expectations
print(len(answers), all(answers.values()), great_expectations.__name__)
print("touched", touched)
open(os.path.join(sys.argv[1], "seen"), "w").close()
print("watching", len(touched))
"""


@pytest.mark.slow
def test_nothing_is_sent_and_no_file_is_written(tmp_path: Path) -> None:
    home, work, elsewhere = tmp_path / "home", tmp_path / "work", tmp_path / "elsewhere"
    for folder in (home, work, elsewhere):
        folder.mkdir()
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("GX_", "DO_NOT"))
    }
    environment |= {
        "HOME": str(home),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": str(Path(__file__).parents[2]),
        # As on the machine of somebody who once had an account.
        "GX_CLOUD_ACCESS_TOKEN": "token",
        "GX_CLOUD_ORGANIZATION_ID": "00000000-0000-0000-0000-000000000000",
        "GX_CLOUD_WORKSPACE_ID": "00000000-0000-0000-0000-000000000001",
    }
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, str(elsewhere)],
        cwd=work,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    lines = done.stdout.splitlines()
    assert lines[0] == f"{len(SUITE)} True great_expectations"
    assert lines[1] == "touched []"
    # The hook does see a file that is written.
    assert lines[2] == "watching 1"
    assert done.stderr == ""
    assert [*home.rglob("*"), *work.rglob("*")] == []
