"""The file for machines: nothing on the page that it lacks, and no more than the page tells."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html import unescape
from typing import Any

import pytest

from learn_assets.lake import Lake
from learn_assets.reporting.document import Report
from learn_assets.reporting.page import render_page
from learn_assets.reporting.report import build_report
from learn_assets.reporting.study_json import SCHEMA, render_json
from learn_assets.study import Study

NUMBER = re.compile(r"(?<![\w.])[-+]?\d[\d,]*(?:\.\d+)?")
COUNT = re.compile(r"[\d,]+( \(\d+\.\d %\))?")
# What the page says of itself: numbers of headings, of figures and of masked counts.
FURNITURE = re.compile(
    r"<style>.*?</style>|<nav.*?</nav>|<footer>.*?</footer>|<span class=\"place\">.*?</span>"
    r"|<svg.*?</svg>|<[^>]+>",
    re.DOTALL,
)


@pytest.fixture(scope="module")
def document(report_document: Report) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(render_json(report_document))
    return content


def strings(content: Any) -> Iterator[str]:
    if isinstance(content, dict):
        for value in content.values():
            yield from strings(value)
    elif isinstance(content, list):
        for value in content:
            yield from strings(value)
    elif isinstance(content, str):
        yield content


def blocks(content: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield from content.get("content", [])
    for section in content["sections"]:
        yield from blocks(section)


def table(document: dict[str, Any], key: str) -> list[dict[str, Any]]:
    (found,) = [block for block in blocks(document) if block.get("key") == key]
    rows: list[dict[str, Any]] = found["rows"]
    return rows


def test_every_number_on_the_page_is_in_the_file(
    report_document: Report, document: dict[str, Any]
) -> None:
    text = unescape(FURNITURE.sub(" ", render_page(report_document)))
    shown = set(NUMBER.findall(text))
    told = {number for string in strings(document) for number in NUMBER.findall(string)}
    assert len(shown) > 300
    assert shown <= told


def test_every_table_and_figure_of_the_page_is_in_the_file(
    report_document: Report, document: dict[str, Any]
) -> None:
    page = render_page(report_document)
    labels = {block["label"] for block in blocks(document) if "label" in block}
    assert labels == set(re.findall(r"<b>((?:Table|Figure) \d+)\.</b>", page))


def test_values_are_numbers_and_say_what_their_text_says(document: dict[str, Any]) -> None:
    checked = 0
    for row in table(document, "performance"):
        value = row["auroc"]
        parts = [value["value"], value["lower"], value["upper"]]
        assert value["text"] == "{:.3f} [{:.3f}, {:.3f}]".format(*parts)
        checked += 1
    assert checked == 15


def test_masked_counts_have_no_value(document: dict[str, Any]) -> None:
    (flow,) = [
        b
        for b in blocks(document)
        if b["type"] == "flow" and b["id"].startswith("lis-365-bp-90-fup-1825")
    ]
    steps = {step["name"]: step for step in flow["steps"]}
    removed = steps["drug_induced_lupus"]["removed"]
    assert removed == {"text": "<11", "value": None}
    assert steps["age_at_index"]["remaining"] == {"text": "withheld", "value": None}
    assert steps["cancer"]["remaining"]["value"] == 1204


def test_curves_are_there_as_points(document: dict[str, Any]) -> None:
    (curve,) = [block for block in blocks(document) if block.get("key") == "roc_curve"]
    for series in curve["series"]:
        assert len(series["false_positive_rate"]) == len(series["true_positive_rate"]) == 101


def test_the_form_is_named_and_the_bytes_are_the_same(
    report_study: Study, report_lake: Lake, report_document: Report, document: dict[str, Any]
) -> None:
    assert list(document)[:2] == ["schema", "schema_version"]
    assert document["schema"] == SCHEMA
    assert re.fullmatch(r"\d+\.\d+", document["schema_version"])
    again = render_json(build_report(report_study, report_lake))
    assert again == render_json(report_document)


def test_no_count_of_patients_or_records_is_small(document: dict[str, Any]) -> None:
    counted = {"all", "cases", "controls", "patients", "prevalent", "events", "deaths", "labeled"}
    counted |= {"records", "rows", "training_n", "n", "remaining", "removed"}
    shown = []
    for block in blocks(document):
        for row in [*block.get("rows", ()), *block.get("steps", ())]:
            values = (row[name] for name in counted & set(row))
            # Means and medians share columns with counts, and have a bracket.
            shown += [
                v["value"] for v in values if re.match(r"[\d,]+( \(\d+\.\d %\))?$", v["text"])
            ]
    assert len(shown) > 40
    assert [value for value in shown if 0 < value < document["minimum_cell"]] == []
