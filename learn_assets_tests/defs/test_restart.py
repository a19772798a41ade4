"""Runs that die and runs that repeat: nothing is done twice, and the same comes out."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import dagster as dg
import pytest
from ruamel.yaml import YAML

from learn_assets.embedding.cell import vector_store
from learn_assets.interruption import INTERRUPTED
from learn_assets_tests.defs.made import ENCODER, MadeStudy, table_stamps, tiny_study

REPOSITORY = Path(__file__).parents[2]
START_SECONDS = 240

pytestmark = pytest.mark.slow


def start(made: MadeStudy, *, stdout: int | None = None) -> subprocess.Popen[str]:
    """Start the command a user starts, on this study and its homes."""
    file = made.home / "study.yaml"
    document = json.loads(made.study.model_dump_json(by_alias=True, exclude_none=True))
    YAML(typ="safe").dump(document, file)
    environment = os.environ | {
        "LEARN_HOME": str(made.home),
        "DAGSTER_HOME": str(made.dagster_home),
    }
    command = [sys.executable, "-m", "learn_assets", "materialize", "--study", str(file)]
    return subprocess.Popen(
        command,
        cwd=REPOSITORY,
        env=environment,
        text=True,
        stdout=stdout,
        stderr=subprocess.DEVNULL,
    )


def finished(made: MadeStudy) -> dict[str, str]:
    """Run the command to its end and return how each run ended, by label."""
    process = start(made, stdout=subprocess.PIPE)
    output, _ = process.communicate(timeout=500)
    assert process.returncode == 0, output
    rows = [line.split(maxsplit=3) for line in output.splitlines() if " s  " in line]
    return {label: status for _, _, status, label in rows}


def shards(made: MadeStudy) -> set[Path]:
    return set((made.lake.root / "embedding_store").rglob("*.safetensors"))


def stored_vectors(made: MadeStudy) -> int:
    """Return how many chunks have their vector in the store."""
    with made.active():
        return len(vector_store(made.lake, made.study.encoder(ENCODER)))


def written_at(made: MadeStudy) -> dict[str, int]:
    """Return when each table without a window was written."""
    folder = made.lake.root / "tables"
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("*.parquet")}


def test_a_run_killed_while_embedding_goes_on_where_it_was(made: MadeStudy, tmp_path: Path) -> None:
    # Enough patients that embedding takes several times the seconds between two commits.
    source = {"format": "synthetic", "patients": 1500, "seed": 11}
    killed = MadeStudy(tiny_study(source=source), tmp_path / "killed")
    killed.home.mkdir()
    process = start(killed)
    deadline = time.monotonic() + START_SECONDS
    while not shards(killed) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    committed = stored_vectors(killed)
    window = killed.study.windows[0]
    assert committed
    assert killed.lake.stamp("patient_embeddings", window, ENCODER) is None
    tables = written_at(killed)
    assert "narratives.parquet" in tables

    outcomes = finished(killed)
    assert outcomes["data_tables"] == "current"
    assert {outcomes[killed.window_label(number)] for number in range(2)} == {"current"}
    assert {outcomes[killed.cell_label(number)] for number in range(2)} == {"made"}
    after = written_at(killed)
    assert {name: after[name] for name in tables} == tables
    cells = [killed.latest("patient_embeddings", killed.cell_key(number)) for number in range(2)]
    embedded = sum(cell["chunks_embedded"] for cell in cells)
    # What had been committed was not embedded again.
    assert embedded == stored_vectors(killed) - committed
    assert cells[0]["chunks_reused"] >= committed


def test_two_runs_with_one_seed_make_the_same_tables(made: MadeStudy, tmp_path: Path) -> None:
    again = MadeStudy(made.study, tmp_path / "again")
    again.home.mkdir()
    outcomes = finished(again)
    assert set(outcomes.values()) == {"made"}
    first, second = table_stamps(made.lake), table_stamps(again.lake)
    assert len(first) > 50
    for table in ("narratives", "risk_scores", "performance"):
        assert any(name.endswith(f"/{table}.stamp.json") for name in first)
    assert {name for name in first if first[name] != second.get(name)} == set()
    assert set(second) == set(first)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_cancels_the_run_and_the_same_command_resumes(
    made: MadeStudy, tmp_path: Path, number: signal.Signals
) -> None:
    stopped = MadeStudy(made.study, tmp_path / "stopped")
    stopped.home.mkdir()
    process = start(stopped)
    deadline = time.monotonic() + START_SECONDS
    while stopped.lake.stamp("narratives") is None and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(number)
    asked = time.monotonic()
    assert process.wait(timeout=30) == INTERRUPTED
    assert time.monotonic() - asked < 10
    with stopped.instance() as instance:
        (run,) = instance.get_runs(limit=1)
        assert run.status is dg.DagsterRunStatus.CANCELED
    assert "report" not in {path.name for path in stopped.lake.root.iterdir()}

    assert set(finished(stopped).values()) <= {"made", "current"}
    assert table_stamps(stopped.lake) == table_stamps(made.lake)
