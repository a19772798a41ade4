"""Times with a zone become the same days whatever the time zone of the machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import duckdb
import polars as pl
import pytest

from learn_assets.lake import Lake
from learn_assets_tests.extracts import load, study_of

# Both are another day in New York or in Tokyo.
TIMES = ("2014-01-02 02:00", "2014-01-03 22:00")
CONCEPT = {
    "concept_id": 100,
    "concept_name": "Lupus",
    "vocabulary_id": "ICD10CM",
    "concept_code": "M32.10",
}


def moments() -> pl.Series:
    return pl.Series(TIMES).str.to_datetime("%F %R", time_unit="us", time_zone="UTC")


def omop_tables() -> dict[str, pl.DataFrame]:
    return {
        "person": pl.DataFrame(
            {"person_id": [1], "gender_concept_id": [8532], "year_of_birth": [1950]}
        ),
        "condition_occurrence": pl.DataFrame(
            {
                "condition_occurrence_id": [10, 11],
                "person_id": [1, 1],
                "condition_concept_id": [100, 100],
                "condition_start_date": moments(),
            }
        ),
        "concept": pl.DataFrame([CONCEPT]),
    }


def write_parquet_cdm(folder: Path) -> dict[str, str]:
    folder.mkdir()
    for name, frame in omop_tables().items():
        frame.write_parquet(folder / f"{name}.parquet")
    return {"format": "omop", "path": str(folder)}


def write_duckdb_cdm(folder: Path) -> dict[str, str]:
    folder.mkdir()
    with duckdb.connect(str(folder / "cdm.duckdb")) as connection:
        for name, frame in omop_tables().items():
            connection.register("frame", frame.to_arrow())
            connection.execute(f"CREATE TABLE {name} AS SELECT * FROM frame")
    return {"format": "omop", "path": str(folder / "cdm.duckdb")}


def write_meds(folder: Path) -> dict[str, str]:
    (folder / "data").mkdir(parents=True)
    events = pl.DataFrame(
        {"subject_id": [1, 1], "time": moments(), "code": ["ICD10CM/M32.10", "ICD10CM/M32.10"]}
    )
    events.write_parquet(folder / "data" / "0.parquet")
    return {"format": "meds", "folder": str(folder)}


def days(sources: list[dict[str, str]], home: Path) -> list[list[str]]:
    """Return the days of the diagnoses of each source."""
    found = []
    for number, source in enumerate(sources):
        lake = Lake(home / str(number))
        load(study_of(source), lake, "patient", "diagnosis")
        found.append(lake.read("diagnosis")["date"].cast(pl.String).to_list())
    return found


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Tokyo"])
def test_days_do_not_depend_on_the_zone_of_the_machine(zone: str, tmp_path: Path) -> None:
    sources = [
        write_parquet_cdm(tmp_path / "parquet"),
        write_duckdb_cdm(tmp_path / "stored"),
        write_meds(tmp_path / "meds"),
    ]
    # The zone of a process is fixed when its libraries load.
    finished = subprocess.run(
        [sys.executable, "-m", __name__, json.dumps(sources), str(tmp_path / "lakes")],
        env={**os.environ, "TZ": zone},
        capture_output=True,
        check=True,
        text=True,
    )
    assert json.loads(finished.stdout) == [["2014-01-02", "2014-01-03"]] * len(sources)


if __name__ == "__main__":
    sys.stdout.write(json.dumps(days(json.loads(sys.argv[1]), Path(sys.argv[2]))))
