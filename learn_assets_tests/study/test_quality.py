"""The section `quality`: what it may change, and how mistakes in it are explained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from learn_assets.study import QualityOptions
from learn_assets.study.file import StudyFileError, load_study


def options(name: str, **choice: Any) -> QualityOptions:
    return QualityOptions.model_validate({"expectations": {name: choice}})


def test_a_threshold_a_severity_and_a_switch_may_be_chosen() -> None:
    chosen = options("patient.known_sex", threshold=0.8, severity="error", enabled=False)
    choice = chosen.expectations["patient.known_sex"]
    assert (choice.threshold, choice.severity, choice.enabled) == (0.8, "error", False)
    assert options("diagnosis.months_missing", threshold=2).expectations


@pytest.mark.parametrize(
    ("name", "choice", "said"),
    [
        ("patient.know_sex", {}, "patient.known_sex"),
        ("patient.known_sex", {"threshold": 95}, "between 0 and 1"),
        ("patient.known_sex", {"threshold": -0.1}, "greater than or equal to 0"),
        ("patient.known_sex", {"severity": "fatal"}, "warn"),
        ("patient.known_sex", {"limit": 0.5}, "limit"),
    ],
)
def test_a_mistake_is_explained(name: str, choice: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        options(name, **choice)


def test_a_mistake_in_a_file_is_told_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "trial.yaml"
    lines = [
        "name: trial",
        "title: A trial",
        "source: {format: trinetx, folder: extract, cohort_table: cohort.txt}",
        "cohort: {mode: supplied}",
        "windows: [{LIS: 730, BP: 180, FUP: 1825}]",
        "quality:",
        "  expectations:",
        "    patient.known_race: {enabled: false}",
        "    patient.know_sex: {threshold: 0.9}",
    ]
    file.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(StudyFileError) as raised:
        load_study(file)
    (problem,) = raised.value.problems
    assert (problem.line, problem.key) == (9, "quality.expectations.patient.know_sex")
    assert "did you mean `patient.known_sex`?" in problem.message
