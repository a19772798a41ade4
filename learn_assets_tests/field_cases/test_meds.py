"""MEDS datasets as they are found: odd shards, copies, zones, and columns beside the code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import date, datetime, time
from pathlib import Path

import polars as pl
import pytest

from learn_assets.lake import Lake
from learn_assets.sources.files import SourceError
from learn_assets_tests.field_cases.site import (
    EVENT_TABLES,
    assert_whole,
    facts,
    load,
    meds_events,
    site,
    study_of,
    write_meds,
)


def test_copies_in_hidden_folders_are_not_read(tmp_path: Path, lake: Lake) -> None:
    events = meds_events(site())
    write_meds(tmp_path / "meds", events, ".ipynb_checkpoints/0-checkpoint")
    reports = load(study_of(write_meds(tmp_path / "meds", events)), lake)
    assert_whole(lake)
    assert all(not report.reasons for report in reports.values())


def test_no_column_comes_from_a_folder(tmp_path: Path, lake: Lake) -> None:
    events = meds_events(site()).with_columns(pl.col("time").cast(pl.Datetime("ns")))
    load(study_of(write_meds(tmp_path / "unit=mgdl" / "meds", events, "split=train/0")), lake)
    assert_whole(lake)
    assert lake.read("lab_result")["unit"].null_count() == 240


def test_odd_shards_are_read_whole_and_events_without_a_code_counted(
    tmp_path: Path, lake: Lake
) -> None:
    events, folder = meds_events(site()), tmp_path / "meds"
    half = events.height // 2
    nan = pl.col("numeric_value").fill_null(float("nan"))
    write_meds(folder, events.head(half).with_columns(nan))
    rest = events.slice(half)
    as_stored = [pl.col("code").cast(pl.Categorical), pl.col("numeric_value").cast(pl.Float64)]
    write_meds(folder, rest.with_columns(as_stored), "held_out/a/b/0")
    write_meds(folder, events.clear().select(pl.all().cast(pl.Null)), "tuning/0")
    nameless = events.tail(3).with_columns(code=pl.lit(None, pl.String))
    source = write_meds(folder, nameless, "train/1")
    reports = load(study_of(source), lake)
    assert_whole(lake)
    assert dict(reports["diagnosis"].reasons) == {"no code, so of no kind": 3}


def test_a_dataset_of_another_version_is_refused_in_one_sentence(
    tmp_path: Path, lake: Lake
) -> None:
    events = meds_events(site()).rename({"subject_id": "patient_id"})
    with pytest.raises(SourceError, match=r"no column subject_id; .* MEDS 0\.3 or later"):
        load(study_of(write_meds(tmp_path / "meds", events)), lake)


@pytest.mark.slow
def test_times_with_a_zone_are_of_the_same_day_in_every_zone(tmp_path: Path) -> None:
    zoned = pl.col("time").dt.replace_time_zone("UTC")
    # A birth in the first hours of a year is of another year in New York.
    early = pl.when(pl.col("code") == "MEDS_BIRTH").then(
        pl.col("time").dt.truncate("1y").dt.offset_by("1h")
    )
    events = meds_events(site(), hour=2).with_columns(early.otherwise("time").alias("time"))
    write_meds(tmp_path / "meds", events.with_columns(zoned))
    program = (
        "import json, sys\nfrom pathlib import Path\nfrom learn_assets.lake import Lake\n"
        "from learn_assets_tests.field_cases.site import load, study_of\n"
        "lake = Lake(Path(sys.argv[2]))\n"
        "load(study_of({'format': 'meds', 'folder': sys.argv[1]}), lake)\n"
        "names = ('patient', 'diagnosis', 'lab_result')\n"
        "print(json.dumps([lake.stamp(name).fingerprint for name in names]))"
    )
    found = []
    for zone in ("America/New_York", "Asia/Tokyo"):
        home = tmp_path / zone.replace("/", "_")
        arguments = [sys.executable, "-c", program, str(tmp_path / "meds"), str(home)]
        done = subprocess.run(
            arguments, env={**os.environ, "TZ": zone}, capture_output=True, text=True, check=True
        )
        found.append(json.loads(done.stdout))
    assert found[0] == found[1]


def test_events_that_differ_in_any_column_are_no_duplicates(tmp_path: Path, lake: Lake) -> None:
    events = meds_events(site())
    drug = events.filter(pl.col("code").str.starts_with("NDC/")).head(1)
    other_hour = drug.with_columns(pl.col("time").dt.offset_by("3h"))
    other_dose = drug.with_columns(numeric_value=pl.lit(2.0, pl.Float32))
    other_order = drug.with_columns(order_id=pl.lit(7))
    more = [drug, drug, other_hour, other_dose, other_order]
    whole = pl.concat([events, *more], how="diagonal")
    reports = load(study_of(write_meds(tmp_path / "meds", whole)), lake)
    # Two rows repeat the first in every column, three are further records.
    assert dict(reports["medication"].reasons) == {"duplicate_row": 2}
    assert reports["medication"].rows_kept == 240 + 3


def snomed_events() -> pl.DataFrame:
    """Return events as meds_etl writes an OMOP database whose concepts are of SNOMED CT."""
    at = datetime.combine(date(2014, 5, 6), time(8))
    named = ("condition_occurrence", "procedure_occurrence", "measurement", "observation", None)
    rows = [(1, at, f"SNOMED/{n}", table) for n, table in enumerate(named, start=10)]
    rows.append((1, at, "SNOMED/10", "procedure_occurrence"))
    return pl.DataFrame(rows, ["subject_id", "time", "code", "table"], orient="row")


def codes_by_table(lake: Lake) -> dict[str, list[str]]:
    return {table: lake.read(table)["code"].sort().to_list() for table in EVENT_TABLES}


def test_the_table_that_an_event_comes_from_says_its_kind(tmp_path: Path, lake: Lake) -> None:
    load(study_of(write_meds(tmp_path / "meds", snomed_events())), lake)
    assert codes_by_table(lake) == {
        "diagnosis": ["10"],
        "procedure": ["10", "11"],
        "medication": [],
        "lab_result": ["12", "13"],
    }


def test_rules_of_a_study_look_at_any_column(tmp_path: Path, lake: Lake) -> None:
    source = write_meds(tmp_path / "meds", snomed_events())
    rule = {"pattern": "SNOMED/(?P<code>.+)", "kind": "diagnosis", "code_system": "SNOMED"}
    observed = {**rule, "where": {"table": "obs.*"}}
    load(study_of({**source, "codes": [observed]}), lake)
    assert codes_by_table(lake)["diagnosis"] == ["10", "13"]
    with pytest.raises(SourceError, match=r"no column origin, which `source\.codes` looks at"):
        load(study_of({**source, "codes": [{**rule, "where": {"origin": "x"}}]}), lake)


def test_without_such_columns_nothing_changes(tmp_path: Path, lake: Lake) -> None:
    events = meds_events(site())
    load(study_of(write_meds(tmp_path / "plain", events)), lake)
    other = Lake(tmp_path / "other")
    load(study_of(write_meds(tmp_path / "more", events.with_columns(table=pl.lit("x")))), other)
    assert facts(lake) == facts(other)
