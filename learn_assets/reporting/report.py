"""Report: the sections of a study's report in their order, from what the lake holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from learn_assets.lake import Lake
from learn_assets.reporting.cohort_numbers import cohort_numbers
from learn_assets.reporting.comparison_words import model_label
from learn_assets.reporting.context import CellContext, StudyContext, WindowContext
from learn_assets.reporting.document import Paragraph, Report, Section, topics
from learn_assets.reporting.estimates import CellResults, cell_results
from learn_assets.reporting.page import render_page
from learn_assets.reporting.places import CellSection, StudySection, placed
from learn_assets.reporting.results import report_page
from learn_assets.reporting.sections.comparisons import comparisons
from learn_assets.reporting.sections.data_quality import data_quality
from learn_assets.reporting.sections.overview import FinishedCell, overview
from learn_assets.reporting.sections.participants import participants
from learn_assets.reporting.sections.performance import calibration, discrimination
from learn_assets.reporting.sections.provenance import provenance
from learn_assets.reporting.sections.question import question_and_setup, what_it_cannot_say
from learn_assets.reporting.sections.risk_of_bias import risk_of_bias
from learn_assets.reporting.sections.sensitivity import sensitivity
from learn_assets.reporting.sections.tripod import tripod
from learn_assets.reporting.setup import window_heading, window_in_words
from learn_assets.reporting.study_json import render_json
from learn_assets.staging import write_atomically
from learn_assets.study import Study

# Cells that are open when the page is; a browser lays out what is closed only when it is opened.
_OPEN_CELLS = 4

_OF_RESULTS: tuple[Callable[[CellContext, CellResults | None], Section], ...] = (
    discrimination,
    calibration,
)
# What reads every analysis, or what other sections read; each analysis names its own place.
_OF_TABLES = (CellSection(10, comparisons), CellSection(90, sensitivity))


@dataclass(frozen=True)
class WrittenReport:
    """A report, and where its page and its numbers for machines lie."""

    report: Report
    page: Path
    numbers: Path


def build_report(study: Study, lake: Lake) -> Report:
    """Return the whole report; a section whose tables are missing says so in one line."""
    context = StudyContext(study, lake)
    cells = list(_cells(context))
    finished = [cell for cell in map(_finished, cells) if cell is not None]
    wanted = {(cell.window.key, cell.encoder.id) for cell in cells}
    wanted -= {(cell.context.window.key, cell.context.encoder.id) for cell in finished}
    lacking = [f"{key}, {encoder}" for key, encoder in sorted(wanted)]
    body = (
        overview(context, finished, lacking),
        question_and_setup(context),
        *_about_all_cells(context),
        *(_window_section(context, window.key, cells, finished) for window in study.windows),
        data_quality(context),
        what_it_cannot_say(context),
        provenance(context),
    )
    # What judges the report comes before its last pages, and is made from all of them.
    bias = risk_of_bias(context, finished, topics(body))
    statement = tripod(topics((*body, bias)))
    return Report(
        name=study.name,
        title=study.title,
        synthetic=study.synthetic,
        minimum_cell=study.privacy.minimum_cell,
        sections=(*body[:-2], bias, statement, *body[-2:]),
    )


def write_report(study: Study, lake: Lake) -> WrittenReport:
    """Write page and `study.json` side by side; older ones are replaced."""
    report = build_report(study, lake)
    page = report_page(lake)
    numbers = page.with_name("study.json")
    write_atomically(page, render_page(report))
    write_atomically(numbers, render_json(report))
    return WrittenReport(report, page, numbers)


def _about_all_cells(context: StudyContext) -> list[Section]:
    made = (place.make(context) for place in placed(StudySection))
    return [section for section in made if section is not None]


def _cells(context: StudyContext) -> Iterator[CellContext]:
    study, lake = context.study, context.lake
    for window in study.windows:
        for encoder in study.encoders:
            yield CellContext(study, lake, window, encoder)


def _finished(cell: CellContext) -> FinishedCell | None:
    if cell.of_cell("performance") is None:
        return None
    cohort = cell.of_window("cohort")
    return FinishedCell(
        cell,
        cell_results(cell.study, cell.lake, cell.window, cell.encoder),
        None if cohort is None else cohort_numbers(cohort, None, cell.minimum_cell),
    )


def _window_section(
    context: StudyContext, key: str, cells: list[CellContext], finished: list[FinishedCell]
) -> Section:
    window = WindowContext(context.study, context.lake, context.study.window(key))
    results = {cell.context.anchor: cell.results for cell in finished}
    closed = _closed(cells, finished)
    inside = [
        _cell_section(cell, results.get(cell.anchor), folded=cell.anchor in closed)
        for cell in cells
        if cell.window.key == key
    ]
    return Section(
        window.anchor,
        f"Window {window_heading(window.window)} days",
        (Paragraph(window_in_words(window.window), tone="lead"),),
        (participants(window), *inside),
    )


def _closed(cells: list[CellContext], finished: list[FinishedCell]) -> set[str]:
    """Return the anchors of cells to close: where there are many, all but the first with results.

    A cell without results is closed too, so that those that have some are found.
    """
    if len(cells) <= _OPEN_CELLS:
        return set()
    first = [cell.context.anchor for cell in finished[:_OPEN_CELLS]]
    return {cell.anchor for cell in cells} - set(first)


def _cell_section(cell: CellContext, results: CellResults | None, *, folded: bool) -> Section:
    remark = Paragraph(
        f"Reference model of this section: {model_label(cell.reference)}, by which models in force "
        "are judged.",
        tone="quiet",
    )
    return Section(
        cell.anchor,
        f"Models with encoder {cell.encoder.id}",
        (remark,),
        (
            *(of_results(cell, results) for of_results in _OF_RESULTS),
            *(place.make(cell) for place in _of_tables()),
        ),
        folded,
    )


def _of_tables() -> list[CellSection]:
    return sorted((*_OF_TABLES, *placed(CellSection)), key=lambda place: place.at)
