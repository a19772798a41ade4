"""Field cases through the command line: what ends well, and what stops with one sentence."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from learn_assets import __main__ as command_line
from learn_assets.lake import Lake
from learn_assets.study import Study
from learn_assets_tests.field_cases.site import HEADERS, Site, site, study_of, write_trinetx

QUICK = {
    "models": {"feature_sets": ["count"], "learners": ["elastic_net"], "folds": 2},
    "survival": {"learners": ["cox"]},
    "sensitivity": {"analyses": []},
    "vocabulary": {"minimum_coverage": 0.0},
    "counts": {"roll_up_icd": False, "minimum_patients": 1},
}


def write_study(folder: Path, rows: Site, **more: Any) -> tuple[Path, Study]:
    """Write a site and the file of its study; return the file and the study."""
    study = study_of(write_trinetx(folder / "site", rows), **QUICK, **more)
    file = folder / "study.json"
    # A document of JSON is one of YAML.
    file.write_text(study.model_dump_json(exclude_defaults=True, by_alias=True), encoding="utf-8")
    return file, study


def lake_of(study: Study) -> Lake:
    return Lake(Path(os.environ["LEARN_HOME"]) / study.name)


def cases_alone() -> Site:
    """Return the site without its controls."""
    rows = site()
    cases = {row[0] for row in rows["diagnosis"] if row[3] == "M32.9"}
    people = [name for name, header in HEADERS.items() if header[0] == "patient_id"]
    return {**rows, **{name: [row for row in rows[name] if row[0] in cases] for name in people}}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (cases_alone, "fewer controls than the 2 folds: nothing was modeled"),
        (lambda: site(3), "fewer cases than the 2 folds: nothing was modeled"),
    ],
)
def test_a_study_that_cannot_be_modeled_ends_well_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], rows: Callable[[], Site], said: str
) -> None:
    file, study = write_study(tmp_path, rows())
    assert command_line.main(["materialize", "--study", str(file)]) == 0
    assert said in capsys.readouterr().err
    report = lake_of(study).folder("report") / "study.json"
    assert json.loads(report.read_text(encoding="utf-8"))


@pytest.mark.slow
def test_ids_that_would_merge_people_stop_a_run_with_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = site(ident=lambda number: f"{10_000_000_000 + number * 37:.2E}")
    file, study = write_study(tmp_path, rows)
    assert command_line.main(["materialize", "--study", str(file)]) == 1
    said = "".join(capsys.readouterr())
    assert "patient.csv, line 2: the patient id is in scientific notation" in said
    assert "1.00E+10" not in said
    assert lake_of(study).stamp("patient") is None
