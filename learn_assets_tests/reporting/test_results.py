from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import polars as pl

from learn_assets.commands.answer import as_json
from learn_assets.disclosure import WITHHELD
from learn_assets.lake import Lake
from learn_assets.reporting.results import StudyResults, collect_results
from learn_assets.reporting.text import summary, summary_document
from learn_assets.schemas.registry import empty_frame
from learn_assets.study import Study
from learn_assets_tests.reporting.made_up import fill_lake


def test_a_lake_without_tables_gives_results_without_windows(
    report_study: Study, lake: Lake
) -> None:
    results = collect_results(report_study, lake)
    assert results.windows == ()
    assert len(results.absent) == len(report_study.windows)
    assert "Nothing" in summary(results)


def test_every_model_stands_on_the_ladder_simplest_features_first(
    report_results: StudyResults,
) -> None:
    (cell,) = report_results.windows[0].cells
    feature_sets = list(dict.fromkeys(model.feature_set for model in cell.models))
    assert feature_sets == ["count", "embedding", "learn"]
    assert len(cell.models) == len(cell.curves) == 15
    assert [model.learner for model in cell.models][:2] == ["elastic_net", "xgboost"]


def test_a_cell_without_models_is_named_as_absent(report_results: StudyResults) -> None:
    missing = report_results.windows[1]
    assert missing.cells == ()
    assert report_results.absent == (f"{missing.window.key}, minilm",)


def test_censored_patients_are_the_last_step_of_the_attrition(report_results: StudyResults) -> None:
    last = report_results.windows[0].attrition[-1]
    assert (last.name, last.remaining.value, last.removed.value) == ("labeled", 700, 142)


def test_an_outcome_in_the_buffer_period_is_not_called_censored(
    report_study: Study, tmp_path: Path
) -> None:
    lake, window = fill_lake(report_study, tmp_path), report_study.windows[0]
    cohort = lake.read("cohort", window).with_row_index("row")
    early = pl.col("label").is_null() & (pl.col("row") < 740)
    observed = pl.col("event_observed") | early
    lake.write("cohort", cohort.with_columns(event_observed=observed).drop("row"), window=window)
    steps = collect_results(report_study, lake).windows[0].attrition
    found = [(step.name, step.remaining.value, step.removed.value) for step in steps[-2:]]
    assert found == [("outcome_in_buffer", 802, 40), ("labeled", 700, 102)]


def test_a_small_step_is_masked_with_what_would_give_it_away(report_results: StudyResults) -> None:
    steps = {step.name: step for step in report_results.windows[0].attrition}
    assert str(steps["drug_induced_lupus"].removed) == "<11"
    assert str(steps["age_at_index"].remaining) == WITHHELD
    assert steps["cancer"].remaining.value == 1204


def test_few_cases_hide_the_controls_and_the_prevalence(
    report_study: Study, tmp_path: Path
) -> None:
    results = collect_results(report_study, fill_lake(report_study, tmp_path, cases=6))
    cohort = results.windows[0].cohort
    assert cohort is not None
    assert cohort.labeled.value == 700
    assert (str(cohort.cases), str(cohort.controls)) == ("<11", WITHHELD)
    assert cohort.prevalence is None
    (cell,) = results.windows[0].cells
    assert all(not model.true_positive_rate and model.reason for model in cell.curves)
    assert not any({"prevalence", "cases"} & set(model.metrics) for model in cell.models)


def test_an_empty_cohort_is_a_result(report_study: Study, lake: Lake) -> None:
    window = report_study.windows[0]
    for table in ("cohort", "attrition"):
        lake.write(table, empty_frame(table), window=window)
    for table in ("performance", "cross_validation"):
        lake.write(table, empty_frame(table), window=window, encoder="minilm")
    results = collect_results(report_study, lake)
    cohort = results.windows[0].cohort
    assert cohort is not None
    assert (cohort.labeled.value, cohort.age_quartiles, cohort.prevalence) == (0, None, None)
    assert "no model could be evaluated" in summary(results)


def test_the_summary_tells_sizes_ladder_page_and_that_data_are_synthetic(
    report_results: StudyResults,
) -> None:
    report_results.page.write_text("page", encoding="utf-8")
    text = summary(report_results)
    assert text.startswith("SYNTHETIC DATA")
    assert "105 cases, 595 controls" in text
    assert text.count("XGBoost") == 3
    assert text.endswith(str(report_results.page))
    assert "SYNTHETIC" not in summary(replace(report_results, synthetic=False))


_METRICS = ("auroc", "auprc", "brier", "calibration_slope")


def test_a_program_reads_the_numbers_of_the_text(report_results: StudyResults) -> None:
    text = summary(report_results)
    document = json.loads(as_json(summary_document(report_results)))
    (window,) = (window for window in document["windows"] if window["cells"])
    assert f"{window['cases']['value']} cases, {window['controls']['value']} controls" in text
    assert window["prevalence"]["text"] in text
    assert f"{window['eligible_now']['text']} more eligible now" in text
    assert f"{window['with_index_event']['text']} patients with an index event" in text
    assert f"{window['after_every_rule']['text']} left" in text
    (cell,) = window["cells"]
    assert len(cell["models"]) == 15
    for model in cell["models"]:
        shown = [model[metric] for metric in _METRICS]
        assert re.search(r"\s+".join(re.escape(metric["text"]) for metric in shown), text)
        for metric in shown:
            numbers = [float(number) for number in re.findall(r"-?[\d.]+", metric["text"])]
            assert [
                metric[name] for name in ("value", "lower", "upper") if name in metric
            ] == numbers
    assert document["not_materialized"] == list(report_results.absent)


def test_a_program_reads_no_masked_count(report_study: Study, tmp_path: Path) -> None:
    results = collect_results(report_study, fill_lake(report_study, tmp_path, cases=6))
    window = summary_document(results)["windows"][0]
    assert window["cases"] == {"text": "<11", "value": None}
    assert window["controls"] == {"text": WITHHELD, "value": None}
    assert window["prevalence"]["value"] is None
