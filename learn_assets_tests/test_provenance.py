"""What makes a stage out of date: every choice and every table it is made from, and no other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from learn_assets import provenance, warehouse
from learn_assets.lake import Lake
from learn_assets.study import Study
from learn_assets.warehouse import manifest_path, windowed_models
from learn_assets_tests.canonical import study_of

STUDY = study_of()
CHANGES: dict[str, dict[str, Any]] = {
    "look_back": {"counts": {"look_back_days": [30]}},
    "roll_up": {"counts": {"roll_up_icd": False}},
    "order": {"narratives": {"order": "chronological"}},
    "policy": {"cohort": {"policy": "published"}},
    "code_list": {
        "code_lists": {"index": [{"code_system": "HCPCS", "codes": ["IDY"], "match": "exact"}]}
    },
    "packaged_icd": {"vocabulary": {"packaged_icd": False}},
    "expectation": {"quality": {"expectations": {"patient.known_sex": {"threshold": 0.5}}}},
    "masking": {"privacy": {"minimum_cell": 20}},
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_choice_about_records_makes_the_unpartitioned_tables_again(change: str) -> None:
    changed = study_of(**CHANGES[change])
    assert provenance.data_inputs(changed, "files") != provenance.data_inputs(STUDY, "files")


@pytest.mark.parametrize(
    "changed",
    [study_of(counts={"minimum_patients": 99}), study_of(models={"folds": 3})],
    ids=["minimum_patients", "folds"],
)
def test_a_choice_about_models_leaves_the_tables_alone(changed: Study, lake: Lake) -> None:
    window, encoder = STUDY.windows[0], STUDY.encoders[0]
    assert provenance.data_inputs(changed, "files") == provenance.data_inputs(STUDY, "files")
    assert provenance.window_inputs(changed, lake, window) == provenance.window_inputs(
        STUDY, lake, window
    )
    assert provenance.cell_inputs(changed, lake, window, encoder) != provenance.cell_inputs(
        STUDY, lake, window, encoder
    )


@pytest.mark.parametrize(
    "changed",
    [study_of(models={"repeats": 3}), study_of(sensitivity={"analyses": []})],
    ids=["repeats", "analyses"],
)
def test_a_further_question_is_asked_without_new_models(changed: Study, lake: Lake) -> None:
    place = (lake, STUDY.windows[0], STUDY.encoders[0])
    assert provenance.cell_inputs(changed, *place) == provenance.cell_inputs(STUDY, *place)
    before = provenance.sensitivity_inputs(STUDY, *place)
    assert provenance.sensitivity_inputs(changed, *place) != before
    lake.write("outcome_confirmation", FRAME)
    assert provenance.sensitivity_inputs(STUDY, *place) != before
    assert provenance.cell_inputs(changed, *place) == provenance.cell_inputs(STUDY, *place)


def read_by_windows(lake: Lake) -> set[str]:
    """Return the tables that models of a window read and that are not of a window themselves."""
    manifest = json.loads(manifest_path(lake).read_text(encoding="utf-8"))
    nodes = {**manifest["nodes"], **manifest["sources"]}
    windowed = set(windowed_models(lake))
    queue = [
        parent
        for node in manifest["nodes"].values()
        if node["resource_type"] == "model" and node["name"] in windowed
        for parent in node["depends_on"]["nodes"]
    ]
    found = set()
    for unique_id in queue:
        node = nodes[unique_id]
        if node["config"].get("materialized") == "ephemeral":
            queue.extend(node["depends_on"]["nodes"])
        elif node["name"] not in windowed:
            found.add(node["name"])
    return found


def test_a_window_is_made_again_when_a_table_it_reads_has_changed(lake: Lake) -> None:
    window = STUDY.windows[0]
    tables = read_by_windows(lake)
    assert "int_event_counts" in tables
    for table in sorted(tables):
        before = provenance.window_inputs(STUDY, lake, window)
        lake.write(table, pl.DataFrame({"patient_id": [table]}))
        assert provenance.window_inputs(STUDY, lake, window) != before, table


def test_changed_sql_makes_tables_again(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tmp_path / "project"
    (project / "models").mkdir(parents=True)
    model = project / "models" / "one.sql"
    monkeypatch.setattr(warehouse, "project_folder", lambda: project)
    inputs = []
    for sql in ("select 1", "select 2"):
        model.write_text(sql, encoding="utf-8")
        window = provenance.window_inputs(STUDY, lake, STUDY.windows[0])
        inputs.append((provenance.data_inputs(STUDY, "files"), window))
    (data_before, window_before), (data_after, window_after) = inputs
    assert data_before != data_after
    assert window_before != window_after


FRAME = pl.DataFrame({"patient_id": ["a", "b"]})


def finished_step(lake: Lake) -> None:
    """Leave what a clean run of a step leaves: tables, a verdict on one of them, and the mark."""
    lake.write("diagnosis", FRAME)
    reads = provenance.fingerprints(lake, ["diagnosis"])
    stamp = lake.write("narratives", FRAME)
    lake.write("int_history", FRAME)
    provenance.mark(lake, "step", "inputs", reads=reads, writes=["narratives", "int_history"])
    provenance.record_verdict(lake, "narratives", stamp.fingerprint, passed=True)


def current(lake: Lake, inputs: str = "inputs") -> bool:
    return provenance.is_current(lake, ["step"], inputs)


def test_a_finished_step_is_current_until_its_inputs_change(lake: Lake) -> None:
    assert not current(lake)
    finished_step(lake)
    assert current(lake)
    assert not current(lake, "other inputs")


@pytest.mark.parametrize("table", ["diagnosis", "narratives", "int_history"])
def test_a_step_whose_table_was_deleted_or_replaced_is_out_of_date(lake: Lake, table: str) -> None:
    finished_step(lake)
    lake.write(table, FRAME.reverse())
    assert not current(lake)
    finished_step(lake)
    lake.path(table).unlink()
    assert not current(lake)


def test_the_same_content_written_again_leaves_a_step_current(lake: Lake) -> None:
    finished_step(lake)
    lake.write("diagnosis", FRAME)
    assert current(lake)


def test_a_table_that_failed_its_check_or_was_never_checked_is_not_finished(lake: Lake) -> None:
    finished_step(lake)
    stamp = lake.stamp("narratives")
    assert stamp is not None
    provenance.record_verdict(lake, "narratives", stamp.fingerprint, passed=False)
    assert not current(lake)
    provenance.record_verdict(lake, "narratives", "of other content", passed=True)
    assert not current(lake)


def test_a_table_replaced_while_its_reader_ran_leaves_the_reader_out_of_date(lake: Lake) -> None:
    lake.write("diagnosis", FRAME)
    reads = provenance.fingerprints(lake, ["diagnosis"])
    lake.write("diagnosis", FRAME.reverse())
    lake.write("int_history", FRAME)
    provenance.mark(lake, "step", "inputs", reads=reads, writes=["int_history"])
    assert not current(lake)


def test_a_cell_reads_its_own_table_then_its_windows_then_the_studys(lake: Lake) -> None:
    window, encoder = STUDY.windows[0], STUDY.encoders[0]
    own = lake.write("risk_scores", FRAME, window=window, encoder=encoder.id)
    windowed = lake.write("cohort", FRAME, window=window)
    shared = lake.write("narratives", FRAME.reverse())
    found = provenance.fingerprints(
        lake, ["risk_scores", "cohort", "narratives", "trained_models"], window, encoder
    )
    assert found == {
        "risk_scores": own.fingerprint,
        "cohort": windowed.fingerprint,
        "narratives": shared.fingerprint,
        "trained_models": "absent",
    }


def test_another_model_in_an_encoders_folder_makes_its_cells_again(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    window, encoder = STUDY.windows[0], STUDY.encoders[0]
    before = provenance.cell_inputs(STUDY, lake, window, encoder)
    monkeypatch.setattr(provenance, "encoder_revision", lambda _: "another")
    assert provenance.cell_inputs(STUDY, lake, window, encoder) != before
