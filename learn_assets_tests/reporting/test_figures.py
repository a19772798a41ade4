from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from xml.etree import ElementTree

import pytest

from learn_assets.evaluation.performance import ModelCurves
from learn_assets.reporting import figures
from learn_assets.reporting.estimates import CellResults
from learn_assets.reporting.figures import SvgFigure
from learn_assets.reporting.results import StudyResults

CURVES = [figures.roc, figures.precision_recall, figures.calibration]
Drawer = Callable[[Sequence[ModelCurves], str], SvgFigure | None]


@pytest.fixture
def cell(report_results: StudyResults) -> CellResults:
    return report_results.windows[0].cells[0]


@pytest.fixture
def drawn(cell: CellResults) -> list[SvgFigure]:
    shown = [model for model in cell.curves if model.learner == "svm"]
    made = [figures.ladder(cell.models, "ladder"), *(draw(shown, draw.__name__) for draw in CURVES)]
    return [figure for figure in made if figure is not None]


def test_every_figure_is_well_formed_and_says_what_it_shows(drawn: list[SvgFigure]) -> None:
    assert len(drawn) == 4
    for figure in drawn:
        root = ElementTree.fromstring(figure.svg)
        assert root.get("role") == "img"
        described = {element.get("id"): element.text for element in root[:2]}
        labels = (root.get("aria-labelledby") or "").split()
        assert [described[label] for label in labels] == [figure.title, figure.alternative]


def test_ids_of_one_page_are_distinct_and_references_stay_inside(drawn: list[SvgFigure]) -> None:
    ids = [name for figure in drawn for name in re.findall(r'\bid="([^"]+)"', figure.svg)]
    assert len(ids) == len(set(ids))
    used = {
        name for figure in drawn for name in re.findall(r"(?:url\(|href=\")#([^)\"]+)", figure.svg)
    }
    assert used <= set(ids)


def test_the_same_results_give_the_same_bytes(cell: CellResults) -> None:
    assert figures.ladder(cell.models, "x") == figures.ladder(cell.models, "x")


def test_a_figure_names_no_address_and_no_date(drawn: list[SvgFigure]) -> None:
    assert not any(re.search(r"https?:|<metadata|\b20\d\d-\d\d", figure.svg) for figure in drawn)


@pytest.mark.parametrize("draw", CURVES)
def test_small_cells_have_no_curve(draw: Drawer) -> None:
    masked = ModelCurves("count", "svm", reason="fewer than 11 cases or controls")
    assert draw([masked], "x") is None
    assert draw([], "x") is None


def test_no_model_no_ladder() -> None:
    assert figures.ladder([], "x") is None


def test_a_figure_can_stand_in_markdown(drawn: list[SvgFigure]) -> None:
    assert drawn[0].markdown().startswith(f"![{drawn[0].title}](data:image/svg+xml;base64,")
