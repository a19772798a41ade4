"""Dagster's own commands on the project as a user has it, each with homes of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
from ruamel.yaml import YAML

from learn_assets_tests.defs.made import ENCODER, MadeStudy

REPOSITORY = Path(__file__).parents[2]
BIN = Path(sys.executable).parent

pytestmark = pytest.mark.slow


def run(home: Path, study: str, *command: str) -> str:
    """Run a command of the virtual environment and return what it printed; it must succeed."""
    instance = home / "dagster_home"
    instance.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(REPOSITORY / "deploy" / "dagster.yaml", instance / "dagster.yaml")
    environment = os.environ | {
        "LEARN_HOME": str(home),
        "DAGSTER_HOME": str(instance),
        "LEARN_STUDY": study,
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(REPOSITORY),
    }
    done = subprocess.run(
        [str(BIN / command[0]), *command[1:]],
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout + done.stderr


@pytest.mark.parametrize("study", ["demo", "gibleed"])
def test_dg_check_defs_passes(tmp_path: Path, study: str) -> None:
    assert "successfully" in run(tmp_path / "home", study, "dg", "check", "defs")


def test_dagster_definitions_validate_passes(tmp_path: Path) -> None:
    command = ("dagster", "definitions", "validate", "-w", "workspace.yaml")
    assert "Validation successful" in run(tmp_path / "home", "demo", *command)


def study_file(made: MadeStudy) -> str:
    file = made.home / "study.yaml"
    document = made.study.model_dump(mode="json", by_alias=True, exclude_none=True)
    YAML(typ="safe").dump(document, file)
    return str(file)


def test_dg_launch_makes_one_window(copied: MadeStudy) -> None:
    key = copied.study.windows[1].key
    command = ("dg", "launch", "--assets", "cohort,attrition", "--partition", key)
    run(copied.home, study_file(copied), *command)
    with copied.active(), copied.instance() as instance:
        assert instance.get_materialized_partitions(dg.AssetKey("cohort")) == {key}


def test_dg_launch_makes_one_cell(copied: MadeStudy) -> None:
    key = f"{ENCODER}|{copied.study.windows[1].key}"
    command = ("dg", "launch", "--job", "risk_models", "--partition", key)
    run(copied.home, study_file(copied), *command)
    with copied.active(), copied.instance() as instance:
        assert instance.get_materialized_partitions(dg.AssetKey("risk_scores")) == {key}
