"""The runner: only what is out of date runs, and what fails leaves the rest alone."""

from __future__ import annotations

import json
from pathlib import Path

import dagster as dg
import pytest

from learn_assets.schemas import registry
from learn_assets_tests.defs.made import (
    DATA,
    ENCODER,
    LONG,
    RESULTS,
    SHORT,
    MadeStudy,
    materialized,
    statuses,
    table_stamps,
    tiny_study,
)

NEW = {"LIS": 180, "BP": 0, "FUP": 730}
IMPOSSIBLE = {"LIS": 30_000, "BP": 0, "FUP": 365}
MODEL_FOLDERS = {"trained_models", "champion", "model_bundle"}
CELL_ASSETS = registry.made_in(registry.RISK_MODELS)
CELL_TABLES = tuple(asset for asset in CELL_ASSETS if asset not in MODEL_FOLDERS)
MADE_FROM_MODELS = {
    *CELL_ASSETS,
    *registry.made_in(registry.SENSITIVITY),
    *registry.made_in(registry.RESULTS),
}


def test_a_fresh_study_makes_everything(made: MadeStudy) -> None:
    assert {outcome.run.label: outcome.status for outcome in made.outcomes} == dict.fromkeys(
        (
            DATA,
            *(made.window_label(number) for number in range(2)),
            *(made.cell_label(number) for number in range(2)),
            *(made.sensitivity_label(number) for number in range(2)),
            RESULTS,
        ),
        "made",
    )


def test_a_second_window_embeds_nothing_again(made: MadeStudy) -> None:
    first = made.latest("patient_embeddings", made.cell_key(0))
    second = made.latest("patient_embeddings", made.cell_key(1))
    assert first["chunks_embedded"] == first["chunks"]
    lake, (one, two) = made.lake, made.study.windows
    embedded = [lake.read("patient_embeddings", window, ENCODER) for window in (one, two)]
    newcomers = embedded[1].join(embedded[0], on=["patient_id", "kind"], how="anti")
    assert newcomers.is_empty()
    assert (first["windows_prepared"], second["windows_prepared"]) == (2, 1)
    assert second["chunks_embedded"] == 0
    assert second["chunks_reused"] == second["chunks"]


def test_a_second_run_does_nothing(copied: MadeStudy, definitions: dg.Definitions) -> None:
    before = table_stamps(copied.lake)
    outcomes = statuses(copied.materialize(definitions))
    assert set(outcomes.values()) == {"current"}
    assert table_stamps(copied.lake) == before


@pytest.mark.slow
def test_another_seed_of_the_models_remakes_the_cells_alone(copied: MadeStudy) -> None:
    models = {"learners": ["elastic_net"], "folds": 2, "seed": 9}
    other = MadeStudy(tiny_study(models=models), copied.home)
    before = table_stamps(copied.lake)
    outcomes = statuses(other.materialize())
    made = {label for label, status in outcomes.items() if status == "made"}
    cells = {other.cell_label(number) for number in range(2)}
    assert made == {*cells, *(other.sensitivity_label(number) for number in range(2)), RESULTS}
    after = table_stamps(copied.lake)
    moved = {name for name in before if before[name] != after[name]}
    assert moved
    assert {Path(name).name.split(".")[0] for name in moved} <= MADE_FROM_MODELS
    assert other.latest("patient_embeddings", other.cell_key(0))["chunks_embedded"] == 0


@pytest.mark.slow
def test_a_failing_cell_leaves_the_others_untouched(copied: MadeStudy) -> None:
    models = {"learners": ["elastic_net"], "folds": 2, "seed": 9}
    other = MadeStudy(tiny_study(models=models), copied.home)
    spoiled = other.spoiling("patient_embeddings", 0, kind="unheard_of")
    outcomes = other.materialize(spoiled)
    assert statuses(outcomes) == {
        DATA: "current",
        other.window_label(0): "current",
        other.window_label(1): "current",
        other.cell_label(0): "failed",
        other.cell_label(1): "made",
        other.sensitivity_label(0): "blocked",
        other.sensitivity_label(1): "made",
        RESULTS: "made",
    }
    assert "contract" in outcomes[other.cell_label(0)].reason
    # What failed is tried again, and nothing else.
    again = statuses(other.materialize())
    assert [label for label, status in again.items() if status == "made"] == [
        other.cell_label(0),
        other.sensitivity_label(0),
        RESULTS,
    ]


@pytest.mark.slow
def test_a_window_added_later_runs_alone(copied: MadeStudy) -> None:
    other = MadeStudy(tiny_study(windows=[LONG, SHORT, NEW]), copied.home)
    before = table_stamps(copied.lake)
    outcomes = statuses(other.materialize())
    made = {label for label, status in outcomes.items() if status == "made"}
    assert made == {
        *(other.window_label(2), other.cell_label(2), other.sensitivity_label(2)),
        RESULTS,
    }
    after = table_stamps(copied.lake)
    # What compares all windows has one more; every other table is as it was.
    before = {name: stamp for name, stamp in before.items() if "leaderboard" not in name}
    assert {name: after[name] for name in before} == before
    assert other.latest("patient_embeddings", other.cell_key(2))["chunks_embedded"] == 0


@pytest.mark.slow
def test_nobody_in_a_window_is_a_result_and_no_failure(copied: MadeStudy) -> None:
    other = MadeStudy(tiny_study(windows=[LONG, IMPOSSIBLE]), copied.home)
    outcomes = statuses(other.materialize())
    assert outcomes[other.window_label(1)] == "made"
    assert outcomes[other.cell_label(1)] == "made"
    window, lake = other.study.windows[1], other.lake
    for table in ("cohort", "scoring_population", "event_counts", "latest_measurement"):
        assert lake.read(table, window).height == 0
        assert lake.read(table, window).columns == lake.read(table, other.study.windows[0]).columns
    for table in CELL_TABLES:
        assert lake.read(table, window, ENCODER).height == 0
    assert lake.read("attrition", window)["remaining"].to_list()[-1] == 0
    with other.instance() as instance:
        warnings = [
            entry.user_message
            for run in instance.get_runs()
            for entry in instance.all_logs(run.run_id)
            if entry.level == 30
        ]
    assert any(f"the cohort of {window.key} is empty" in text for text in warnings)
    assert any("nothing was modeled" in text for text in warnings)
    page = (lake.root / "report" / "study_report.html").read_text(encoding="utf-8")
    assert "LIS 30" in page


def test_a_job_runs_one_window(copied: MadeStudy, definitions: dg.Definitions) -> None:
    result = copied.run_job("cohort_tables", window=1, definitions=definitions)
    assert result.success
    with copied.active(), copied.instance() as instance:
        for table in ("cohort", "attrition", "event_counts"):
            keys = instance.get_materialized_partitions(dg.AssetKey(table))
            assert keys == {copied.study.windows[1].key}


def test_a_job_runs_one_cell(copied: MadeStudy, definitions: dg.Definitions) -> None:
    result = copied.run_job("risk_models", window=1, definitions=definitions)
    assert result.success
    assert set(CELL_ASSETS) == materialized(result)
    with copied.active(), copied.instance() as instance:
        keys = instance.get_materialized_partitions(dg.AssetKey("risk_scores"))
    assert keys == {copied.cell_key(1)}


def test_a_bundle_that_vanished_is_made_again(
    copied: MadeStudy, definitions: dg.Definitions
) -> None:
    window = copied.study.windows[0]
    bundle = copied.lake.folder("model_bundle", window, ENCODER) / "bundle" / "manifest.json"
    assert json.loads(bundle.read_text(encoding="utf-8"))
    bundle.unlink()
    outcomes = statuses(copied.materialize(definitions))
    assert outcomes[copied.cell_label(0)] == "made"
    assert outcomes[copied.cell_label(1)] == "current"
    assert bundle.exists()


@pytest.mark.slow
@pytest.mark.parametrize("table", ["diagnosis", "narratives"])
def test_a_lost_table_is_made_again(copied: MadeStudy, table: str) -> None:
    stamp = copied.lake.stamp(table)
    copied.lake.path(table).unlink()
    outcomes = statuses(copied.materialize())
    assert outcomes[DATA] == "made"
    assert copied.lake.stamp(table) == stamp
    # The table came back as it was, so nothing follows from it.
    assert outcomes[copied.cell_label(0)] == "current"
