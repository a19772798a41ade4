"""Dates that are shifted, placeholders, or written another way: never a wrong day, nobody lost."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from learn_assets.lake import Lake
from learn_assets.quality.assessment import measured
from learn_assets.sources.files import SourceError
from learn_assets.validation.calendar import calendar_of
from learn_assets.validation.loss import RowLossError
from learn_assets_tests.field_cases.site import (
    DATED,
    EVENT_TABLES,
    Site,
    assert_whole,
    facts,
    load,
    meds_events,
    site,
    study_of,
    write_meds,
    write_trinetx,
)

Door = Callable[[Path, Site], dict[str, Any]]
SHIFTED = {"dates": {"shifted": "per_patient"}, "sensitivity": {"analyses": []}}


def shifted_site() -> Site:
    """Return the site 140 years later, as MIMIC's de-identification makes it."""
    rows = site()
    for table in DATED:
        for row in rows[table]:
            later = str(int(row[4][:4]) + 140) + row[4][4:]
            row[4] = later.replace("0229", "0228")
    for row in rows["patient"]:
        row[4] = str(int(row[4]) + 140)
    return rows


def write_meds_site(folder: Path, rows: Site) -> dict[str, Any]:
    return write_meds(folder, meds_events(rows))


@pytest.mark.parametrize("door", [write_trinetx, write_meds_site])
def test_shifted_dates_are_kept_when_the_study_says_so(
    tmp_path: Path, lake: Lake, door: Door
) -> None:
    source = door(tmp_path / "site", shifted_site())
    with pytest.raises(SourceError, match=r"`dates: \{shifted: per_patient\}`"):
        load(study_of(source), Lake(tmp_path / "unsaid"))
    load(study_of(source, **SHIFTED), lake)
    assert_whole(lake)


def test_shifted_dates_are_not_counted_by_month(tmp_path: Path, lake: Lake) -> None:
    study = study_of(write_trinetx(tmp_path / "site", shifted_site()), **SHIFTED)
    load(study, lake)
    for name in ("normalized_medication", "rxnorm_name"):
        columns = ("code_system", "rxcui", "ingredient_rxcui")
        lake.write(name, pl.DataFrame(schema=dict.fromkeys(columns, pl.String())))
    measures = measured(lake, 1, shifted=True)
    by_month = [
        measures[f"{table}.{key}"]
        for table in EVENT_TABLES
        for key in ("months_missing", "months_behind", "span_years")
    ]
    assert all(measure.value is None for measure in by_month)


def test_a_study_of_shifted_dates_cannot_ask_for_later_patients() -> None:
    with pytest.raises(ValueError, match="`temporal` does not apply"):
        study_of({"format": "trinetx", "folder": "none"}, dates={"shifted": "per_patient"})


def test_births_of_people_over_89_are_brought_back(tmp_path: Path, lake: Lake) -> None:
    rows = site()
    old = rows["patient"][::12]
    for number, row in enumerate(old):
        row[4] = str(int(rows["lab_result"][number * 48][4][:4]) - 300)
    reports = load(study_of(write_trinetx(tmp_path / "site", rows)), lake)
    assert_whole(lake)
    assert reports["patient"].counted["births_of_people_over_89"] == len(old) == 5
    born = lake.read("patient").filter(pl.col("patient_id").is_in([row[0] for row in old]))
    assert born["year_of_birth"].is_between(1923, 1927).all()


def test_an_impossible_birth_is_not_known_and_loses_nobody(tmp_path: Path, lake: Lake) -> None:
    rows = site()
    for row in rows["patient"][:7]:
        row[4] = "1850"
    reports = load(study_of(write_trinetx(tmp_path / "site", rows)), lake)
    assert_whole(lake)
    assert lake.read("patient")["year_of_birth"].null_count() == 7
    assert reports["patient"].counted["births_that_are_impossible"] == 7


@pytest.mark.parametrize(
    "never", ["9999-12-31", "99991231", "999912", "9999", "1900-01-01", "190001"]
)
def test_a_placeholder_of_death_is_no_death(tmp_path: Path, lake: Lake, never: str) -> None:
    rows = site()
    for number, row in enumerate(rows["patient"]):
        row[5] = never if number % 10 else "202012"
    reports = load(study_of(write_trinetx(tmp_path / "site", rows)), lake)
    assert_whole(lake)
    assert lake.read("patient")["death_date"].null_count() == 54
    assert reports["patient"].counted["deaths_that_are_placeholders"] == 54


def test_a_placeholder_is_nobodys_first_record(tmp_path: Path, lake: Lake) -> None:
    clean = Lake(tmp_path / "clean")
    load(study_of(write_trinetx(tmp_path / "base", site())), clean)
    rows = site()
    for number, row in enumerate(rows["patient"]):
        row[4] = "1948" if number % 2 else ""
        placeholder = "19700101" if number % 2 else "19000101"
        rows["diagnosis"].append([row[0], "e", "ICD-10-CM", "I10", placeholder])
    reports = load(study_of(write_trinetx(tmp_path / "site", rows)), lake)
    assert dict(reports["diagnosis"].reasons) == {"placeholder_date": 60}
    assert facts(lake) == facts(clean)


def test_a_day_like_its_neighbors_is_no_placeholder(tmp_path: Path, lake: Lake) -> None:
    rows = site()
    days = [f"196912{day}" for day in range(10, 32)] + [f"197001{day:02}" for day in range(1, 20)]
    for day in days:
        rows["diagnosis"] += [[row[0], "e", "ICD-10-CM", "I10", day] for row in rows["patient"][:5]]
    for row in rows["patient"]:
        row[4] = "1948"
    study = study_of(write_trinetx(tmp_path / "site", rows))
    assert load(study, lake)["diagnosis"].rows_kept == 760 + 5 * len(days)


def test_the_extract_itself_says_what_is_in_its_future(tmp_path: Path, lake: Lake) -> None:
    rows = site()
    last = max(row[4] for table in DATED for row in rows[table])
    for row in rows["diagnosis"][:3]:
        row[4] = "20700101"
    study = study_of(write_trinetx(tmp_path / "site", rows))
    reports = load(study, lake)
    assert dict(reports["diagnosis"].reasons) == {"future_date": 3}
    bound = reports["diagnosis"].last_day
    assert bound is not None
    assert bound == calendar_of(study, lake).last_day
    assert (bound - date.fromisoformat(last)).days == 1826


def test_the_last_day_of_the_study_bounds_the_future(tmp_path: Path, lake: Lake) -> None:
    source = write_trinetx(tmp_path / "site", site())
    study = study_of(source, dates={"today": "2020-01-01"})
    load(study, lake)
    assert max(lake.read(table)["date"].max() for table in EVENT_TABLES) <= date(2020, 1, 1)


def american(day: str) -> str:
    return f"{int(day[4:6])}/{int(day[6:])}/{day[:4]}"


def european(day: str) -> str:
    return f"{day[6:]}/{day[4:6]}/{day[:4]} 12:00:00 AM"


@pytest.mark.parametrize("write", [european, american])
def test_a_day_above_twelve_tells_which_number_is_the_day(
    tmp_path: Path, lake: Lake, write: Callable[[str], str]
) -> None:
    clean = Lake(tmp_path / "clean")
    load(study_of(write_trinetx(tmp_path / "base", site())), clean)
    rows = site()
    for table in DATED:
        for row in rows[table]:
            row[4] = write(row[4])
    load(study_of(write_trinetx(tmp_path / "site", rows)), lake)
    assert facts(lake) == facts(clean)


def test_days_that_may_be_months_need_the_study(tmp_path: Path, lake: Lake) -> None:
    rows = site()
    for table in DATED:
        for row in rows[table]:
            row[4] = f"0{1 + int(row[4][6:]) % 9}/{row[4][4:6]}/{row[4][:4]}"
    source = write_trinetx(tmp_path / "site", rows)
    with pytest.raises(RowLossError, match=r"dates: \{order: day_first\}"):
        load(study_of(source), Lake(tmp_path / "unsaid"))
    load(study_of(source, dates={"order": "day_first"}), lake)
    first = rows["lab_result"][0][4]
    found = lake.read("lab_result").filter(pl.col("source_row") == 2)["date"].item()
    assert f"{found:%d/%m/%Y}" == first
