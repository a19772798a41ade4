"""TRIPOD+AI and risk of bias: answers follow from what a study chose and a report holds."""

from __future__ import annotations

from collections import Counter
from datetime import date
from typing import Any

import numpy as np
import polars as pl
import pytest

from learn_assets.lake import Lake
from learn_assets.reporting.document import Facts, Report, Table, topics
from learn_assets.reporting.report import build_report
from learn_assets.reporting.sections.tripod import (
    ITEMS,
    NOT_REPORTED,
    PERSON,
    REPORTED,
    answered,
)
from learn_assets.schemas.registry import empty_frame
from learn_assets.study import Study
from learn_assets_tests.reporting.made_up import write_codes, write_cohort


def table(report: Report, anchor: str) -> Table:
    (section,) = [item for item in report.sections if item.anchor == anchor]
    (found,) = [block for block in section.blocks if isinstance(block, Table)]
    return found


def statuses(report: Report) -> dict[str, str]:
    return {row[0].text: row[3].text for row in table(report, "tripod-ai").rows}


def answers(report: Report) -> dict[str, tuple[str, str]]:
    """Return answer and evidence by the number of the question."""
    rows = table(report, "risk-of-bias").rows
    return {row[1].text.split(" ")[0]: (row[2].text, row[3].text) for row in rows}


def quick_lake(study: Study, lake: Lake, cases: int = 105) -> Lake:
    """Return a lake with a cohort and a cell without any model."""
    random = np.random.default_rng(5)
    write_codes(lake)
    write_cohort(lake, study.windows[0], 700, cases, random)
    empty = empty_frame("performance")
    lake.write("performance", empty, window=study.windows[0], encoder="minilm")
    return lake


def changed(study: Study, **parts: dict[str, Any]) -> Study:
    data = study.model_dump(by_alias=True)
    for name, values in parts.items():
        data[name] = data[name] | values
    return Study.model_validate(data)


def test_the_statement_has_its_27_items_with_their_parts() -> None:
    numbers = [item.number for item in ITEMS]
    assert len(numbers) == len(set(numbers)) == 52
    assert {int(number.rstrip("abcdefg")) for number in numbers} == set(range(1, 28))
    parts = Counter(int(number.rstrip("abcdefg")) for number in numbers)
    assert {number: parts[number] for number in (3, 12, 18, 23, 27)} == {
        3: 3,
        12: 7,
        18: 6,
        23: 2,
        27: 3,
    }


def test_every_status_occurs_and_what_is_reported_has_its_place(report_document: Report) -> None:
    assert set(statuses(report_document).values()) == {REPORTED, NOT_REPORTED, PERSON}
    anchors = set(topics(report_document.sections).values())
    for row in table(report_document, "tripod-ai").rows:
        if row[3].text == REPORTED:
            assert row[3].link in anchors
            assert row[4].text == ""
        else:
            assert row[4].text


def test_an_item_is_reported_only_while_its_topics_are(report_document: Report) -> None:
    found = topics(report_document.sections)
    for topic in {topic for item in ITEMS for topic in item.topics if topic in found}:
        without = {name: anchor for name, anchor in found.items() if name != topic}
        for answer in answered(without):
            if topic in answer.item.topics:
                assert answer.status == NOT_REPORTED
                assert topic.replace("_", " ") in answer.missing


def test_clusters_are_reported_by_sites_left_out_or_by_models_of_other_sites(
    report_document: Report,
) -> None:
    found = topics(report_document.sections)
    either = {"site_holdout", "external_validation"}
    for reported in (set(), {"site_holdout"}, {"external_validation"}, either):
        known = {name: anchor for name, anchor in found.items() if name not in either}
        known |= {name: f"at-{name}" for name in reported}
        for answer in answered(known):
            if answer.item.number in {"12d", "23b"}:
                assert (answer.status == REPORTED) is bool(reported)
                assert answer.anchor in {f"at-{name}" for name in reported} or not reported


def test_topics_of_items_exist_in_some_report(report_document: Report) -> None:
    # A topic that is spelled otherwise in a section would never be reported.
    asked = {topic for item in ITEMS for topic in (*item.topics, *item.either)}
    elsewhere = {"external_validation", "site_differences", "champion"}
    assert asked - set(topics(report_document.sections)) <= elsewhere


def test_an_empty_lake_reports_no_result(report_study: Study, lake: Lake) -> None:
    found = statuses(build_report(report_study, lake))
    assert {found[number] for number in ("20a", "20b", "21", "23a", "24")} == {NOT_REPORTED}
    assert found["17"] == PERSON


def test_looking_ahead_is_a_risk_of_bias(report_study: Study, lake: Lake) -> None:
    published = changed(report_study, cohort={"policy": "published"})
    assert answers(build_report(report_study, lake))["1.2"][0] == "Probably yes"
    assert answers(build_report(published, lake))["1.2"][0] == "No"


def test_outcome_codes_among_the_features_are_found(report_study: Study, lake: Lake) -> None:
    made, window = quick_lake(report_study, lake), report_study.windows[0]
    counts = pl.DataFrame(
        {"patient_id": ["P00000"] * 2, "feature": ["diagnosis|ICD-10-CM|I10"] * 2, "count": 1.0}
    )
    made.write("event_counts", counts, window=window)
    assert answers(build_report(report_study, made))["3.3"][0] == "Yes"
    planted = counts.with_columns(feature=pl.lit("diagnosis|ICD-10-CM|M32.14"))
    made.write("event_counts", planted, window=window)
    answer, evidence = answers(build_report(report_study, made))["3.3"]
    assert answer == "No"
    assert evidence.startswith("1 of 1 ")


@pytest.mark.parametrize(("features", "answer"), [(1, "Yes"), (4, "Probably yes"), (300, "No")])
def test_events_per_candidate_parameter_decide_on_the_size(
    report_study: Study, lake: Lake, features: int, answer: str
) -> None:
    made, window = quick_lake(report_study, lake), report_study.windows[0]
    counts = pl.DataFrame(
        [
            (f"P{patient:05}", f"diagnosis|ICD-10-CM|X{feature:03}", 1.0)
            for feature in range(features)
            for patient in range(11)
        ],
        schema=["patient_id", "feature", "count"],
        orient="row",
    )
    # A feature of ten patients is no candidate: it is dropped whatever it would say.
    rare = pl.DataFrame(
        [(f"P{patient:05}", "diagnosis|ICD-10-CM|RARE", 1.0) for patient in range(10)],
        schema=counts.schema,
        orient="row",
    )
    made.write("event_counts", pl.concat([counts, rare]), window=window)
    found, evidence = answers(build_report(report_study, made))["4.1"]
    # 105 cases, age and three sexes.
    assert evidence.startswith(f"105 cases for {features + 4:,} candidate parameters")
    assert found == answer


def test_masked_cases_give_no_events_per_parameter(report_study: Study, lake: Lake) -> None:
    made = quick_lake(report_study, lake, cases=6)
    counts = pl.DataFrame({"patient_id": ["P00000"], "feature": ["a|b|c"], "count": [1.0]})
    made.write("event_counts", counts, window=report_study.windows[0])
    answer, evidence = answers(build_report(report_study, made))["4.1"]
    assert answer == "No"
    assert evidence == "Fewer than 11 cases, or no features."


def dated_lake(study: Study, lake: Lake, late_cases: int, *, end: date) -> Lake:
    """Return a lake in which `late_cases` cases are the last patients; data end on a day."""
    made, window = quick_lake(study, lake), study.windows[0]
    cohort = made.read("cohort", window).with_row_index("row")
    # Index dates spread over two years whatever the label, but for the late cases.
    spread = pl.date(2013, 1, 1) + pl.duration(days=(pl.col("row") * 389) % 730)
    day = pl.when(pl.col("row") < late_cases).then(pl.date(2019, 1, 1)).otherwise(spread)
    made.write("cohort", cohort.with_columns(index_date=day).drop("row"), window=window)
    events = cohort.select(
        "patient_id",
        pl.date(2013, 1, 1).alias("index_date"),
        pl.date(2010, 1, 1).alias("first_record_date"),
        pl.lit(end).alias("last_record_date"),
        pl.lit(None, dtype=pl.Date).alias("death_date"),
    )
    made.write("index_events", events)
    return made


def test_cases_that_are_late_because_controls_are_dropped_are_a_risk_of_bias(
    report_study: Study, lake: Lake
) -> None:
    made = dated_lake(report_study, lake, 40, end=date(2020, 1, 1))
    answer, evidence = answers(build_report(report_study, made))["4.6b"]
    assert answer == "No"
    assert "The window of 40 labeled patients ends after the data" in evidence
    assert "Remedy: the time-to-event arm" in evidence
    # 65 cases of any day and 40 late ones: (65 / 2 + 40) / 105 = 0.69.
    assert "with AUROC 0.69 [" in evidence


def test_few_late_cases_are_not_counted(report_study: Study, lake: Lake) -> None:
    made = dated_lake(report_study, lake, 6, end=date(2020, 1, 1))
    answer, evidence = answers(build_report(report_study, made))["4.6b"]
    assert answer == "Probably yes"
    assert "The window of <11 labeled patients" in evidence


def test_a_count_that_the_temporal_hold_out_withholds_is_not_told(
    report_study: Study, lake: Lake
) -> None:
    made = dated_lake(report_study, lake, 40, end=date(2020, 1, 1))
    place = {"window": report_study.windows[0], "encoder": "minilm"}
    rows = empty_frame("temporal_validation")
    told = pl.DataFrame(
        {"cut_date": [date(2014, 1, 1)], "metric": ["n"], "estimate": [200.0]}
    ).with_columns(feature_set=pl.lit("learn"), learner=pl.lit("elastic_net"))
    made.write("temporal_validation", pl.concat([rows, told], how="diagonal"), **place)
    evidence = answers(build_report(report_study, made))["4.6b"][1]
    assert "The window of some labeled patients" in evidence
    assert "40" not in evidence


def test_labels_of_whole_windows_raise_no_concern(report_study: Study, lake: Lake) -> None:
    made = dated_lake(report_study, lake, 0, end=date(2025, 1, 1))
    answer, evidence = answers(build_report(report_study, made))["4.6b"]
    assert answer == "Yes"
    assert "No labeled patient's window ends after the data" in evidence


def test_shifted_dates_are_neither_compared_nor_told_by_year(
    report_study: Study, lake: Lake
) -> None:
    document = report_study.model_dump(by_alias=True)
    document["dates"]["shifted"] = "per_patient"
    analyses = document["sensitivity"]["analyses"]
    document["sensitivity"]["analyses"] = [name for name in analyses if name != "temporal"]
    study = Study.model_validate(document)
    report = build_report(study, dated_lake(study, lake, 40, end=date(2020, 1, 1)))
    assert answers(report)["4.6b"][0] == "No information"
    facts = [
        item.value.text
        for section in report.walk()
        for block in section.blocks
        if isinstance(block, Facts)
        for item in block.items
        if item.name == "Index dates"
    ]
    assert facts
    assert all("shifted" in text for text in facts)
