"""What a study file with `question: subtypes` may say, and what it is told when it is wrong."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest

from learn_assets.study import Study
from learn_assets.study.file import StudyFileError, load_study
from learn_assets.study.subtypes import DischargeFiles, PruningRules, SubtypeStudy

GOOD = """\
question: subtypes
name: trial
title: Trial
source: {format: rae_cmbd, files: [downloads/a.csv]}
"""


def _problem(folder: Path, text: str) -> tuple[int, str, str]:
    with pytest.raises(StudyFileError) as raised:
        load_study(_write(folder, text))
    (problem,) = raised.value.problems
    return problem.line, problem.key, problem.message


def _write(folder: Path, text: str) -> Path:
    file = folder / "trial.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def test_question_chooses_the_kind_of_study(tmp_path: Path) -> None:
    study = load_study(_write(tmp_path, GOOD))
    assert isinstance(study, SubtypeStudy)
    assert isinstance(study.source, DischargeFiles)
    assert study.source.files == (tmp_path / "downloads" / "a.csv",)
    assert isinstance(load_study("demo"), Study)


@pytest.mark.parametrize("asked", ["subtype", "[a, b]"])
def test_unknown_question_names_the_known_ones(tmp_path: Path, asked: str) -> None:
    line, key, message = _problem(tmp_path, GOOD.replace("subtypes", asked))
    assert (line, key) == (1, "question")
    assert "progression, subtypes" in message


def test_mistakes_are_explained_by_the_keys_of_a_subtypes_study(tmp_path: Path) -> None:
    line, key, message = _problem(tmp_path, GOOD + "prunning: {preset: none}\n")
    assert (line, key) == (5, "prunning")
    assert "did you mean `pruning`" in message
    assert "windows" not in message


def test_a_given_rule_replaces_that_rule_of_the_preset_only() -> None:
    published = PruningRules()
    assert published.last_admission == datetime.date(2020, 3, 15)
    assert published.principal_diagnosis == ("F",)
    later = PruningRules.model_validate({"last_admission": "2021-12-31"})
    assert later.last_admission == datetime.date(2021, 12, 31)
    assert later.principal_diagnosis == ("F",)
    assert PruningRules(preset="none").principal_diagnosis == ()


def test_rules_that_let_nobody_in_are_refused(tmp_path: Path) -> None:
    text = GOOD + "pruning:\n  minimum_age: 18\n  maximum_age: 12\n"
    assert _problem(tmp_path, text)[:2] == (6, "pruning.minimum_age")
