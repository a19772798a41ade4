from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from learn_assets.lake import Lake
from learn_assets.reporting.page import interval_text, render_page, write_page
from learn_assets.reporting.results import Estimate, StudyResults, collect_results
from learn_assets.study import Study


class Outline(HTMLParser):
    """What a page consists of: its tags, ids, references and attributes that load or run things."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.ids: list[str] = []
        self.references: list[str] = []
        self.labels: list[str] = []
        self.loads: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name in {"aria-labelledby", "aria-describedby"}:
                self.labels += (value or "").split()
            if name in {"href", "xlink:href"}:
                self.references.append(value or "")
            if name in {"src", "srcset", "data", "action"} or name.startswith("on"):
                self.loads.append(f"{name}={value}")


@pytest.fixture(scope="module")
def page(report_results: StudyResults) -> str:
    return render_page(report_results)


def test_the_page_needs_nothing_but_itself(page: str) -> None:
    outline = Outline(page)
    assert not outline.loads
    assert not {"script", "link", "iframe", "img", "object"} & set(outline.tags)
    assert all(reference.startswith("#") for reference in outline.references)
    assert not re.search(r"https?:|@import|url\((?!#)", page)


def test_every_reference_on_the_page_has_its_target(page: str) -> None:
    outline = Outline(page)
    assert len(outline.ids) == len(set(outline.ids))
    assert {reference[1:] for reference in outline.references} <= set(outline.ids)
    assert set(outline.labels) <= set(outline.ids)


def test_synthetic_results_are_labelled_and_real_ones_are_not(
    page: str, report_results: StudyResults
) -> None:
    assert page.count("SYNTHETIC DATA") >= 3
    assert "<title>SYNTHETIC DATA" in page
    assert "SYNTHETIC" not in render_page(replace(report_results, synthetic=False))


def test_what_a_user_wrote_is_text_not_markup(page: str) -> None:
    assert "<script>" not in page
    assert "Progression &lt;script&gt;" in page


def test_no_record_and_no_patient_is_on_the_page(page: str) -> None:
    assert "SECRET-PATIENT-VALUE" not in page
    assert not re.search(r"\bP\d{5}\b", page)


def test_masked_counts_are_not_on_the_page(page: str) -> None:
    # 1,322 - 1,317 = 5 patients and 1,387 - 1,322 = 65: neither may be worked out.
    assert "1,322" not in page
    assert "<b>65 removed</b>" not in page
    assert "<b>&lt;11 removed</b>" in page
    assert "19,997" not in page


def test_a_page_works_on_a_phone_in_print_and_in_one_language(page: str) -> None:
    assert '<html lang="en">' in page
    assert 'name="viewport"' in page
    assert "@media print" in page
    assert "default-src 'none'" in page


def test_every_table_and_figure_is_described(page: str) -> None:
    outline = Outline(page)
    assert outline.tags["svg"] == outline.tags["figcaption"] == 4
    assert outline.tags["caption"] + outline.tags["summary"] == outline.tags["table"]


def test_the_same_results_give_the_same_page(page: str, report_results: StudyResults) -> None:
    assert render_page(report_results) == page


def test_a_page_replaces_the_one_before(report_results: StudyResults, tmp_path: Path) -> None:
    path = tmp_path / "folder" / "page.html"
    for _ in range(2):
        write_page(report_results, path)
    assert path.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert [file.name for file in path.parent.iterdir()] == ["page.html"]


def test_a_study_without_results_has_a_page_that_says_so(report_study: Study, lake: Lake) -> None:
    assert "Nothing has been materialized yet" in render_page(collect_results(report_study, lake))


@pytest.mark.parametrize(
    ("estimate", "text"),
    [
        (None, "-"),
        (Estimate(0.834), "0.83"),
        (Estimate(0.834, 0.8, 0.866), "0.83 [0.80, 0.87]"),
        (Estimate(-0.1, -0.2, 0.0), "-0.10 [-0.20, 0.00]"),
    ],
)
def test_estimates_are_written_with_their_interval(estimate: Estimate | None, text: str) -> None:
    assert interval_text(estimate) == text
