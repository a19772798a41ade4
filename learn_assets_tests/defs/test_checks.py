"""Checks on real tables: a bad value fails its contract and nothing is made from the table."""

from __future__ import annotations

from typing import Any

import dagster as dg
import polars as pl
import pytest

from learn_assets.validation.contracts import check_table
from learn_assets_tests.defs.made import (
    MadeStudy,
    failed_checks,
    materialized,
    statuses,
    tiny_study,
)

SECRET = "Wxyzzy7"


def check_metadata(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    failed = [check for check in result.get_asset_check_evaluations() if not check.passed]
    assert len(failed) == 1
    return {name: entry.value for name, entry in failed[0].metadata.items()}


@pytest.mark.parametrize(
    ("table", "columns"),
    [
        ("cohort", {"sex": SECRET}),
        ("cohort", {"label": 7}),
        ("attrition", {"remaining": -1}),
        ("attrition", {"name": None}),
    ],
)
def test_a_bad_value_in_a_table_fails_its_contract(
    copied: MadeStudy, table: str, columns: dict[str, Any]
) -> None:
    window = copied.study.windows[0]
    path = copied.lake.path(table, window)
    assert check_table(path, table).passed
    frame = pl.read_parquet(path)
    bad = frame[:1].with_columns(
        pl.lit(value, dtype=frame.schema[name]).alias(name) for name, value in columns.items()
    )
    pl.concat([bad, frame[1:]]).write_parquet(path)
    outcome = check_table(path, table)
    assert not outcome.passed
    assert {failure.column for failure in outcome.failures} == set(columns)
    assert SECRET not in repr(outcome)


def test_a_bad_value_blocks_what_is_made_from_the_table(copied: MadeStudy) -> None:
    spoiled = copied.spoiling("patient", sex=SECRET)
    # The lake of a study holds every table already, so only the check can stop these.
    assets = ("patient", "patient_quarantine", "index_events", "narratives")
    result = copied.run_job("data_tables", *assets, definitions=spoiled)
    assert not result.success
    assert failed_checks(result) == {("patient", "contract")}
    assert materialized(result) == {"patient", "patient_quarantine"}
    assert list(check_metadata(result).values()) == ["<11"]


def test_a_bad_vector_blocks_the_models(copied: MadeStudy) -> None:
    spoiled = copied.spoiling("patient_embeddings", 0, kind="unheard_of")
    result = copied.run_job("risk_models", window=0, definitions=spoiled)
    assert not result.success
    assert failed_checks(result) == {("patient_embeddings", "contract")}
    assert materialized(result) == {"patient_embeddings"}


def test_too_few_described_records_stop_the_narratives(copied: MadeStudy) -> None:
    strict = copied.copy(
        copied.home.parent / "strict", tiny_study(vocabulary={"minimum_coverage": 1.0})
    )
    result = strict.run_job("data_tables", "code_description", "description_coverage", "narratives")
    assert not result.success
    assert failed_checks(result) == {("code_description", "coverage")}
    assert "narratives" not in materialized(result)
    shares = check_metadata(result)
    assert set(shares) == {"diagnosis", "procedure", "medication"}
    assert shares["procedure"] != shares["diagnosis"]


@pytest.mark.slow
def test_a_failed_window_blocks_its_cell_alone(copied: MadeStudy) -> None:
    study = tiny_study(counts={"look_back_days": [365]})
    other = MadeStudy(study, copied.home)
    outcomes = other.materialize(other.spoiling("cohort", 1, sex=SECRET))
    assert statuses(outcomes) == {
        "data_tables": "made",
        other.window_label(0): "made",
        other.window_label(1): "failed",
        other.cell_label(0): "made",
        other.cell_label(1): "blocked",
        other.sensitivity_label(0): "made",
        other.sensitivity_label(1): "blocked",
        "results": "made",
    }
    assert SECRET not in "".join(outcome.reason for outcome in outcomes.values())
    again = statuses(other.materialize())
    assert again[other.window_label(0)] == "current"
    assert again[other.window_label(1)] == "made"
    assert again[other.cell_label(1)] == "made"
