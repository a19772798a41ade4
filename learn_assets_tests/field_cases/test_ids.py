"""Ids that a spreadsheet or a float has rewritten: joined or refused, never merged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from learn_assets.lake import Lake
from learn_assets.sources.files import SourceError
from learn_assets_tests.field_cases.site import (
    assert_whole,
    facts,
    load,
    meds_events,
    omop_tables,
    site,
    study_of,
    write_meds,
    write_omop,
    write_trinetx,
)

LONG = 12_345_678_901_234_000.0


def rewritten(write: Callable[[str], str], *tables: str) -> dict[str, list[list[str]]]:
    """Return the site with the ids of some tables, of all when none is named, written anew."""
    rows = site()
    for name in tables or [name for name in rows if name != "standardized_terminology"]:
        for row in rows[name]:
            row[0] = write(row[0])
    return rows


def exponent(written: str) -> str:
    return f"{int(written):.2E}"


def test_ids_in_scientific_notation_are_refused_with_their_place(
    tmp_path: Path, lake: Lake
) -> None:
    study = study_of(write_trinetx(tmp_path / "site", rewritten(exponent)))
    with pytest.raises(SourceError, match=r"^patient\.csv, line 2: .*export ids as text"):
        load(study, lake)


def test_a_few_ids_in_scientific_notation_are_refused_as_well(tmp_path: Path, lake: Lake) -> None:
    # Only ids of more than 11 digits were shown as 1.00E+12, and saved so.
    rows = site(ident=lambda n: f"{4000 + n}" if n < 50 else f"{1e12 + n * 37:.2E}")
    study = study_of(write_trinetx(tmp_path / "site", rows))
    with pytest.raises(SourceError, match=r"^patient\.csv, line 52: ") as refused:
        load(study, lake)
    assert "E+" not in str(refused.value)


@pytest.mark.parametrize("form", ["parquet", "csv", "duckdb"])
def test_long_ids_that_went_through_a_float_are_refused_in_every_form(
    tmp_path: Path, lake: Lake, form: str
) -> None:
    tables = {
        name: frame.with_columns(pl.col("person_id").cast(pl.Float64) + LONG)
        if "person_id" in frame.columns
        else frame
        for name, frame in omop_tables(site()).items()
    }
    study = study_of(write_omop(tmp_path / "cdm", tables, form))
    with pytest.raises(SourceError, match="people would be merged"):
        load(study, lake)


def test_long_subject_ids_of_meds_that_went_through_a_float_are_refused(
    tmp_path: Path, lake: Lake
) -> None:
    events = meds_events(site()).with_columns(pl.col("subject_id").cast(pl.Float64) + LONG)
    with pytest.raises(SourceError, match="people would be merged"):
        load(study_of(write_meds(tmp_path / "meds", events)), lake)


@pytest.mark.parametrize(
    ("write", "tables"),
    [
        (lambda written: f"{written}.0", ("diagnosis",)),
        (lambda written: f"{int(written):,}", ()),
        (lambda written: f"{int(written):,}".replace(",", "\u202f"), ("lab_result",)),
    ],
)
def test_ids_in_another_spelling_are_those_of_the_same_people(
    tmp_path: Path, lake: Lake, write: Callable[[str], str], tables: tuple[str, ...]
) -> None:
    clean = Lake(tmp_path / "clean")
    load(study_of(write_trinetx(tmp_path / "base", site())), clean)
    load(study_of(write_trinetx(tmp_path / "site", rewritten(write, *tables))), lake)
    assert facts(lake) == facts(clean)


@pytest.mark.parametrize("written", ["00{}", "{}E4", "a.{}", "{}e5"])
def test_ids_that_only_look_like_numbers_stay(tmp_path: Path, lake: Lake, written: str) -> None:
    rows = site(ident=lambda number: written.format(100 + number))
    load(study_of(write_trinetx(tmp_path / "site", rows)), lake)
    assert set(lake.read("patient")["patient_id"]) == {written.format(100 + n) for n in range(60)}


def test_decimal_ids_are_whole_numbers(tmp_path: Path, lake: Lake) -> None:
    tables = {}
    for name, frame in omop_tables(site()).items():
        ids = [column for column in frame.columns if column.endswith("_id")]
        numeric = [column for column in ids if frame.schema[column].is_integer()]
        large = pl.col("person_id") + int(LONG) if "person_id" in frame.columns else []
        tables[name] = frame.with_columns(large).with_columns(
            pl.col(numeric).cast(pl.Decimal(28, 10))
        )
    load(study_of(write_omop(tmp_path / "cdm", tables, "duckdb")), lake)
    assert_whole(lake)
    assert lake.read("patient")["patient_id"][0] == str(500 + int(LONG))
    assert set(lake.read("patient")["sex"]) == {"F", "M"}
    assert lake.read("raw_terminology").filter(pl.col("code_system") == "None").is_empty()
