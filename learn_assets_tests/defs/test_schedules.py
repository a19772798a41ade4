"""Schedules: one run for each partition whose inputs changed, none when nothing did."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from learn_assets.defs.resources import LakeResource
from learn_assets.defs.stages import data_run
from learn_assets.lake import Lake
from learn_assets.provenance import record_verdict
from learn_assets.study import Study
from learn_assets_tests.defs.made import ENCODER, LONG, SHORT, MadeStudy, tiny_study
from learn_assets_tests.extracts import trinetx_study, write_extract

SCHEDULES = (
    "data_refresh",
    "cohort_refresh",
    "retraining",
    "sensitivity_refresh",
    "transfer_refresh",
    "results_refresh",
)
FIRST = datetime(2026, 3, 1, 6, tzinfo=UTC)
MODELS = {"learners": ["elastic_net"], "folds": 2}
NEW = {"LIS": 180, "BP": 0, "FUP": 730}


def tick(
    made: MadeStudy, definitions: dg.Definitions, schedule: str, time: datetime = FIRST
) -> list[dg.RunRequest] | str:
    """Return what a schedule asks for, or why it asks for nothing."""
    lake = LakeResource(study_name=made.study.name, home=str(made.home))
    with (
        made.active(),
        dg.instance_for_test() as instance,
        dg.build_schedule_context(
            instance=instance,
            scheduled_execution_time=time,
            resources={"lake": lake},
            repository_def=definitions.get_repository_def(),
        ) as context,
    ):
        data = definitions.resolve_schedule_def(schedule).evaluate_tick(context)
    return list(data.run_requests or []) or str(data.skip_message)


def changed(made: MadeStudy, **sections: object) -> tuple[MadeStudy, dg.Definitions]:
    """Return the same lake under a study with other sections."""
    study = tiny_study(**sections)
    other = MadeStudy(study, made.home)
    return other, other.definitions()


def partitions(requests: list[dg.RunRequest] | str) -> list[object]:
    assert not isinstance(requests, str), requests
    return [request.partition_key for request in requests]


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_nothing_changed_so_nothing_runs(
    made: MadeStudy, definitions: dg.Definitions, schedule: str
) -> None:
    reason = tick(made, definitions, schedule)
    assert isinstance(reason, str)
    assert "every partition was made from what is in the lake now" in reason


def test_all_stages_of_an_empty_lake_are_asked_for_one_by_one(
    definitions: dg.Definitions, made: MadeStudy, tmp_path: Path
) -> None:
    empty = MadeStudy(made.study, tmp_path / "empty")
    assert partitions(tick(empty, definitions, "data_refresh")) == [None]


def test_another_source_asks_for_the_data_tables_alone(made: MadeStudy) -> None:
    other, definitions = changed(made, source={"format": "synthetic", "patients": 161, "seed": 7})
    assert partitions(tick(other, definitions, "data_refresh")) == [None]
    assert isinstance(tick(other, definitions, "cohort_refresh"), str)
    assert isinstance(tick(other, definitions, "retraining"), str)


def test_a_new_window_asks_for_that_window_alone(copied: MadeStudy) -> None:
    other, definitions = changed(copied, windows=[LONG, SHORT, NEW])
    new = other.study.windows[2].key
    assert isinstance(tick(other, definitions, "data_refresh"), str)
    assert partitions(tick(other, definitions, "cohort_refresh")) == [new]
    assert partitions(tick(other, definitions, "retraining")) == [f"{ENCODER}|{new}"]


def test_changed_counts_ask_for_every_window(made: MadeStudy) -> None:
    other, definitions = changed(made, counts={"look_back_days": [365]})
    keys = [window.key for window in other.study.windows]
    assert partitions(tick(other, definitions, "cohort_refresh")) == keys


def test_a_changed_cohort_asks_for_its_window_and_cell_alone(
    copied: MadeStudy, definitions: dg.Definitions
) -> None:
    window = copied.study.windows[1]
    cohort = copied.lake.read("cohort", window)
    copied.lake.write("cohort", cohort[1:], window=window)
    assert isinstance(tick(copied, definitions, "data_refresh"), str)
    assert partitions(tick(copied, definitions, "cohort_refresh")) == [window.key]
    requests = tick(copied, definitions, "retraining")
    assert partitions(requests) == [f"{ENCODER}|{window.key}"]
    assert isinstance(requests[0], dg.RunRequest)
    assert isinstance(requests[0].partition_key, dg.MultiPartitionKey)


def test_changed_models_ask_for_every_cell(made: MadeStudy) -> None:
    other, definitions = changed(made, models={**MODELS, "seed": 9})
    keys = [f"{ENCODER}|{window.key}" for window in other.study.windows]
    assert isinstance(tick(other, definitions, "cohort_refresh"), str)
    assert partitions(tick(other, definitions, "retraining")) == keys


def test_a_retrained_cell_has_its_sensitivity_and_then_the_results_made_again(
    copied: MadeStudy, definitions: dg.Definitions
) -> None:
    window = copied.study.windows[1]
    key = f"{ENCODER}|{window.key}"
    judged = copied.lake.read("cross_validation", window, ENCODER)
    copied.lake.write("cross_validation", judged[1:], window=window, encoder=ENCODER)
    # The cell itself is out of date now, so nothing may be asked of its models.
    assert isinstance(tick(copied, definitions, "sensitivity_refresh"), str)
    other, changed_models = changed(copied, models={**MODELS, "seed": 9})
    waits = tick(other, changed_models, "sensitivity_refresh")
    assert isinstance(waits, str)
    assert "risk_models of the same partitions is out of date" in waits
    assert other.run_job("risk_models", window=1, definitions=changed_models).success
    requests = tick(other, changed_models, "sensitivity_refresh")
    assert partitions(requests) == [key]
    assert isinstance(requests[0], dg.RunRequest)
    assert isinstance(requests[0].partition_key, dg.MultiPartitionKey)
    assert partitions(tick(other, changed_models, "results_refresh")) == [None]


def test_another_question_alone_asks_for_sensitivity_and_report(made: MadeStudy) -> None:
    other, definitions = changed(made, sensitivity={"analyses": []})
    keys = [f"{ENCODER}|{window.key}" for window in other.study.windows]
    assert isinstance(tick(other, definitions, "retraining"), str)
    assert partitions(tick(other, definitions, "sensitivity_refresh")) == keys
    assert partitions(tick(other, definitions, "results_refresh")) == [None]


def test_a_table_that_failed_its_check_keeps_sensitivity_waiting(
    copied: MadeStudy,
) -> None:
    other, definitions = changed(copied, sensitivity={"analyses": []})
    stamp = copied.lake.stamp("outcome_confirmation")
    assert stamp is not None
    record_verdict(copied.lake, "outcome_confirmation", stamp.fingerprint, passed=False)
    reason = tick(other, definitions, "sensitivity_refresh")
    assert isinstance(reason, str)
    assert "checks failed on outcome_confirmation" in reason


@pytest.mark.parametrize("lost", ["study_report.html", "study.json"])
def test_a_report_that_lost_a_file_or_was_edited_is_made_again(
    copied: MadeStudy, definitions: dg.Definitions, lost: str
) -> None:
    file = copied.lake.folder("report") / lost
    with file.open("a", encoding="utf-8") as stream:
        stream.write(" ")
    assert partitions(tick(copied, definitions, "results_refresh")) == [None]
    file.unlink()
    assert partitions(tick(copied, definitions, "results_refresh")) == [None]


def test_run_keys_repeat_within_a_month_and_follow_the_inputs(
    copied: MadeStudy, definitions: dg.Definitions
) -> None:
    def keys(month: int) -> list[str | None]:
        shutil.rmtree(copied.lake.folder("provenance"))
        requests = tick(copied, definitions, "retraining", FIRST.replace(month=month))
        assert not isinstance(requests, str)
        return [request.run_key for request in requests]

    march = keys(3)
    assert len(set(march)) == len(copied.study.windows)
    assert keys(3) == march
    assert not set(keys(4)) & set(march)
    window = copied.study.windows[0]
    copied.lake.write("cohort", copied.lake.read("cohort", window)[1:], window=window)
    assert [now == before for now, before in zip(keys(3), march, strict=True)] == [False, True]


def test_a_source_file_that_changes_makes_the_data_tables_stale(tmp_path: Path) -> None:
    folder = write_extract(tmp_path / "extract")
    study: Study = trinetx_study(folder)
    lake = Lake(tmp_path / "lake")
    before = data_run(study, lake)
    assert data_run(study, lake) == before
    with (folder / "diagnosis.csv").open("a", encoding="utf-8") as file:
        file.write("001,e9,ICD-10-CM,I10,20150101\n")
    assert data_run(study, lake).inputs != before.inputs
