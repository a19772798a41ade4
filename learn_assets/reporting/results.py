"""Results: sizes and ladder of every cell, collected from the lake and masked on the way out.

What belongs here: the short form of a study's results, for a terminal. Nothing in it is a
patient's, and every count has passed disclosure control, so whatever prints it need not think
about that.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from learn_assets.lake import Lake
from learn_assets.reporting.cohort_numbers import (
    AttritionStep,
    CohortNumbers,
    attrition_steps,
    cohort_numbers,
)
from learn_assets.reporting.estimates import CellResults, cell_results, stored_table
from learn_assets.study import Study
from learn_assets.study.windows import Window


@dataclass(frozen=True)
class WindowResults:
    """One window: how its cohort came about, and its cells."""

    window: Window
    attrition: tuple[AttritionStep, ...]
    cohort: CohortNumbers | None
    cells: tuple[CellResults, ...]


@dataclass(frozen=True)
class StudyResults:
    """What a terminal shows of one study."""

    name: str
    title: str
    synthetic: bool
    minimum_cell: int
    windows: tuple[WindowResults, ...]
    absent: tuple[str, ...]
    page: Path


def report_page(lake: Lake) -> Path:
    """Return where the study's page lies in the lake."""
    return lake.folder("report") / "study_report.html"


def collect_results(study: Study, lake: Lake) -> StudyResults:
    """Read what has been materialized so far; what has not is listed in `absent`."""
    windows = [_window_results(study, lake, window) for window in study.windows]
    present = tuple(window for window in windows if window.attrition or window.cells)
    cells = {(window.window.key, cell.encoder) for window in present for cell in window.cells}
    wanted = [(window.key, encoder.id) for window in study.windows for encoder in study.encoders]
    return StudyResults(
        name=study.name,
        title=study.title,
        synthetic=study.synthetic,
        minimum_cell=study.privacy.minimum_cell,
        windows=present,
        absent=tuple(f"{key}, {encoder}" for key, encoder in wanted if (key, encoder) not in cells),
        page=report_page(lake),
    )


def _window_results(study: Study, lake: Lake, window: Window) -> WindowResults:
    minimum = study.privacy.minimum_cell
    cohort = stored_table(lake, "cohort", window)
    attrition = stored_table(lake, "attrition", window)
    scoring = lake.stamp("scoring_population", window)
    finished = [
        encoder for encoder in study.encoders if lake.stamp("performance", window, encoder.id)
    ]
    return WindowResults(
        window=window,
        attrition=() if attrition is None else attrition_steps(attrition, cohort, minimum),
        cohort=None
        if cohort is None
        else cohort_numbers(cohort, None if scoring is None else scoring.rows, minimum),
        cells=tuple(cell_results(study, lake, window, encoder) for encoder in finished),
    )
