"""What the UI shows before anything has run: what every asset is, whose, and how it looks."""

from __future__ import annotations

import dagster as dg
import pytest

from learn_assets.definitions import build_definitions
from learn_assets.defs.jobs import EMBEDDINGS
from learn_assets.defs.metadata import COLUMN_SCHEMA
from learn_assets.defs.partitions import partitions_of
from learn_assets.defs.resources import LakeResource
from learn_assets.lake import Lake
from learn_assets.schemas.registry import ASSETS, TABLES, empty_frame
from learn_assets.study.file import load_study
from learn_assets_tests.defs.made import MadeStudy

# What is not one table: four files of a release, models, a page.
NOT_A_TABLE = {"rxnorm_release", "trained_models", "champion", "model_bundle", "study_report"}


def test_every_asset_has_owner_group_kinds_and_description(definitions: dg.Definitions) -> None:
    for spec in definitions.resolve_all_asset_specs():
        shown = (spec.owners, spec.group_name, spec.kinds, spec.description)
        assert all(shown), spec.key
        assert spec.group_name != "default", spec.key


def test_every_table_has_a_column_schema(definitions: dg.Definitions) -> None:
    for spec in definitions.resolve_all_asset_specs():
        name = spec.key.to_user_string()
        if name in NOT_A_TABLE:
            continue
        schema = spec.metadata[COLUMN_SCHEMA]
        assert schema.columns, name
        if name in TABLES:
            assert all(column.description for column in schema.columns), name


def test_every_check_blocks(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    assert len(graph.asset_check_keys) > len(TABLES)
    assert [key for key in graph.asset_check_keys if not graph.get_check_spec(key).blocking] == []


def test_every_table_with_a_contract_is_checked(definitions: dg.Definitions) -> None:
    checks = definitions.resolve_asset_graph().asset_check_keys
    checked = {key.asset_key.to_user_string() for key in checks if key.name == "contract"}
    assert checked == {*TABLES, "patient_embeddings"}


@pytest.mark.parametrize("packaged", ["demo", "subtypes_demo"])
def test_every_asset_is_declared_and_made_by_its_stage_alone(packaged: str) -> None:
    study = load_study(packaged)
    found = build_definitions(study)
    graph = found.resolve_asset_graph()
    # The job `embeddings` makes a part of a stage.
    stages = {job.name for job in found.jobs or ()} - {EMBEDDINGS}
    made = {
        (key.to_user_string(), stage)
        for stage in stages
        for key in found.resolve_job_def(stage).asset_layer.executable_asset_keys
    }
    declared = {asset: row.stage for asset, row in ASSETS.items() if row.stage in stages}
    assert {key.to_user_string() for key in graph.get_all_asset_keys()} == declared.keys()
    assert made == set(declared.items())
    for asset in declared:
        assert graph.get(dg.AssetKey(asset)).partitions_def == partitions_of(study, asset), asset


@pytest.mark.parametrize("packaged", ["demo", "subtypes_demo"])
def test_every_table_has_the_columns_and_the_check_of_its_contract(packaged: str) -> None:
    found = build_definitions(load_study(packaged))
    graph = found.resolve_asset_graph()
    specs = {spec.key.to_user_string(): spec for spec in found.resolve_all_asset_specs()}
    contracts = {table for table in specs if ASSETS[table].contract is not None}
    for table in contracts:
        columns = {column.name for column in specs[table].metadata[COLUMN_SCHEMA].columns}
        assert columns == set(empty_frame(table).columns), table
    checked = {key.asset_key.to_user_string() for key in graph.asset_check_keys}
    assert contracts - checked == {table for table in specs if table.endswith("_quarantine")}


def test_nothing_is_read_that_no_asset_makes(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    assert graph.external_asset_keys == set()


@pytest.mark.parametrize(
    ("upstream", "downstream"),
    [
        ("raw_diagnosis", "diagnosis"),
        ("rxnorm_release", "ndc_to_rxnorm"),
        ("code_list", "index_events"),
        ("narratives", "patient_embeddings"),
        ("cohort", "patient_embeddings"),
        ("patient_embeddings", "cross_validation"),
        ("trained_models", "risk_scores"),
        ("performance", "study_report"),
        ("outcome_confirmation", "temporal_validation"),
        ("raw_care_site", "site_holdout"),
        ("site_holdout", "study_report"),
        ("nested_selection", "window_leaderboard"),
        ("nested_selection", "encoder_leaderboard"),
    ],
)
def test_lineage_leads_from_raw_files_to_the_page(
    definitions: dg.Definitions, upstream: str, downstream: str
) -> None:
    graph = definitions.resolve_asset_graph()
    above = graph.get_ancestor_asset_keys(dg.AssetKey(downstream))
    assert dg.AssetKey(upstream) in above


def test_one_partition_a_window_and_one_a_cell(
    made: MadeStudy, definitions: dg.Definitions
) -> None:
    graph = definitions.resolve_asset_graph()
    windows = [window.key for window in made.study.windows]
    cohort = graph.get(dg.AssetKey("cohort")).partitions_def
    cells = graph.get(dg.AssetKey("risk_scores")).partitions_def
    assert cohort is not None
    assert cells is not None
    assert cohort.get_partition_keys() == windows
    assert len(cells.get_partition_keys()) == len(windows) * len(made.study.encoders)


def test_what_starts_runs_by_itself_is_off_until_somebody_starts_it(
    definitions: dg.Definitions,
) -> None:
    sensor = definitions.resolve_sensor_def("embedding_gpu_sensor")
    assert sensor.default_status is dg.DefaultSensorStatus.STOPPED
    job = definitions.resolve_job_def(str(sensor.job_name))
    steps = {node.name for node in job.nodes}
    assert steps == {"patient_embeddings", "patient_embeddings_contract"}


class FixedLake(LakeResource):
    """A lake in another place than LEARN_HOME."""

    def open(self) -> Lake:
        from pathlib import Path

        return Lake(Path(self.home))


@pytest.mark.parametrize("packaged", ["demo", "subtypes_demo"])
def test_every_stage_has_a_schedule_that_is_off_and_looks_after_the_one_before(
    packaged: str,
) -> None:
    found = build_definitions(load_study(packaged))
    schedules = [found.resolve_schedule_def(schedule.name) for schedule in found.schedules or ()]
    assert {schedule.job_name for schedule in schedules} == {
        job.name for job in found.jobs or () if job.name != "embeddings"
    }
    for schedule in schedules:
        assert schedule.default_status is dg.DefaultScheduleStatus.STOPPED
    hours = [int(str(schedule.cron_schedule).split()[1]) for schedule in schedules]
    assert hours == sorted(hours)


def test_resource_overrides_replace_the_lake(made: MadeStudy) -> None:
    elsewhere = FixedLake(study_name="tiny", home=str(made.lake.root))
    overridden = build_definitions(made.study, {"lake": elsewhere})
    assert overridden.resources is not None
    assert overridden.resources["lake"] is elsewhere
    result = overridden.resolve_job_def("results").execute_in_process()
    pages = [
        event.materialization.metadata["page"].value
        for event in result.get_asset_materialization_events()
        if "page" in event.materialization.metadata
    ]
    assert pages == [str(made.lake.root / "report" / "study_report.html")]
