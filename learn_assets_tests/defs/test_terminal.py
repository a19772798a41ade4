"""A failed step says what is wrong, by how much and what to do, without a traceback."""

from __future__ import annotations

import dagster as dg
import polars as pl
import pytest

from learn_assets.defs.resources import LakeResource
from learn_assets.defs.terminal import failure_paragraphs
from learn_assets.defs.vocabulary import asset_checks
from learn_assets_tests.defs.made import MadeStudy, tiny_study


def paragraphs(result: dg.ExecuteInProcessResult) -> list[str]:
    """Return what a person reads of a failed run; the last line says where the traceback is."""
    assert not result.success
    *found, log = failure_paragraphs(result).splitlines()
    assert result.run_id in log
    assert not any("Traceback" in line or "File " in line for line in found)
    return found


def test_shifted_dates_stop_the_run_with_one_sentence(copied: MadeStudy) -> None:
    raw = copied.lake.read("raw_diagnosis")
    copied.lake.write("raw_diagnosis", raw.with_columns(date=pl.lit("21890412")))
    result = copied.run_job("data_tables", "diagnosis", "diagnosis_quarantine")
    (said,) = paragraphs(result)
    assert said.startswith("validate_diagnosis")
    assert "shifted: per_patient" in said
    assert "de-identification" in said


def test_dates_after_the_end_of_the_extract_stop_the_run_with_the_reason(
    copied: MadeStudy,
) -> None:
    study = tiny_study(dates={"today": "2000-01-01"})
    stated = MadeStudy(study, copied.home)
    result = stated.run_job("data_tables", "diagnosis", "diagnosis_quarantine")
    (said,) = paragraphs(result)
    assert "diagnosis_quarantine" in said
    assert "future_date" in said
    assert "de-identification" in said


def test_a_broken_contract_names_column_rule_and_rows(copied: MadeStudy) -> None:
    spoiled = copied.spoiling("cohort", 0, label=7)
    (said,) = paragraphs(copied.run_job("cohort_tables", window=0, definitions=spoiled))
    assert said.startswith("cohort: the check `contract` failed.")
    assert "`label: " in said
    assert "<11 rows" in said


def test_too_few_descriptions_say_how_few_and_what_to_do(copied: MadeStudy) -> None:
    strict = MadeStudy(tiny_study(vocabulary={"minimum_coverage": 1.0}), copied.home)
    coverage = strict.lake.read("description_coverage")
    half = coverage.with_columns(described=pl.col("records") // 2)
    strict.lake.write("description_coverage", half)
    (check,) = asset_checks(strict.study)
    with strict.active():
        found = check(LakeResource(study_name=strict.study.name, home=str(strict.home)))
    assert isinstance(found, dg.AssetCheckResult)
    assert not found.passed
    said = str(found.description)
    assert "50.0 % of the diagnosis records" in said
    assert "100% are needed" in said
    assert "vocabulary.minimum_coverage" in said


def test_an_unmet_expectation_says_what_was_found(copied: MadeStudy) -> None:
    choice = {"patient.known_sex": {"threshold": 1.0, "severity": "error"}}
    strict = MadeStudy(tiny_study(quality={"expectations": choice}), copied.home)
    (said,) = paragraphs(strict.run_job("data_tables", "data_quality"))
    assert said.startswith("data_quality: the check `completeness` failed. `patient.known_sex`")
    assert "expected ≥ 100 %" in said
    assert "quality.expectations" in said


@pytest.mark.parametrize("table", ["index_events"])
def test_a_missing_table_is_named(copied: MadeStudy, table: str) -> None:
    copied.lake.path(table).unlink()
    said = paragraphs(copied.run_job("cohort_tables", window=0))
    assert any(table in line and "materialize" in line for line in said)
