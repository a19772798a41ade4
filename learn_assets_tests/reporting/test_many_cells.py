"""A study of many cells: each has its figures, and what is closed can be opened and printed."""

from __future__ import annotations

import re

import pytest

from learn_assets.lake import Lake
from learn_assets.reporting.document import Figure, Report, Section
from learn_assets.reporting.page import render_page
from learn_assets.reporting.report import build_report
from learn_assets.study import Study

WINDOWS = 6
TABLES = ("performance", "cross_validation", "net_benefit")


@pytest.fixture(scope="module")
def report(
    report_study: Study, report_lake: Lake, tmp_path_factory: pytest.TempPathFactory
) -> Report:
    """The report of six windows, the second without results, the others with those of one cell."""
    data = report_study.model_dump(by_alias=True)
    data["windows"] = [{"LIS": 365, "BP": 90, "FUP": 1825 - number} for number in range(WINDOWS)]
    study = Study.model_validate(data)
    lake = Lake(tmp_path_factory.mktemp("many") / study.name)
    first = report_study.windows[0]
    for number, window in enumerate(study.windows):
        if number == 1:
            continue
        lake.write("cohort", report_lake.read("cohort", first), window=window)
        for table in TABLES:
            frame = report_lake.read(table, first, "minilm")
            lake.write(table, frame, window=window, encoder="minilm")
    return build_report(study, lake)


def cells(report: Report) -> list[Section]:
    return [section for section in report.walk() if section.title.startswith("Models with encoder")]


def figures(section: Section) -> list[str]:
    return [b.key for part in section.walk() for b in part.blocks if isinstance(b, Figure)]


def test_every_cell_has_all_its_figures(report: Report) -> None:
    drawn = [figures(section) for section in cells(report)]
    assert len(drawn) == WINDOWS
    assert drawn[1] == []
    assert len(drawn[0]) >= 5
    assert all(keys == drawn[0] for number, keys in enumerate(drawn) if number != 1)


def test_cells_after_the_first_with_results_are_closed(report: Report) -> None:
    assert [section.folded for section in cells(report)] == [
        *(False, True, False, False, False, True),
    ]


def test_what_is_closed_has_its_heading_and_is_all_there(report: Report) -> None:
    page = render_page(report)
    closed = re.findall(r'<details class="part"><summary>(.*?)</summary>', page)
    assert closed == ["Show models with encoder minilm"] * 2
    # The heading stands before what is closed, so that a link to it leads to something in sight.
    for section in (section for section in cells(report) if section.folded):
        heading = page.index(f'id="{section.anchor}"')
        assert page.index('<details class="part">', heading) - heading < 300
    shown = sum(len(figures(section)) for section in cells(report))
    assert page.count("<svg ") >= shown


def test_few_cells_are_all_open(report_document: Report) -> None:
    assert not any(section.folded for section in report_document.walk())
