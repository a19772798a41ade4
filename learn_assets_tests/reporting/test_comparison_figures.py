"""Figures of comparisons: well formed, described, and drawn only from what there is."""

from __future__ import annotations

from xml.etree import ElementTree

from learn_assets.evaluation.comparison import ModelName
from learn_assets.reporting.comparison_figures import difference_forest
from learn_assets.reporting.comparison_words import ComparisonResult
from learn_assets.reporting.figures import SvgFigure


def parsed(figure: SvgFigure | None) -> ElementTree.Element:
    assert figure is not None
    root = ElementTree.fromstring(figure.svg)
    assert [element.text for element in root[:2]] == [figure.title, figure.alternative]
    return root


def difference(first: str, lower: float | None, upper: float | None) -> ComparisonResult:
    return ComparisonResult(
        question=f"beyond {first}",
        first=ModelName(first, "xgboost"),
        second=ModelName("age_sex", "elastic_net"),
        metric="auroc",
        method="delong",
        difference=0.1,
        lower=lower,
        upper=upper,
        p_value=0.01,
        p_value_holm=0.02,
    )


def test_a_forest_has_a_row_for_every_comparison_with_and_without_limits() -> None:
    rows = [difference("count", 0.05, 0.15), difference("learn", None, None)]
    figure = difference_forest(rows, "forest")
    text = "".join(parsed(figure).itertext())
    assert "+0.100 [+0.050, +0.150]" in text
    assert "Counts - age and sex" in text
    assert text.count("XGBoost") == 4
    assert figure is not None
    assert figure.alternative.count(";") == 1


def test_nothing_compared_is_nothing_drawn() -> None:
    assert difference_forest([], "forest") is None
