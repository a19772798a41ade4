"""A subtypes study through Dagster: made once, then current, and stopped where its checks say."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from learn_assets.__main__ import main
from learn_assets.definitions import build_definitions
from learn_assets.defs import runner
from learn_assets.defs.metadata import COLUMN_SCHEMA
from learn_assets.defs.runner import StageOutcome, materialize_study
from learn_assets.defs.subtypes_stages import data_runs
from learn_assets.lake import Lake
from learn_assets.study.subtypes import SubtypeStudy
from learn_assets_tests.study.test_subtypes import GOOD

DATA = "subtypes_data"
LATER_JOBS = ("language_models", "subtype_clusters", "subtype_results")


def _study(**sections: object) -> SubtypeStudy:
    return SubtypeStudy.model_validate(
        {
            "question": "subtypes",
            "name": "small_subtypes",
            "title": "Small subtypes study",
            "synthetic": True,
            "source": {"format": "synthetic", "admissions": 300, "dirty_share": 0.05},
            **sections,
        }
    )


@pytest.fixture
def _data_stage_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "SUBTYPE_STAGES", (data_runs,))


def _materialize(study: SubtypeStudy) -> StageOutcome:
    lake = Lake.open(study.name, study.lake.home)
    outcomes = materialize_study(study, lake, build_definitions(study), report=lambda _: None)
    return next(outcome for outcome in outcomes if outcome.run.job == DATA)


def _asked_for(schedule: str) -> list[object] | str:
    """Return the partitions that a schedule asks for, or why it asks for none."""
    definitions = build_definitions(_study())
    with (
        dg.instance_for_test() as instance,
        dg.build_schedule_context(
            instance=instance,
            scheduled_execution_time=datetime(2026, 3, 1, 6, tzinfo=UTC),
            resources=definitions.resources,
            repository_def=definitions.get_repository_def(),
        ) as context,
    ):
        data = definitions.resolve_schedule_def(schedule).evaluate_tick(context)
    return [run.partition_key for run in data.run_requests or []] or str(data.skip_message)


@pytest.mark.usefixtures("_data_stage_only")
def test_data_are_made_once_and_again_when_a_rule_changes() -> None:
    assert _asked_for("data_refresh") == [None]
    assert _materialize(_study()).status == "made"
    assert _materialize(_study()).status == "current"
    assert (
        _asked_for("data_refresh")
        == "subtypes_data: every partition was made from what is in the lake now"
    )
    assert _asked_for("cluster_refresh") == ["F", "M"]
    lake = Lake.open("small_subtypes", Path())
    before = lake.read("discharges").height
    older = _study(pruning={"last_admission": "2018-12-31"})
    assert _materialize(older).status == "made"
    assert lake.read("discharges").height < before


@pytest.mark.usefixtures("_data_stage_only")
def test_too_few_descriptions_stop_the_tables() -> None:
    study = _study(descriptions={"minimum_coverage": 1.0})
    outcome = _materialize(study)
    lake = Lake.open(study.name, study.lake.home)
    assert (outcome.status, "coverage" in outcome.reason) == ("failed", True)
    assert lake.stamp("diagnosis_description") is not None
    assert lake.stamp("discharge_tables") is None
    # A second try does not take what the check refused for finished.
    assert _materialize(study).status == "failed"


def test_every_asset_says_what_it_is_and_every_table_is_checked() -> None:
    definitions = build_definitions(_study())
    graph = definitions.resolve_asset_graph()
    checked = {key.asset_key for key in graph.asset_check_keys if key.name == "contract"}
    jobs = [definitions.resolve_job_def(name) for name in (DATA, *LATER_JOBS)]
    made = [key for job in jobs for key in job.asset_layer.executable_asset_keys]
    assert set(made) == checked
    assert len(made) == len(set(made))
    for spec in definitions.resolve_all_asset_specs():
        assert all((spec.owners, spec.kinds, spec.description)), spec.key
        assert spec.group_name == "subtypes"
        columns = spec.metadata[COLUMN_SCHEMA].columns
        assert all(column.description for column in columns), spec.key


def test_commands_work_for_a_subtypes_study(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "trial.yaml"
    file.write_text(
        GOOD.replace("{format: rae_cmbd, files: [downloads/a.csv]}", "{format: synthetic}")
        + "synthetic: true\n",
        encoding="utf-8",
    )
    assert main(["check", "--study", str(file)]) == 0
    assert "subtypes of synthetic discharges" in capsys.readouterr().out
    assert main(["show", "--study", str(file)]) == 0
    assert "materialize --study trial" in capsys.readouterr().out


def test_a_file_that_is_not_there_is_one_line_on_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "trial.yaml"
    file.write_text(GOOD, encoding="utf-8")
    assert main(["materialize", "--study", str(file)]) == 2
    assert "a.csv does not exist" in capsys.readouterr().err
