from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from learn_assets.reporting.page import write_page
from learn_assets.reporting.results import StudyResults
from learn_assets_tests.ui.conftest import DESKTOP, PHONE

pytestmark = [pytest.mark.ui, pytest.mark.slow]


@pytest.fixture
def report(page: Page, report_results: StudyResults, tmp_path: Path) -> Page:
    path = tmp_path / "report.html"
    write_page(report_results, path)
    page.goto(path.as_uri())
    return page


@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_the_report_fits_the_screen(report: Page, size: dict[str, int]) -> None:
    report.set_viewport_size(size)
    width = report.evaluate("document.documentElement.scrollWidth")
    assert width <= size["width"]


def test_the_report_shows_its_parts_in_order(report: Page) -> None:
    headings = report.get_by_role("heading", level=2).all_inner_texts()
    assert headings[0] == "Overview"
    assert headings[-3:] == ["Data quality", "What this page cannot say", "Provenance"]
    expect(report.get_by_text("SYNTHETIC DATA").first).to_be_in_viewport()


def test_the_overview_leads_to_the_cell(report: Page) -> None:
    report.get_by_role("link", name="LIS 365").click()
    expect(report.get_by_role("heading", name="How well risk is predicted")).to_be_in_viewport()


def test_figures_are_named_for_those_who_hear_them(report: Page) -> None:
    for name in ("AUROC by feature set", "ROC curves", "Precision-recall", "Calibration"):
        figure = report.get_by_role("img", name=name)
        expect(figure).to_have_count(1)
        box = figure.bounding_box()
        assert box is not None
        assert min(box["width"], box["height"]) > 200


def test_text_in_figures_is_large_enough_on_a_phone(report: Page) -> None:
    report.set_viewport_size(PHONE)
    smallest = report.evaluate(
        "Math.min(...[...document.querySelectorAll('figure svg text')]"
        ".map(text => text.getBoundingClientRect().height))"
    )
    assert smallest >= 9
