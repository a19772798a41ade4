"""Planted leaks, end to end: each is stopped by a guard with a name, and no score is made.

That permuted labels give an area within its null interval, and that a scaler fitted on everyone is
found out, is shown on made-up tables in `modeling/test_cross_validation.py`.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from learn_assets import warehouse
from learn_assets.modeling import cross_validation as module
from learn_assets.modeling.cross_validation import cross_validate, stratified_folds
from learn_assets.modeling.lake_cell import load_cell
from learn_assets.modeling.protocol import ModelingProtocol
from learn_assets_tests.defs.made import (
    ENCODER,
    RESULTS,
    MadeStudy,
    failed_checks,
    materialized,
    statuses,
    tiny_study,
)
from learn_assets_tests.modeling.site import fit_preprocessing_on_everyone

HISTORY = "models/intermediate/features/int_history.sql"
OUTCOME_FEATURE = "diagnosis|ICD-10-CM|M32.10"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the dbt project that a test may spoil."""
    copy = tmp_path / "dbt_like_sql"
    shutil.copytree(warehouse.project_folder(), copy)
    monkeypatch.setattr(warehouse, "project_folder", lambda: copy)
    return copy


def spoil(project: Path, right: str, wrong: str) -> None:
    path = project / HISTORY
    text = path.read_text(encoding="utf-8")
    assert right in text
    path.write_text(text.replace(right, wrong), encoding="utf-8")


@pytest.mark.slow
def test_an_event_on_the_index_day_fails_the_checks_of_texts_and_counts(
    copied: MadeStudy, project: Path
) -> None:
    spoil(project, "record.date < index_event.index_date", "record.date <= index_event.index_date")
    result = copied.run_job("data_tables", "narratives", "concept_mentions", "int_event_counts")
    assert not result.success
    assert {
        ("narratives", "narratives_stop_before_index"),
        ("concept_mentions", "mentions_stop_before_index"),
    } <= failed_checks(result)
    assert "event_counts_stop_before_index" in {name for _, name in failed_checks(result)}


@pytest.mark.slow
def test_an_outcome_code_in_the_histories_fails_a_check_and_stops_the_study(
    copied: MadeStudy, project: Path
) -> None:
    spoil(project, "anti join (", "left join (")
    diagnosis = copied.lake.read("diagnosis")
    patients = copied.lake.read("cohort", copied.study.windows[0])
    early = patients.select(
        "patient_id",
        pl.col("index_date").dt.offset_by("-30d").alias("date"),
        pl.lit("ICD-10-CM").alias("code_system"),
        pl.lit("M32.10").alias("code"),
        pl.lit(None, pl.String).alias("encounter_id"),
        (pl.int_range(pl.len()) + 10_000_000).cast(pl.Int64).alias("source_row"),
    )
    copied.lake.write("diagnosis", pl.concat([diagnosis, early.select(diagnosis.columns)]))
    tables = ("int_recorded_codes", "int_listed_codes", "int_event_counts")
    plain = MadeStudy(tiny_study(counts={"roll_up_icd": False}), copied.home)
    result = plain.run_job("data_tables", *tables)
    assert not result.success
    assert "no_outcome_code_among_counts" in {name for _, name in failed_checks(result)}


def test_an_outcome_code_among_the_features_stops_the_cell(copied: MadeStudy) -> None:
    window = copied.study.windows[0]
    counts = copied.lake.read("event_counts", window)
    leak = counts[:1].with_columns(pl.lit(OUTCOME_FEATURE).alias("feature"))
    copied.lake.write("event_counts", pl.concat([counts, leak]), window=window)
    result = copied.run_job("risk_models", window=0)
    assert not result.success
    assert materialized(result) == {"patient_embeddings"}
    errors = [
        event.step_failure_data.error.to_string()
        for event in result.get_step_failure_events()
        if event.step_failure_data.error
    ]
    assert all("LeakError" in text for text in errors)


def test_a_patient_in_two_folds_stops_the_cell(
    copied: MadeStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = module._splits

    def overlapping(folds: np.ndarray) -> list[object]:
        first, second, *others = real(folds)
        held_out = np.append(second.held_out, first.held_out[0])
        training = np.setdiff1d(second.training, held_out)
        return [first, module._Split(second.fold, training, held_out), *others]

    monkeypatch.setattr(module, "_splits", overlapping)
    models = {"learners": ["elastic_net"], "folds": 3}
    other = MadeStudy(tiny_study(models=models), copied.home)
    result = other.run_job("risk_models", window=0)
    assert not result.success
    assert not {"cross_validation", "risk_scores", "performance"} & materialized(result)
    texts = [str(event.step_failure_data.error) for event in result.get_step_failure_events()]
    assert any("held out in more than one fold" in text for text in texts)


def held_out_patients_teach(made: MadeStudy) -> bool:
    """Return whether others of its fold, when changed, move a held-out patient's probability."""
    study = made.study
    protocol = ModelingProtocol.from_study(study)
    cell = load_cell(study, made.lake, study.windows[0], study.encoder(ENCODER))
    blocks = cell.blocks.rows(cell.labeled)
    folds = stratified_folds(blocks.patient_ids, cell.labels, protocol.folds, protocol.seed)
    probe, *others = np.flatnonzero(folds == 0)
    plain = cross_validate(blocks, cell.labels, protocol).frame
    for block in blocks.embeddings:
        block.vectors[others] *= 9
    blocks.demographics[others, 0] *= 50
    moved = cross_validate(blocks, cell.labels, protocol).frame
    mine = pl.col("patient_id") == str(blocks.patient_ids[probe])
    return not plain.filter(mine).equals(moved.filter(mine))


def test_held_out_patients_of_a_real_cell_teach_nothing(made: MadeStudy) -> None:
    assert not held_out_patients_teach(made)


def test_a_scaler_fitted_on_everything_is_found_out_in_a_real_cell(
    made: MadeStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit_preprocessing_on_everyone(monkeypatch)
    assert held_out_patients_teach(made)


@pytest.mark.slow
def test_a_leak_in_the_sql_lets_no_later_stage_run(copied: MadeStudy, project: Path) -> None:
    spoil(project, "record.date < index_event.index_date", "record.date <= index_event.index_date")
    outcomes = statuses(copied.materialize())
    # The changed project makes every table stale; the failing check ends the study there.
    assert outcomes == {"data_tables": "failed"}
    assert RESULTS not in outcomes
