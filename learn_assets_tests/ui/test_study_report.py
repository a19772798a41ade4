from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from learn_assets.reporting.document import Report, Section
from learn_assets.reporting.page import render_page
from learn_assets_tests.ui.conftest import DESKTOP, PHONE

NARROW = {"width": 360, "height": 740}

pytestmark = [pytest.mark.ui, pytest.mark.slow]


@pytest.fixture
def report(page: Page, report_document: Report, tmp_path: Path) -> Iterator[Page]:
    """The page in a tab; what the browser complains about fails the test."""
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    path = tmp_path / "report.html"
    path.write_text(render_page(report_document), encoding="utf-8")
    page.goto(path.as_uri())
    yield page
    assert complaints == []


@pytest.mark.parametrize("size", [NARROW, PHONE, DESKTOP], ids=["narrow", "phone", "desktop"])
def test_the_report_fits_the_screen(report: Page, size: dict[str, int]) -> None:
    report.set_viewport_size(size)
    # Folded tables count too.
    report.evaluate("document.querySelectorAll('details').forEach(part => { part.open = true; })")
    width = report.evaluate("document.documentElement.scrollWidth")
    assert width <= size["width"]


def test_the_report_shows_its_parts_in_order(report: Page) -> None:
    texts = report.get_by_role("heading", level=2).all_inner_texts()
    headings = [text.split(" ", maxsplit=1)[1] for text in texts]
    assert headings[:2] == ["Overview", "Question and setup"]
    assert headings[-4:] == [
        *("Risk of bias", "TRIPOD+AI", "What this page cannot say", "Provenance"),
    ]
    expect(report.get_by_text("SYNTHETIC DATA").first).to_be_in_viewport()


def test_an_item_of_the_statement_leads_to_where_it_is_reported(report: Page) -> None:
    row = report.get_by_role("row").filter(has_text="Flow of participants, outcomes")
    row.get_by_role("link", name="Reported").click()
    expect(report.locator("figure.flow").first).to_be_in_viewport()


def test_the_overview_leads_to_the_cell(report: Page) -> None:
    report.get_by_role("row").filter(has_text="LIS 365").get_by_role("link", name="minilm").click()
    heading = report.get_by_role("heading", name="Models with encoder minilm").first
    expect(heading).to_be_in_viewport()


def test_figures_are_named_for_those_who_hear_them(report: Page) -> None:
    names = ("AUROC by feature set", "ROC curves", "Precision-recall", "AUROC differences")
    for name in (*names, "AUC over time", "Cumulative incidence by score: Lupus nephritis"):
        figure = report.get_by_role("img", name=name)
        expect(figure).to_have_count(1)
        box = figure.bounding_box()
        assert box is not None
        assert min(box["width"], box["height"]) > 150


def test_text_in_figures_is_large_enough_on_a_phone(report: Page) -> None:
    report.set_viewport_size(PHONE)
    smallest = report.evaluate(
        "Math.min(...[...document.querySelectorAll('figure svg text')]"
        ".map(text => text.getBoundingClientRect().height))"
    )
    assert smallest >= 9


def test_every_printed_page_says_that_the_data_are_synthetic(report: Page) -> None:
    report.emulate_media(media="print")
    mark = report.locator(".watermark")
    expect(mark).to_be_visible()
    assert mark.evaluate("mark => getComputedStyle(mark).position") == "fixed"
    # Folded parts are printed: a supplement has nothing to click.
    expect(report.get_by_text("Fingerprint of content")).to_be_visible()


@pytest.fixture
def closed(page: Page, report_document: Report, tmp_path: Path) -> Page:
    """The page with its cells closed, as a study of many cells has them."""
    sections = tuple(_closed(section) for section in report_document.sections)
    path = tmp_path / "closed.html"
    path.write_text(render_page(replace(report_document, sections=sections)), encoding="utf-8")
    page.goto(path.as_uri())
    return page


def _closed(section: Section) -> Section:
    inside = tuple(
        replace(inner, folded=inner.title.startswith("Models")) for inner in section.sections
    )
    return replace(section, sections=inside)


def test_a_closed_cell_opens_by_its_summary_and_by_a_link_into_it(closed: Page) -> None:
    ladder = closed.get_by_role("img", name="AUROC by feature set").first
    expect(ladder).to_be_hidden()
    closed.get_by_text("Show models with encoder minilm").first.click()
    expect(ladder).to_be_visible()
    anchor = ladder.evaluate("figure => figure.closest('figure').id")
    closed.reload()
    expect(ladder).to_be_hidden()
    closed.evaluate(f"location.hash = '{anchor}'")
    expect(ladder).to_be_visible()


def test_a_closed_cell_is_printed(closed: Page) -> None:
    closed.emulate_media(media="print")
    expect(closed.get_by_role("img", name="AUROC by feature set").first).to_be_visible()
