"""Expectations of the data in a report: what fails comes first, the rest by category."""

from __future__ import annotations

import json

import polars as pl

from learn_assets.lake import Lake
from learn_assets.reporting.context import StudyContext
from learn_assets.reporting.document import Facts, Report, Section, Table
from learn_assets.reporting.sections.data_quality import data_quality
from learn_assets.reporting.study_json import render_json
from learn_assets.study import Study


def tables(section: Section) -> dict[str, Table]:
    return {block.key: block for block in section.blocks if isinstance(block, Table)}


def texts(table: Table) -> list[list[str]]:
    return [[value.text for value in row] for row in table.rows]


def test_what_fails_comes_first_and_errors_before_warnings(
    report_study: Study, report_lake: Lake
) -> None:
    section = data_quality(StudyContext(report_study, report_lake))
    shown = tables(section)
    assert next(iter(shown)) == "expectations-failed"
    assert not shown["expectations-failed"].folded
    assert texts(shown["expectations-failed"]) == [
        [
            *("Lab result", "Numbers with a unit that are in the most frequent unit of their code"),
            *("61.0 %", "≥ 90 %", "error", "Conformance"),
        ],
        [
            *("Diagnosis", "Months with under a quarter of the records usual before and after"),
            *("2", "≤ 0", "warning: 2015-03, 2015-04", "Plausibility"),
        ],
    ]


def test_the_rest_stands_by_category_with_masked_values_in_words(
    report_study: Study, report_lake: Lake
) -> None:
    section = data_quality(StudyContext(report_study, report_lake))
    shown = tables(section)
    assert {key for key in shown if key.startswith("expectations")} == {
        "expectations-failed",
        "expectations-completeness",
    }
    rows = {row[1].text: row for row in shown["expectations-completeness"].rows}
    sex = rows["Patients with sex F or M"]
    assert (sex[2].text, sex[2].number, sex[4].text) == ("all but <11", None, "holds")
    assert rows["Numbers with a unit"][4].text == "not judged: there are none"
    (counts,) = [block for block in section.blocks if isinstance(block, Facts)]
    assert [item.value.text for item in counts.items] == ["5", "2", "1", "1", "1"]


def test_without_the_table_one_line_says_so(report_study: Study, lake: Lake) -> None:
    section = data_quality(StudyContext(report_study, lake))
    assert tables(section) == {}
    assert "data_quality" in str(section.blocks[0])


def test_the_file_for_machines_holds_the_same(report_document: Report) -> None:
    document = json.loads(render_json(report_document))
    (section,) = [item for item in document["sections"] if item["id"] == "data-quality"]
    (failed,) = [block for block in section["content"] if block.get("key") == "expectations-failed"]
    assert failed["rows"][0]["found"]["value"] == 0.61
    assert failed["rows"][0]["expected"]["value"] == 0.9


def test_nothing_that_fails_is_no_table(report_study: Study, report_lake: Lake, lake: Lake) -> None:
    met = report_lake.read("data_quality").filter(pl.col("passed").fill_null(value=True))
    lake.write("data_quality", met)
    shown = tables(data_quality(StudyContext(report_study, lake)))
    assert "expectations-failed" not in shown
    assert "expectations-completeness" in shown
