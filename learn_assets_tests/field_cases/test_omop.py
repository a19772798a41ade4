"""OMOP databases as they are found: times for dates, views, zones, concepts of other domains."""

from __future__ import annotations

from pathlib import Path

import duckdb
import polars as pl
import pytest

from learn_assets.lake import Lake
from learn_assets.sources.concepts import code_systems_of_source, concept_resolver
from learn_assets.sources.files import SourceError
from learn_assets.sources.ingest import ingest_table
from learn_assets.vocabulary.code_lists import resolve_code_lists
from learn_assets_tests.field_cases.site import (
    assert_whole,
    facts,
    index_of,
    load,
    omop_tables,
    site,
    study_of,
    write_omop,
)

DATED = {
    "condition_occurrence": "condition_start_date",
    "procedure_occurrence": "procedure_date",
    "drug_exposure": "drug_exposure_start_date",
    "measurement": "measurement_date",
}


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    folder = tmp_path_factory.mktemp("clean")
    lake = Lake(folder / "lake")
    load(study_of(write_omop(folder / "cdm", omop_tables(site()), "parquet")), lake)
    return lake


@pytest.mark.parametrize(("form", "kept"), [("csv", True), ("duckdb", True), ("csv", False)])
def test_the_time_dates_a_record_without_a_date(
    tmp_path: Path, lake: Lake, clean: Lake, form: str, kept: bool
) -> None:
    tables = omop_tables(site())
    for name, date in DATED.items():
        moment = pl.col(date).dt.strftime("%Y-%m-%d 22:20:52+00:00")
        frame = tables[name].with_columns(moment.alias(date.replace("_date", "_datetime")))
        empty = frame.with_columns(pl.lit(None, pl.Date).alias(date))
        tables[name] = empty if kept else frame.drop(date)
    load(study_of(write_omop(tmp_path / "cdm", tables, form)), lake)
    assert_whole(lake)
    assert facts(lake) == facts(clean)


def test_a_time_dates_a_birth_and_a_death(tmp_path: Path, lake: Lake) -> None:
    tables = omop_tables(site())
    born = pl.format("{}-06-01 00:30:00", "year_of_birth")
    tables["person"] = tables["person"].with_columns(
        born.alias("birth_datetime"), year_of_birth=pl.lit(None, pl.Int64)
    )
    tables["death"] = pl.DataFrame(
        {"person_id": [500], "death_date": [None], "death_datetime": ["2020-12-31 23:10:00"]},
        schema_overrides={"death_date": pl.Date},
    )
    load(study_of(write_omop(tmp_path / "cdm", tables, "csv")), lake)
    patients = lake.read("patient")
    assert patients["year_of_birth"].to_list()[:2] == [1950, 1951]
    assert str(patients["death_date"][0]) == "2020-12-31"


def test_times_with_a_zone_are_days(tmp_path: Path, lake: Lake, clean: Lake) -> None:
    tables = omop_tables(site())
    for name, date in DATED.items():
        zoned = pl.col(date).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
        tables[name] = tables[name].with_columns(zoned)
    load(study_of(write_omop(tmp_path / "cdm", tables, "parquet")), lake)
    assert facts(lake) == facts(clean)


def test_views_of_another_schema_with_negative_ids_are_read_whole(
    tmp_path: Path, lake: Lake
) -> None:
    tables = {
        name: frame.with_columns(person_id=-pl.col("person_id"))
        if "person_id" in frame.columns
        else frame
        for name, frame in omop_tables(site()).items()
    }
    source = write_omop(tmp_path / "cdm", tables, "duckdb")
    with duckdb.connect(str(source["path"])) as connection:
        connection.execute('CREATE SCHEMA "CDM 54"')
        for name, frame in tables.items():
            wanted = ", ".join(f'"{column}" AS "{column.upper()}"' for column in frame.columns)
            connection.execute(
                f'CREATE VIEW "CDM 54"."{name.upper()}" AS SELECT {wanted} FROM main."{name}"'
            )
    load(study_of({**source, "database_schema": "CDM 54"}), lake)
    assert_whole(lake)
    assert lake.read("patient")["patient_id"].str.starts_with("-5").all()


def test_equal_records_without_ids_are_not_dropped(tmp_path: Path, lake: Lake) -> None:
    tables = omop_tables(site())
    drugs = tables["drug_exposure"].drop("drug_exposure_id")
    two = pl.concat([drugs, drugs.head(1)]).with_columns(
        quantity=pl.int_range(pl.len()), sig=pl.lit("as needed")
    )
    tables["drug_exposure"] = two
    reports = load(study_of(write_omop(tmp_path / "cdm", tables, "parquet")), lake)
    assert reports["medication"].rows_kept == 241


def test_concepts_of_another_domain_are_said(tmp_path: Path, lake: Lake) -> None:
    tables = omop_tables(site())
    tables["concept"] = tables["concept"].with_columns(
        domain_id=pl.when(pl.col("concept_code") == "I10")
        .then(pl.lit("Observation"))
        .when(pl.col("concept_code") == "R21")
        .then(pl.lit("Condition/Meas"))
        .otherwise("domain_id")
    )
    study = study_of(write_omop(tmp_path / "cdm", tables, "parquet"))
    (note,) = ingest_table(study, lake, "diagnosis").notes
    assert note.startswith("condition_occurrence.parquet: some of its standard concepts are of")
    assert "Observation" in note
    assert "Meas" not in note


def test_descendants_need_the_table_of_ancestors(tmp_path: Path, lake: Lake) -> None:
    source = write_omop(tmp_path / "cdm", omop_tables(site()), "parquet")
    entry = {"code_system": "OMOP", "codes": ["1000"], "include_descendants": True}
    lists = {"ana": [entry], "sle": [entry]}
    study = study_of(source, code_lists=lists)
    with pytest.raises(
        SourceError, match=r"`include_descendants`.* needs the table concept_ancestor"
    ):
        resolve_code_lists(study, concept_resolver(study, lake))


def test_a_list_of_a_code_system_that_no_record_has_is_refused(tmp_path: Path, lake: Lake) -> None:
    source = write_omop(tmp_path / "cdm", omop_tables(site()), "parquet")
    study = study_of(source)
    systems = code_systems_of_source(study, lake)
    assert not resolve_code_lists(study, of_source=systems).is_empty()
    lists = {
        "ana": [{"code_system": "LOINC", "codes": ["5048-4"]}],
        "sle": [{"code_system": "SNOMED", "codes": ["55464009"]}],
    }
    with pytest.raises(ValueError, match=r"`sle`: no record of the source has .* SNOMED; it has"):
        resolve_code_lists(study_of(source, code_lists=lists), of_source=systems)


def periods(*rows: tuple[int, str, str]) -> pl.DataFrame:
    columns = ["person_id", "observation_period_start_date", "observation_period_end_date"]
    return pl.DataFrame(rows, columns, orient="row").with_columns(
        pl.col(columns[1:]).str.to_date("%F")
    )


def test_the_stated_period_is_history_and_follow_up(tmp_path: Path, lake: Lake) -> None:
    tables = omop_tables(site(4))
    tables["observation_period"] = periods(
        # Of two periods, the one around the index date; one that is not over; none around it.
        *((500, "2000-01-01", "2009-12-31"), (500, "2012-02-03", "2019-04-05")),
        *((501, "2011-01-01", "9999-12-31"), (502, "2000-01-01", "2001-01-01")),
    )
    study = study_of(write_omop(tmp_path / "cdm", tables, "parquet"))
    load(study, lake)
    assert lake.read("observation_period").height == 4
    event_days = lake.read("lab_result").group_by("patient_id").agg(pl.col("date").max())
    last = dict(event_days.iter_rows())
    index_of(study, lake)
    found = lake.read("index_events").select("patient_id", "first_record_date", "last_record_date")
    by_patient = {row[0]: row[1:] for row in found.iter_rows()}
    assert [str(day) for day in by_patient["500"]] == ["2012-02-03", "2019-04-05"]
    first, end = by_patient["501"]
    assert str(first) == "2011-01-01"
    assert end >= last["501"]
    assert by_patient["502"] == by_patient["503"] == (None, None)
