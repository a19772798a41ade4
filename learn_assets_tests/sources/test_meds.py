"""MEDS: a site written as a MEDS dataset reads as it does in its own layout; codes have rules."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from pydantic import ValidationError

from learn_assets.lake import Lake
from learn_assets.sources.files import SourceError
from learn_assets.sources.ingest import (
    RAW_TABLES,
    ingest_rxnorm,
    ingest_table,
    source_fingerprint,
)
from learn_assets.sources.meds_codes import PACKAGED_RULES, Meaning, meaning_of
from learn_assets.study import MedsCodeRule, MedsSource, Study, SyntheticSource
from learn_assets.study.file import load_study
from learn_assets.validation.contracts import check_table
from learn_assets_tests.canonical import assert_no_failed_tests, run_all, write_vocabulary
from learn_assets_tests.extracts import load, study_of

EVENTS = ("diagnosis", "procedure", "medication", "lab_result")
VOCABULARIES = {
    "ICD-10-CM": "ICD10CM",
    "ICD-9-CM": "ICD9CM",
    "ICD-10-PCS": "ICD10PCS",
    "ICD-9-PCS": "ICD9Proc",
    "CPT": "CPT4",
}
DATA_SCHEMA = {
    "subject_id": pl.Int64,
    "time": pl.Datetime("us"),
    "code": pl.String,
    "numeric_value": pl.Float32,
    "text_value": pl.String,
    "unit": pl.String,
    "visit_id": pl.Int64,
}


def meds_study(folder: Path, **more: Any) -> Study:
    return study_of({"format": "meds", "folder": folder, **more})


def write_shard(folder: Path, rows: Sequence[Sequence[object]], name: str = "train/0") -> Path:
    """Write rows of subject, day and time, code and, if they go on, number, text, unit, visit."""
    full = [(*row, *[None] * (len(DATA_SCHEMA) - len(row))) for row in rows]
    written = {**DATA_SCHEMA, "time": pl.String}
    path = folder / "data" / f"{name}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    frame = pl.DataFrame(full, schema=written, orient="row").with_columns(
        pl.coalesce(
            pl.col("time").str.to_datetime("%F %R", time_unit="us", strict=False),
            pl.col("time").str.to_date("%F", strict=False).cast(pl.Datetime("us")),
        )
    )
    frame.write_parquet(path)
    return folder


def write_codes(folder: Path, rows: Sequence[tuple[str, str | None, list[str]]]) -> None:
    (folder / "metadata").mkdir(parents=True, exist_ok=True)
    schema = {"code": pl.String, "description": pl.String, "parent_codes": pl.List(pl.String)}
    pl.DataFrame(rows, schema=schema, orient="row").write_parquet(
        folder / "metadata" / "codes.parquet"
    )


SMALL = (
    (1, None, "GENDER//F"),
    (1, "1950-01-01", "MEDS_BIRTH"),
    (1, "2014-01-02 23:59", "DIAGNOSIS//ICD//10//M3210", None, None, None, 7),
    (1, "2014-01-02", "RACE//WHITE"),
    (1, "2014-02-02", "LAB//RESULT//50912//mg/dL", 1.5, "1.5", None, None),
    (1, "2014-02-02", "LAB//SPECIMEN_COLLECTED//50912//ROUTINE"),
    (1, "2014-03-01", "MEDICATION//START//Aspirin//00904516561"),
    (1, "2014-03-09", "MEDICATION//STOP//Aspirin//00904516561"),
    (1, "2015-03-01", "RACE//UNKNOWN"),
    (2, "1960-06-01", "MEDS_BIRTH"),
    (2, "2014-05-01", "ICD10CM/R76.8"),
    (2, "2014-05-01", "SNOMED/271807003"),
    (2, "2016-05-01 12:00", "MEDS_DEATH"),
)
SMALL_CODES = [
    ("LAB//RESULT//50912//mg/dL", "Creatinine", ["LOINC/2160-0"]),
    ("LAB//SPECIMEN_COLLECTED//50912//ROUTINE", "Creatinine", ["LOINC/2160-0"]),
    ("MEDICATION//START//Aspirin//00904516561", None, ["NDC/00904516561"]),
    ("MEDICATION//STOP//Aspirin//00904516561", None, ["NDC/00904516561"]),
    ("SNOMED/271807003", "Eruption", []),
]


@pytest.fixture
def small(tmp_path: Path) -> Path:
    folder = write_shard(tmp_path / "meds", SMALL)
    write_codes(folder, SMALL_CODES)
    return folder


def test_subjects_become_patients(small: Path, tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    load(meds_study(small), lake, "patient")
    columns = ("patient_id", "sex", "year_of_birth", "race", "death_date")
    assert lake.read("patient").select(columns).rows() == [
        ("1", "F", 1950, "UNKNOWN", None),
        ("2", "U", 1960, None, date(2016, 5, 1)),
    ]


def test_a_folder_whose_name_looks_like_a_pattern_is_read_itself(tmp_path: Path) -> None:
    write_shard(tmp_path / "meds 2", [(9, "2014-01-01", "ICD10CM/I10")])
    write_codes(tmp_path / "meds 2", [])
    odd = tmp_path / "meds [v2]"
    for name, when in (("train/0", "2014-01-01"), ("a[b]=*/1", "2014-01-02")):
        write_shard(odd, [(1, when, "ICD10CM/M32.10")], name)
    write_codes(odd, [("ICD10CM/M32.10", "Lupus", [])])
    lake = Lake(tmp_path / "lake")
    load(meds_study(odd), lake, "patient", "diagnosis", "terminology")
    assert lake.read("diagnosis")["code"].to_list() == ["M32.10", "M32.10"]
    files = lake.read("raw_diagnosis")["source_file"].to_list()
    assert files == ["data/a[b]=*/1.parquet", "data/train/0.parquet"]
    assert lake.read("terminology")["description"].to_list() == ["Lupus"]


def test_codes_of_mimic_are_read_through_their_parents(small: Path, tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    load(meds_study(small), lake, "patient", *EVENTS, "terminology")
    columns = ("patient_id", "date", "code_system", "code", "encounter_id")
    assert lake.read("diagnosis").select(columns).rows() == [
        ("1", date(2014, 1, 2), "ICD-10-CM", "M3210", "7"),
        ("2", date(2014, 5, 1), "ICD-10-CM", "R76.8", None),
    ]
    # The end of a prescription is no second drug.
    assert lake.read("medication").select("date", "code_system", "code").rows() == [
        (date(2014, 3, 1), "NDC", "00904516561")
    ]
    assert lake.read("lab_result").select("code", "value_number", "unit").rows() == [
        ("2160-0", 1.5, "mg/dL")
    ]
    assert ("LOINC", "2160-0", "Creatinine") in lake.read("terminology").rows()


def test_the_number_of_a_result_below_a_limit_is_left_out(small: Path, tmp_path: Path) -> None:
    texts = ("<1:80", "<80", None, "\u22651:80", "> 1:80")
    day = "2014-02-01"
    write_shard(small, [(1, day, "LOINC/5048-4", 80.0, text) for text in texts], "tuning/0")
    lake = Lake(tmp_path / "lake")
    _, report = load(meds_study(small), lake, "patient", "lab_result")
    found = lake.read("lab_result").filter(pl.col("code") == "5048-4")
    numbers = (None, None, 80.0, 80.0, 80.0)
    expected = list(zip(numbers, texts, strict=True))
    assert found.select("value_number", "value_text").rows() == expected
    assert report.counted == {"numbers_that_are_limits": 2}


def test_what_no_rule_knows_is_counted_and_can_be_claimed(small: Path, tmp_path: Path) -> None:
    report = ingest_table(meds_study(small), Lake(tmp_path / "first"), "diagnosis")
    assert (report.rows_read, report.rows_of_no_table) == (2, 1)
    rule = {"pattern": "SNOMED/(?P<code>.+)", "kind": "diagnosis", "code_system": "SNOMED"}
    study, lake = meds_study(small, codes=[rule]), Lake(tmp_path / "second")
    load(study, lake, "patient", "terminology")
    report = ingest_table(study, lake, "diagnosis")
    assert (report.rows_read, report.rows_of_no_table) == (3, 0)
    assert ("SNOMED", "271807003", "Eruption") in lake.read("terminology").rows()


def test_every_row_of_the_shards_is_accounted_for(small: Path, tmp_path: Path) -> None:
    write_shard(
        small,
        [
            (None, "2014-01-01", "ICD10CM/I10"),
            (3, None, "ICD10CM/I10"),
            (3, "2014-01-01", None),
            (3, "2014-01-01", "ICD10CM/E11.9"),
        ],
        "tuning/0",
    )
    study, lake = meds_study(small), Lake(tmp_path / "lake")
    reports = {table: ingest_table(study, lake, table) for table in EVENTS}
    rows = sum(report.rows_read for report in reports.values())
    elsewhere = {report.rows_of_no_table for report in reports.values()}
    assert elsewhere == {1}
    demographics, births_and_deaths, left_out = 3, 3, 2
    assert rows + 1 + demographics + births_and_deaths + left_out == len(SMALL) + 4
    assert reports["diagnosis"].rows_malformed == 1
    (_, checked) = load(study, lake, "patient", "diagnosis")
    assert checked.rows_in == checked.rows_kept + checked.rows_quarantined
    reasons = lake.read("diagnosis_quarantine").select("source_file", "source_row").rows()
    assert ("data/tuning/0.parquet", 1) in reasons
    assert ("data/tuning/0.parquet", 2) in reasons


def as_meds(lake: Lake, folder: Path) -> dict[str, str]:
    """Write the validated tables of a lake as a MEDS dataset; return new patient ids by old."""
    patients = lake.read("patient").sort("patient_id")
    ids = {old: str(new) for new, old in enumerate(patients["patient_id"].to_list(), start=1)}
    subject = pl.col("patient_id").replace_strict(ids).cast(pl.Int64).alias("subject_id")
    vocabulary = pl.col("code_system").replace(VOCABULARIES)
    code = pl.concat_str(vocabulary, pl.lit("/"), pl.col("code")).alias("code")
    frames = []
    for table in EVENTS:
        measured = table == "lab_result"
        frames.append(
            lake.read(table).select(
                subject,
                pl.col("date").cast(pl.Datetime("us")).alias("time"),
                code,
                *(
                    pl.col(name).cast(kind) if measured else pl.lit(None, kind).alias(name)
                    for name, kind in (("value_number", pl.Float32), ("value_text", pl.String))
                ),
                pl.col("unit") if measured else pl.lit(None, pl.String).alias("unit"),
                pl.col("encounter_id").cast(pl.Int64).alias("visit_id"),
            )
        )
    for column, prefix in (("sex", "Gender/"), ("race", "Race/"), ("ethnicity", "Ethnicity/")):
        stated = patients.filter(pl.col(column).is_not_null())
        frames.append(stated.select(subject, code=pl.lit(prefix) + pl.col(column)))
    born = patients.filter(pl.col("year_of_birth").is_not_null())
    frames.append(
        born.select(subject, code=pl.lit("MEDS_BIRTH"), time=pl.datetime("year_of_birth", 1, 1))
    )
    dead = patients.filter(pl.col("death_date").is_not_null())
    frames.append(
        dead.select(
            subject, code=pl.lit("MEDS_DEATH"), time=pl.col("death_date").cast(pl.Datetime("us"))
        )
    )
    names = {"value_number": "numeric_value", "value_text": "text_value"}
    events = pl.concat(frames, how="diagonal").rename(names).sort("subject_id", "time")
    for number in (0, 1):
        shard = events.filter(pl.col("subject_id") % 2 == number)
        path = folder / "data" / "train" / f"{number}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        shard.select(*DATA_SCHEMA).write_parquet(path)
    described = lake.read("terminology").select(code, "description")
    write_codes(folder, [(name, text, []) for name, text in described.unique().rows()])
    return ids


def test_a_site_reads_alike_in_its_own_layout_and_as_meds(tmp_path: Path) -> None:
    own = Lake(tmp_path / "own")
    load(study_of({"format": "synthetic", "patients": 60}), own, "patient", *EVENTS, "terminology")
    ids = as_meds(own, tmp_path / "meds")
    study, lake = meds_study(tmp_path / "meds"), Lake(tmp_path / "lake")
    load(study, lake, "patient", *EVENTS, "terminology")
    for table in ("patient", *EVENTS):
        expected = (
            own.read(table)
            .drop("source_row")
            .with_columns(pl.col("patient_id").replace_strict(ids))
        )
        found = lake.read(table).drop("source_row").select(expected.columns)
        if table == "lab_result":
            expected, found = (
                frame.with_columns(pl.col("value_number").cast(pl.Float32))
                for frame in (expected, found)
            )
        assert found.sort(pl.all()).equals(expected.sort(pl.all())), table
        assert check_table(lake.path(table), table).passed
    assert set(lake.read("terminology").rows()) <= set(own.read("terminology").rows())


@pytest.mark.slow
def test_cohort_and_features_are_those_of_the_sites_own_layout(tmp_path: Path) -> None:
    source = {"format": "synthetic", "patients": 120, "dirty_share": 0.0}
    demo = load_study("demo")
    study = demo.model_copy(update={"source": SyntheticSource.model_validate(source)})
    own, lake = Lake(tmp_path / "own"), Lake(tmp_path / "lake")
    tables_of(study, own)
    ids = as_meds(own, tmp_path / "meds")
    rxnorm = own.folder("source") / "site" / "rxnorm"
    meds = MedsSource(format="meds", folder=tmp_path / "meds", rxnorm=rxnorm)
    tables_of(study.model_copy(update={"source": meds}), lake)
    for table, window in (
        *(("index_events", None), ("int_event_counts", None), ("code_description", None)),
        *(("cohort", study.windows[0]), ("attrition", study.windows[0])),
    ):
        expected, found = (place.read(table, window) for place in (own, lake))
        if "patient_id" in expected.columns:
            expected = expected.with_columns(pl.col("patient_id").replace_strict(ids))
        assert found.sort(pl.all()).equals(expected.sort(pl.all())), table
        assert found.height


def tables_of(study: Study, lake: Lake) -> None:
    load(study, lake, *RAW_TABLES)
    ingest_rxnorm(study, lake)
    write_vocabulary(study, lake)
    assert_no_failed_tests(run_all(study, lake))


def test_a_code_means_what_the_first_rule_says() -> None:
    own = MedsCodeRule(pattern="ICD10CM/Z(?P<code>.+)", kind="procedure", code_system="LOCAL")
    rules = (own, *PACKAGED_RULES)
    assert meaning_of("ICD10CM/Z01", (), rules) == Meaning("procedure", "LOCAL", "01")
    assert meaning_of("ICD10CM/I10", (), rules) == Meaning("diagnosis", "ICD-10-CM", "I10")
    assert meaning_of("HCPCS/A4253", (), rules) == Meaning("procedure", "HCPCS", "A4253")
    # Codes of other vocabularies only begin alike.
    assert meaning_of("ICD10CM-local/I10", (), rules) is None
    assert meaning_of("X//1", ("Y/1", "RxNorm/1191"), rules) == Meaning(
        "medication", "RxNorm", "1191"
    )


@pytest.mark.parametrize(
    "rule",
    [
        {"pattern": "ICD/(", "kind": "diagnosis", "code_system": "ICD-10-CM"},
        {"pattern": "ICD/.*", "kind": "diagnosis", "code_system": "ICD-10-CM"},
        {"pattern": "ICD/(?P<code>.*)", "kind": "diagnosis"},
    ],
)
def test_a_rule_that_says_too_little_is_refused(rule: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(ValidationError):
        meds_study(tmp_path, codes=[rule])


def test_what_is_no_dataset_is_explained(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"source\.folder"):
        ingest_table(meds_study(tmp_path), Lake(tmp_path / "lake"), "patient")
    folder = write_shard(tmp_path / "meds", [(1, "2014-01-01", "LOCAL/1")])
    with pytest.raises(SourceError, match="begin with LOCAL"):
        ingest_table(meds_study(folder), Lake(tmp_path / "lake"), "patient")
    pl.DataFrame({"patient_id": [1]}).write_parquet(folder / "data" / "train" / "0.parquet")
    with pytest.raises(SourceError, match="no column subject_id, time, code"):
        ingest_table(meds_study(folder), Lake(tmp_path / "lake"), "patient")


def test_tables_outside_the_standard_are_empty_and_shards_are_watched(
    small: Path, tmp_path: Path
) -> None:
    study, lake = meds_study(small), Lake(tmp_path / "lake")
    for table in set(RAW_TABLES) - {"patient", "terminology", *EVENTS}:
        assert ingest_table(study, lake, table).rows_read == 0
    before = source_fingerprint(study, lake, "diagnosis")
    write_shard(small, [(9, "2014-01-01", "ICD10CM/I10")], "held_out/0")
    assert source_fingerprint(study, lake, "diagnosis") != before
