"""Rows of the whole site: the bad ones are the planted ones, and none is lost on the way."""

from __future__ import annotations

import json

import pytest

from learn_assets.schemas.registry import ARRIVING
from learn_assets_tests.defs.made import MadeStudy

FILES = {
    "patient": "patient.csv",
    "diagnosis": "diagnosis.csv",
    "procedure": "procedure.csv",
    "medication": "medication_drug.csv",
    "lab_result": "lab_result.csv",
    "terminology": "standardized_terminology.csv",
    "genetic_score": "genetic_score.csv",
    "care_site": "care_site.csv",
}


@pytest.mark.parametrize(("table", "file"), FILES.items())
def test_the_quarantine_holds_exactly_the_planted_rows(
    made: MadeStudy, table: str, file: str
) -> None:
    truth = made.lake.root / "source" / "site" / "truth" / "dirty_rows.json"
    planted = json.loads(truth.read_text(encoding="utf-8"))[file]
    found = made.lake.read(f"{table}_quarantine").group_by("source_file", "reason").len()
    assert planted
    assert {(name, reason): rows for name, reason, rows in found.iter_rows()} == {
        (file, reason): rows for reason, rows in planted.items()
    }


@pytest.mark.parametrize("table", ARRIVING)
def test_rows_in_are_rows_kept_plus_rows_quarantined(made: MadeStudy, table: str) -> None:
    lake = made.lake
    rows_in = lake.read(f"raw_{table}").height + lake.read(f"raw_{table}_malformed").height
    quarantine = lake.read(f"{table}_quarantine")
    assert rows_in == lake.read(table).height + quarantine.height
    places = quarantine.select("source_file", "source_row")
    assert places.n_unique() == places.height


@pytest.mark.parametrize(("table", "file"), FILES.items())
def test_every_line_of_a_file_is_a_row(made: MadeStudy, table: str, file: str) -> None:
    folder = made.lake.root / "source" / "site"
    lines = (folder / file).read_bytes().count(b"\n") - 1
    lake = made.lake
    assert lines == lake.read(table).height + lake.read(f"{table}_quarantine").height
