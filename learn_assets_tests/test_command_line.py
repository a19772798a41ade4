"""The command line: places that outlive a change of directory, and errors without a traceback."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from learn_assets import __main__ as command_line
from learn_assets import __version__
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


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line.main(["--version"]) == 0
    assert capsys.readouterr().out == f"{__version__}\n"


@pytest.mark.parametrize(
    ("study", "expected"),
    [
        ("demo", {"study": "demo", "windows": 2, "encoders": 1}),
        (
            "subtypes_demo",
            {"study": "subtypes_demo", "source": "synthetic", "pruning": "published"},
        ),
    ],
)
def test_a_program_reads_what_a_check_finds(
    study: str, expected: dict[str, object], capsys: pytest.CaptureFixture[str]
) -> None:
    assert command_line.main(["check", "--study", study]) == 0
    text = capsys.readouterr().out
    assert command_line.main(["check", "--study", study, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == expected
    assert all(str(value) in text for value in expected.values())


@pytest.mark.parametrize("study", ["demo", "subtypes_demo"])
@pytest.mark.parametrize("command", [["show"], ["store", "size"], ["store", "collect"]])
def test_a_program_reads_one_document_or_an_error_and_nothing_else(
    study: str, command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    os.environ["LEARN_HOME"] = str(tmp_path)
    status = command_line.main([*command, "--study", study, "--json"])
    printed = capsys.readouterr()
    if (study, command[0]) == ("subtypes_demo", "store"):
        assert (status, printed.out) == (2, "")
        assert "no store" in printed.err
    else:
        assert (status, printed.err) == (0, "")
        assert isinstance(json.loads(printed.out), dict)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["shown"],
        ["show", "--study"],
        ["store", "tidy"],
        ["store", "size", "--delete"],
        ["export-model", "--window", "LIS-0_BP-0_FUP-1", "--encoder", "minilm"],
        ["external-validation", "--model", "folder", "--sha256", "00"],
        ["external-validation", "--model", "folder", "--accept", "all"],
        [
            "promote",
            "--study",
            "subtypes_demo",
            *["--window", "w", "--encoder", "e", "--reason", "r"],
        ],
        ["check", "--study", "no such study", "--json"],
    ],
)
def test_a_wrong_setting_is_one_line_and_status_2(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    os.environ["LEARN_HOME"] = str(tmp_path)
    assert command_line.main(arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert len(printed.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "unwanted"),
    [
        (["--help"], {"dagster", "torch", "polars", "numpy", "pydantic", "learn_assets.study"}),
        (["doctor", "--help"], {"dagster", "torch", "polars", "numpy", "learn_assets.study"}),
        (["doctor", "--json"], {"dagster", "torch", "polars", "numpy", "pyarrow"}),
    ],
)
def test_a_quick_command_imports_nothing_heavy(arguments: list[str], unwanted: set[str]) -> None:
    program = (
        "import sys\nfrom learn_assets.__main__ import main\n"
        "status = main(sys.argv[1:])\nprint(*sys.modules, file=sys.stderr)\nsys.exit(status)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True
    )
    assert ended.stdout
    assert "learn_assets.commands.app" in ended.stderr.split()
    assert not unwanted & set(ended.stderr.split())


def test_an_unexpected_error_shows_no_values_of_variables() -> None:
    program = (
        "import sys\nfrom learn_assets.__main__ import main\n"
        "from learn_assets.commands import studies\n"
        "def fail(study):\n    patient = str(12345679 * 9)\n    return patient[study]\n"
        "studies.outline = fail\nsys.exit(main(['check']))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    assert "TypeError" in ended.stderr
    assert "111111111" not in ended.stderr
    assert "111111111" not in ended.stdout
