"""The command line: places that outlive a change of directory, and errors without a traceback."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest

from learn_assets import __main__ as command_line
from learn_assets.private_process import keep_private

STUDY = """\
name: small
title: Small synthetic study
synthetic: true
source: {format: synthetic, patients: 200}
cohort:
  mode: derived
  index_event: {kinds: [lab_result], code_list: antinuclear_antibody, value_text: [positive]}
  outcome: {code_list: systemic_lupus_erythematosus}
windows: [{LIS: 365, BP: 90, FUP: 1825}]
"""


@pytest.fixture(autouse=True)
def _unchanged_process(monkeypatch: pytest.MonkeyPatch) -> None:
    # Whatever a command sets, in the environment or as umask, ends with its test.
    monkeypatch.setattr(os, "environ", os.environ.copy())
    monkeypatch.setattr(command_line, "keep_private", lambda: None)


def test_the_ui_finds_the_study_and_the_lake_of_the_folder_it_was_started_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.yaml").write_text(STUDY, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    os.environ |= {"LEARN_HOME": "lakes"}
    os.environ.pop("DAGSTER_HOME")
    started: list[list[str]] = []

    def start(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        started.append(command)
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(subprocess, "run", start)
    assert command_line.main(["ui", "--study", "mine.yaml"]) == 0
    assert os.environ["LEARN_STUDY"] == str(tmp_path / "mine.yaml")
    assert os.environ["LEARN_HOME"] == str(tmp_path / "lakes")
    assert Path(os.environ["DAGSTER_HOME"]).is_relative_to(tmp_path / "lakes")
    assert "127.0.0.1" in started[-1]


@pytest.mark.parametrize("command", ["materialize", "show", "ui"])
def test_a_home_that_cannot_be_used_is_one_line_with_the_remedy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    os.environ |= {"LEARN_HOME": str(tmp_path / "file")}
    assert command_line.main([command, "--study", "demo"]) == 2
    message = capsys.readouterr().err.strip()
    assert "LEARN_HOME" in message
    assert len(message.splitlines()) == 1


def test_a_home_that_dagster_would_misread_is_one_line_with_the_remedy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DAGSTER_HOME")
    monkeypatch.setenv("LEARN_HOME", str(tmp_path / "lakes?"))
    assert command_line.main(["materialize", "--study", "demo"]) == 2
    message = capsys.readouterr().err.strip()
    assert "set DAGSTER_HOME" in message
    assert len(message.splitlines()) == 1
    assert not (tmp_path / "lakes").exists()


def test_an_extract_that_is_not_there_is_one_line_with_the_remedy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = f"{{format: trinetx, folder: {tmp_path / 'nowhere'}}}"
    text = STUDY.replace("{format: synthetic, patients: 200}", source)
    (tmp_path / "mine.yaml").write_text(text.replace("synthetic: true\n", ""), encoding="utf-8")
    assert command_line.main(["materialize", "--study", str(tmp_path / "mine.yaml")]) == 2
    message = capsys.readouterr().err.strip()
    assert "nowhere" in message
    assert "source.folder" in message
    assert "Traceback" not in message


def test_a_private_process_sends_nothing_and_makes_files_for_its_owner(tmp_path: Path) -> None:
    os.environ.pop("HF_HUB_OFFLINE")
    before = os.umask(0o022)
    try:
        keep_private()
        (tmp_path / "file").write_text("", encoding="utf-8")
    finally:
        os.umask(before)
    assert os.environ["HF_HUB_OFFLINE"] == "1"
    assert os.environ["DAGSTER_DISABLE_TELEMETRY"] == "yes"
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o600
