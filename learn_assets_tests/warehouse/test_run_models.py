"""What runs the models: selection, errors, reports, promotion into the lake, determinism."""

from __future__ import annotations

import json
import shutil
import threading
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest

from learn_assets import warehouse
from learn_assets.lake import Lake, MissingTableError
from learn_assets.schemas.registry import TABLES as CONTRACTS
from learn_assets.study.windows import Window
from learn_assets.validation.contracts import check_table
from learn_assets.warehouse import (
    WarehouseError,
    manifest_path,
    model_names,
    project_folder,
    run_models,
    windowed_models,
)
from learn_assets.warehouse_variables import dbt_variables
from learn_assets_tests.canonical import (
    INDEX,
    Tables,
    assert_no_failed_tests,
    day,
    record,
    run_all,
    study_of,
)

WINDOWS = ({"LIS": 365, "BP": 90, "FUP": 1825}, {"LIS": 365, "BP": 90, "FUP": 300})
STUDY = study_of(windows=list(WINDOWS), counts={"look_back_days": [30]})


def busy_tables() -> Tables:
    """Return 40 patients with a few records of every kind around the index date."""
    patients = [f"{number:02d}" for number in range(40)]
    codes = ("I10", "E11.9", "J45.909", "M32.10")
    rows: dict[str, list[dict[str, Any]]] = {"diagnosis": [], "procedure": [], "lab_result": []}
    for number, patient in enumerate(patients):
        for step in range(12):
            offset = -900 + 150 * step + number
            code = codes[(number + step) % 3] if offset < 250 or number % 2 else codes[3]
            rows["diagnosis"].append(record(patient, offset, "ICD-10-CM", code))
            rows["lab_result"].append(
                record(patient, offset, "LOINC", "718-7", value_number=12.0 + step, unit="g/dL")
            )
        rows["procedure"].append(record(patient, 0, "HCPCS", "IDX"))
        rows["procedure"].append(record(patient, -40, "CPT", "99213"))
    people = [{"patient_id": p, "sex": "F", "year_of_birth": 1970} for p in patients]
    return Tables({**rows, "patient": people})


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    lake = Lake(tmp_path_factory.mktemp("busy") / "lake")
    busy_tables().write(lake, STUDY)
    assert_no_failed_tests(run_all(STUDY, lake))
    return lake


def all_stamps(lake: Lake) -> dict[str, str]:
    stamps: dict[str, str] = {}
    for name in model_names(lake):
        for window in STUDY.windows if name in windowed_models(lake) else (None,):
            stamp = lake.stamp(name, window)
            assert stamp is not None
            stamps[f"{name} {window.key if window else ''}"] = stamp.fingerprint
    return stamps


def test_variables_read_the_study_and_the_window_back() -> None:
    study = study_of(
        cohort={"exclusions": [{"name": "cancer", "code_list": "cancer", "distinct_days": 2}]},
        counts={"look_back_days": [365, 30, 365]},
    )
    variables = dbt_variables(study, Window.model_validate(WINDOWS[1]))
    assert variables["window_key"] == "LIS-365_BP-90_FUP-300"
    assert variables["follow_up_period"] == 300
    assert variables["look_back_days"] == [30, 365]
    assert variables["exclusions"] == [
        {"name": "cancer", "code_list": "cancer", "kinds": ["diagnosis"], "distinct_days": 2}
    ]
    assert json.loads(json.dumps(variables)) == variables


def test_an_exclusion_nobody_can_find_is_an_error() -> None:
    study = study_of(cohort={"mode": "supplied", "exclusions": [{"name": "pregnancy"}]})
    with pytest.raises(ValueError, match="pregnancy"):
        dbt_variables(study)


def test_every_contract_holds(lake: Lake) -> None:
    for name in set(model_names(lake)) & set(CONTRACTS):
        for window in STUDY.windows if name in windowed_models(lake) else (None,):
            assert check_table(lake.path(name, window), name).failures == ()


def test_every_model_and_column_is_described(lake: Lake) -> None:
    manifest = json.loads(manifest_path(lake).read_text(encoding="utf-8"))
    nodes = {n["name"]: n for n in manifest["nodes"].values() if n["resource_type"] == "model"}
    for name, node in nodes.items():
        assert node["description"], name
        assert all(column["description"] for column in node["columns"].values()), name
    for name in model_names(lake):
        window = STUDY.windows[0] if name in windowed_models(lake) else None
        columns = pl.read_parquet_schema(lake.path(name, window)).names()
        assert list(nodes[name]["columns"]) == columns, name
    tests = [n for n in manifest["nodes"].values() if n["resource_type"] == "test"]
    singular = [n for n in tests if "test_metadata" not in n]
    assert singular
    assert all(n["description"] for n in singular)


def test_a_second_run_gives_the_same_content(lake: Lake) -> None:
    before = all_stamps(lake)
    run_all(STUDY, lake)
    assert all_stamps(lake) == before


def test_windows_share_nothing(lake: Lake) -> None:
    long, short = (lake.read("cohort", window) for window in STUDY.windows)
    assert long.height == short.height
    assert long["label"].to_list() != short["label"].to_list()
    reasons = [lake.read("attrition", window)["reason"].to_list() for window in STUDY.windows]
    assert reasons[0] == reasons[1]


def test_the_report_says_rows_fingerprints_and_tests(lake: Lake) -> None:
    report = run_models(STUDY, lake, ["cohort", "attrition"], STUDY.windows[0])
    assert {model.table for model in report.models} == {"cohort", "attrition"}
    assert report.model("cohort").stamp == lake.stamp("cohort", STUDY.windows[0])
    assert {"attrition_adds_up", "labels_follow_the_window"} <= {t.name for t in report.tests}
    assert all(test.passed and test.failing_rows == 0 for test in report.tests)
    assert {test.table for test in report.tests} == {"cohort", "attrition"}
    with pytest.raises(KeyError):
        report.model("narratives")


def test_nothing_is_left_behind_and_nothing_is_printed(
    lake: Lake, capfd: pytest.CaptureFixture[str]
) -> None:
    run_models(STUDY, lake, ["cohort"], STUDY.windows[0])
    assert list(lake.folder("staging").iterdir()) == []
    out, error = capfd.readouterr()
    assert (out, error) == ("", "")
    assert not (project_folder() / "target").exists()
    assert not (project_folder() / "logs").exists()


def test_unknown_models_and_missing_windows_are_named(lake: Lake) -> None:
    with pytest.raises(ValueError, match=r"no model cohorts; there are .*'cohort'"):
        run_models(STUDY, lake, ["cohorts"])
    with pytest.raises(ValueError, match="cohort: one table a window"):
        run_models(STUDY, lake, ["cohort", "narratives"])


def test_a_missing_upstream_table_is_named_before_anything_runs(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "empty")
    with pytest.raises(MissingTableError, match="index_events"):
        run_models(STUDY, lake, ["cohort"], STUDY.windows[0])


def test_an_error_in_sql_hides_the_values_that_duckdb_quotes(lake: Lake, tmp_path: Path) -> None:
    broken = Lake(tmp_path / "broken")
    shutil.copytree(lake.root / "tables", broken.root / "tables")
    bad = broken.read("int_patient_span").with_columns(pl.lit("Secret7").alias("first_record_date"))
    broken.write("int_patient_span", bad)
    with pytest.raises(WarehouseError) as caught:
        run_models(STUDY, broken, ["index_events", "cohort"], STUDY.windows[0])
    assert "Secret7" not in str(caught.value)
    assert "cohort" in str(caught.value)


def test_a_failing_test_is_counted_and_stops_what_follows_in_the_run(
    lake: Lake, tmp_path: Path
) -> None:
    doubled = Lake(tmp_path / "doubled")
    shutil.copytree(lake.root / "tables", doubled.root / "tables")
    table = doubled.read("medication")
    row = ("a", INDEX, "CPT", "1", None, 7)
    rows = pl.DataFrame([row, row], schema=table.schema, orient="row")
    doubled.write("medication", rows)
    report = run_models(STUDY, doubled, ["normalized_medication"])
    failed = {test.name: test.failing_rows for test in report.failed_tests}
    assert failed == {"unique_normalized_medication_source_row": 1}
    assert report.failed_tests[0].table == "normalized_medication"


def test_runs_in_several_threads_do_not_disturb_each_other(lake: Lake) -> None:
    before = all_stamps(lake)
    errors: list[BaseException] = []

    def run(window: Window) -> None:
        try:
            run_models(STUDY, lake, windowed_models(lake), window)
        except (WarehouseError, OSError, ValueError) as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(window,)) for window in STUDY.windows]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert all_stamps(lake) == before


@pytest.fixture
def project_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the dbt project that a test may spoil."""
    copy = tmp_path / "dbt_like_sql"
    shutil.copytree(project_folder(), copy)
    monkeypatch.setattr(warehouse, "project_folder", lambda: copy)
    return copy


def spoil(project: Path, file: str, right: str, wrong: str) -> None:
    path = project / file
    text = path.read_text(encoding="utf-8")
    assert right in text
    path.write_text(text.replace(right, wrong), encoding="utf-8")


@pytest.mark.slow
def test_a_record_of_the_index_day_in_the_features_fails_named_tests(
    lake: Lake, project_copy: Path, tmp_path: Path
) -> None:
    leaky = Lake(tmp_path / "leaky")
    shutil.copytree(lake.root / "tables", leaky.root / "tables")
    spoil(
        project_copy,
        "models/intermediate/features/int_history.sql",
        "where record.date < index_event.index_date",
        "where record.date <= index_event.index_date",
    )
    study = study_of(
        windows=list(WINDOWS), narratives={"order": "chronological", "dates": "absolute"}
    )
    models = ["narratives", "int_event_counts"]
    failed = {test.name for test in run_models(study, leaky, models).failed_tests}
    assert failed == {
        "narratives_stop_before_index",
        "narrative_dates_before_index",
        "event_counts_stop_before_index",
    }


@pytest.mark.slow
def test_outcome_codes_among_the_features_fail_a_named_test(
    lake: Lake, project_copy: Path, tmp_path: Path
) -> None:
    leaky = Lake(tmp_path / "leaky")
    shutil.copytree(lake.root / "tables", leaky.root / "tables")
    diagnosis = leaky.read("diagnosis")
    row = ("00", day(-3), "ICD-10-CM", "M32.9", None, diagnosis.height + 1)
    leaky.write("diagnosis", diagnosis.vstack(pl.DataFrame([row], diagnosis.schema, orient="row")))
    spoil(
        project_copy, "models/intermediate/features/int_history.sql", "anti join (", "left join ("
    )
    models = ["int_recorded_codes", "int_medication_code", "int_listed_codes", "int_event_counts"]
    study = study_of(counts={"roll_up_icd": False})
    failed = {test.name for test in run_models(study, leaky, models).failed_tests}
    assert failed == {"no_outcome_code_among_counts"}


@pytest.mark.slow
def test_a_wrong_label_fails_a_named_test(lake: Lake, project_copy: Path, tmp_path: Path) -> None:
    leaky = Lake(tmp_path / "leaky")
    shutil.copytree(lake.root / "tables", leaky.root / "tables")
    spoil(project_copy, "models/intermediate/cohort/int_eligibility.sql", "then 1", "then 0")
    report = run_models(study_of(), leaky, ["cohort"], STUDY.windows[0])
    assert {test.name for test in report.failed_tests} == {"labels_follow_the_window"}


def test_an_empty_table_stays_empty_in_its_file(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "none")
    study = study_of()
    Tables().write(lake, study)
    run_models(study, lake, ["int_patient_span"])
    path = lake.path("int_patient_span")
    assert duckdb.sql(f"select count(*) from read_parquet('{path}')").fetchone() == (0,)


def test_a_lake_whose_path_looks_like_a_pattern_reads_its_own_tables(
    lake: Lake, tmp_path: Path
) -> None:
    Tables().write(Lake(tmp_path / "site=1" / "lake 2x"), STUDY)
    odd = Lake(tmp_path / "site=1" / "lake [v2]?")
    shutil.copytree(lake.root / "tables", odd.root / "tables")
    report = run_models(STUDY, odd, ["int_patient_span", "int_record_totals"])
    assert report.failed_tests == ()
    for model in report.models:
        assert model.stamp == lake.stamp(model.table)


@pytest.mark.slow
def test_patients_in_buckets_give_the_same_texts(
    lake: Lake, project_copy: Path, tmp_path: Path
) -> None:
    bucketed = Lake(tmp_path / "bucketed [70]")
    shutil.copytree(lake.root / "tables", bucketed.root / "tables")
    spoil(project_copy, "dbt_project.yml", "records_a_bucket: 500000", "records_a_bucket: 70")
    report = run_models(STUDY, bucketed, ["narratives"])
    assert report.failed_tests == ()
    assert bucketed.stamp("narratives") == lake.stamp("narratives")


@pytest.mark.slow
def test_a_million_records_fit_in_little_memory(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "million")
    study = study_of()
    patients, rows = 5_000, 1_000_000
    ids = [f"{number:05d}" for number in range(patients)]
    people = [{"patient_id": p, "sex": "F", "year_of_birth": 1970} for p in ids]
    index = [record(p, 0, "HCPCS", "IDX") for p in ids]
    Tables({"patient": people, "procedure": index}).write(lake, study)
    number = pl.int_range(rows, eager=True)
    lake.write(
        "diagnosis",
        pl.select(
            patient_id=(number * patients // rows).cast(pl.String).str.zfill(5),
            date=pl.lit(INDEX).dt.offset_by("-3000d") + pl.duration(days=(number * 7919) % 6000),
            code_system=pl.lit("ICD-10-CM"),
            code=pl.format("X{}", (number * 104_729) % 20_011),
            encounter_id=pl.lit(None, dtype=pl.String),
            source_row=number + 1,
        ),
    )
    plain = [name for name in model_names(lake) if name not in windowed_models(lake)]
    report = run_models(study, lake, plain, memory_limit="600MB")
    assert report.failed_tests == ()
    assert report.model("narratives").stamp.rows == patients
