from __future__ import annotations

import itertools
import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from learn_assets.lake import Lake
from learn_assets.reporting.document import Report
from learn_assets.reporting.page import render_page
from learn_assets.reporting.report import build_report, write_report
from learn_assets.schemas.registry import empty_frame
from learn_assets.study import Study

VOID = {"meta", "br", "hr", "img", "input", "path", "use", "circle", "line", "rect"}
MEGABYTE = 1_000_000


class Outline(HTMLParser):
    """What a page consists of: tags, ids, references, headings, and what loads or runs things.

    A tag that is closed out of turn is listed in `crossed`.
    """

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.ids: list[str] = []
        self.references: list[str] = []
        self.labels: list[str] = []
        self.loads: list[str] = []
        self.headings: list[int] = []
        self.unscoped: list[str] = []
        self.crossed: list[str] = []
        self.open: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_startendtag(tag, attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        if re.fullmatch(r"h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if tag == "th" and "scope" not in dict(attrs):
            self.unscoped.append(self.get_starttag_text() or tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name in {"aria-labelledby", "aria-describedby"}:
                self.labels += (value or "").split()
            if name in {"href", "xlink:href"}:
                self.references.append(value or "")
            if name in {"src", "srcset", "data", "action"} or name.startswith("on"):
                self.loads.append(f"{name}={value}")

    def handle_endtag(self, tag: str) -> None:
        if tag in VOID:
            return
        if not self.open or self.open[-1] != tag:
            self.crossed.append(tag)
        else:
            self.open.pop()


@pytest.fixture(scope="module")
def page(report_document: Report) -> str:
    return render_page(report_document)


def test_the_page_needs_nothing_but_itself(page: str) -> None:
    outline = Outline(page)
    assert not outline.loads
    assert not {"script", "link", "iframe", "img", "image", "object"} & set(outline.tags)
    assert all(reference.startswith("#") for reference in outline.references)
    assert not re.search(r"https?:|@import|url\((?!#)", page)


def test_the_page_is_well_formed(page: str) -> None:
    outline = Outline(page)
    assert outline.crossed == []
    assert outline.open == []
    assert outline.tags["main"] == outline.tags["h1"] == 1


def test_every_reference_on_the_page_has_its_target(page: str) -> None:
    outline = Outline(page)
    assert len(outline.ids) == len(set(outline.ids))
    assert {reference[1:] for reference in outline.references} <= set(outline.ids)
    assert set(outline.labels) <= set(outline.ids)


def test_headings_go_down_one_level_at_a_time(page: str) -> None:
    levels = Outline(page).headings
    assert levels[0] == 1
    assert max(levels) == 4
    assert all(later <= earlier + 1 for earlier, later in itertools.pairwise(levels))


def test_synthetic_results_are_labelled_and_real_ones_are_not(
    page: str, report_document: Report
) -> None:
    figures = page.count("<svg ")
    assert page.count("SYNTHETIC DATA") >= figures + 4
    assert "<title>SYNTHETIC DATA" in page
    assert "@top-center" in page
    real = render_page(replace(report_document, synthetic=False))
    assert "SYNTHETIC" not in real
    assert "@top-center" not in real


def test_the_day_of_a_patient_is_told_as_its_month(page: str) -> None:
    assert "before May 2014" in page
    assert "2014-05-17" not in page


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


def test_rare_reasons_of_refusal_are_named_together(page: str) -> None:
    quarantine = page[page.index("Rows refused at validation") :]
    rows = quarantine[: quarantine.index("</table>")]
    assert rows.index("Future date") < rows.index("Missing code")
    assert re.search(r"Missing code</(?:th|td)><td class=\"number\">&lt;11</td>", rows)


def test_a_page_works_on_a_phone_in_print_and_in_one_language(page: str) -> None:
    assert '<html lang="en">' in page
    assert 'name="viewport"' in page
    assert "@media print" in page
    assert "default-src 'none'" in page


def test_every_table_and_figure_is_described(page: str) -> None:
    outline = Outline(page)
    assert outline.tags["figure"] == outline.tags["figcaption"] > 8
    assert outline.tags["svg"] == outline.tags["desc"]
    assert outline.tags["caption"] == outline.tags["table"] > 10
    assert outline.unscoped == []


def test_the_same_lake_gives_the_same_page(
    page: str, report_study: Study, report_lake: Lake
) -> None:
    assert render_page(build_report(report_study, report_lake)) == page
    assert len(page.encode()) < 3 * MEGABYTE


def test_a_report_replaces_the_one_before(report_study: Study, lake: Lake) -> None:
    for _ in range(2):
        written = write_report(report_study, lake)
    assert written.page.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    names = sorted(file.name for file in written.page.parent.iterdir())
    assert names == ["study.json", "study_report.html"]


def test_a_study_without_results_has_a_page_that_says_so(report_study: Study, lake: Lake) -> None:
    page = render_page(build_report(report_study, lake))
    assert "Nothing has been materialized yet" in page
    assert Outline(page).crossed == []


def test_a_cohort_without_a_case_has_a_page(report_study: Study, lake: Lake) -> None:
    window = report_study.windows[0]
    for table in ("cohort", "attrition", "scoring_population", "event_counts"):
        lake.write(table, empty_frame(table), window=window)
    cell_tables = (
        *("performance", "cross_validation", "comparisons", "time_to_event_performance"),
        *("nephritis_evaluation", "severe_outcome_evaluation", "genetic_stratification"),
        *("external_validation", "site_differences", "net_benefit", "subgroup_performance"),
        *("explanations", "temporal_validation", "learning_curve", "imbalance_sensitivity"),
        "repeated_cross_validation",
    )
    for table in cell_tables:
        lake.write(table, empty_frame(table), window=window, encoder="minilm")
    for table in ("window_leaderboard", "encoder_leaderboard", "code_list", "unmapped_codes"):
        lake.write(table, empty_frame(table))
    page = render_page(build_report(report_study, lake))
    assert page.count("not shown, because") >= 16
    assert Outline(page).crossed == []
