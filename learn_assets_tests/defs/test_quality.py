"""Expectations of the data in a run: errors stop the cohort, warnings are shown, no value is."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import dagster as dg
import polars as pl
import pytest

from learn_assets.defs.stages import data_run
from learn_assets.quality.assessment import MEASURED_TABLES
from learn_assets.study.expectations import CATEGORIES
from learn_assets_tests.defs.made import (
    MadeStudy,
    failed_checks,
    materialized,
    tiny_study,
)

TABLES = ("data_quality", "index_events", "narratives")
# No site knows the sex of everybody here: two patients are planted without.
UNMET = {"threshold": 1.0}


def with_expectation(made: MadeStudy, **choice: Any) -> MadeStudy:
    study = tiny_study(quality={"expectations": {"patient.known_sex": choice}})
    return MadeStudy(study, made.home)


def checks_of(result: dg.ExecuteInProcessResult) -> dict[str, dg.AssetCheckEvaluation]:
    return {check.check_name: check for check in result.get_asset_check_evaluations()}


def test_an_error_blocks_what_is_made_from_the_data(copied: MadeStudy) -> None:
    strict = with_expectation(copied, **UNMET, severity="error")
    result = strict.run_job("data_tables", *TABLES)
    assert not result.success
    assert ("data_quality", "completeness") in failed_checks(result)
    # The lake of the study holds every table already, so only the check can stop the others.
    assert materialized(result) == {"data_quality"}
    check = checks_of(result)["completeness"]
    assert check.severity is dg.AssetCheckSeverity.ERROR
    assert check.metadata["patient.known_sex"].value == "all but <11, ≥ 100 %"
    with strict.active():
        assert not data_run(strict.study, strict.lake).current


def test_a_warning_is_shown_and_blocks_nothing(copied: MadeStudy) -> None:
    mild = with_expectation(copied, **UNMET, severity="warn")
    result = mild.run_job("data_tables", *TABLES)
    assert result.success
    assert ("data_quality", "completeness") in failed_checks(result)
    assert checks_of(result)["completeness"].severity is dg.AssetCheckSeverity.WARN
    assert materialized(result) >= set(TABLES)


def test_a_planted_fault_reaches_the_runner_by_name(copied: MadeStudy) -> None:
    strict = with_expectation(copied, severity="error")
    patient = strict.lake.read("patient")
    unknown = pl.when(pl.int_range(pl.len()) % 3 == 0).then(pl.lit("U")).otherwise("sex")
    strict.lake.write("patient", patient.with_columns(sex=unknown))
    result = strict.run_job("data_tables", *TABLES)
    assert not result.success
    assert materialized(result) == {"data_quality"}
    shown = strict.latest("data_quality")["failures"]
    assert "| error | patient.known_sex |" in shown


def test_the_verdict_is_a_check_a_category(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    keys = [key for key in graph.asset_check_keys if key.asset_key == dg.AssetKey("data_quality")]
    assert {key.name for key in keys} == {*CATEGORIES, "contract"}


@pytest.mark.parametrize("table", ["index_events", "exclusion_events", "narratives"])
def test_whatever_is_made_from_records_waits_for_the_verdict(
    definitions: dg.Definitions, table: str
) -> None:
    graph = definitions.resolve_asset_graph()
    assert dg.AssetKey("data_quality") in graph.get(dg.AssetKey(table)).parent_keys


def test_every_measured_table_is_upstream(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    parents = graph.get(dg.AssetKey("data_quality")).parent_keys
    assert {key.to_user_string() for key in parents} == set(MEASURED_TABLES)


@pytest.mark.slow
def test_loading_definitions_imports_no_heavy_library() -> None:
    code = (
        "import sys; import learn_assets.definitions, learn_assets.defs.quality;"
        "from learn_assets.study.file import load_study; load_study('demo');"
        "heavy = {'great_expectations', 'torch', 'transformers', 'xgboost', 'umap'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
