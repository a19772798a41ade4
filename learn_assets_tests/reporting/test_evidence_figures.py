"""Figures of evidence: well formed, described, and drawn only from what there is."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree

import polars as pl
import pytest

from learn_assets.analyses.explanations.figure import (
    ExplanationRow,
    explanation_bars,
    explanation_rows,
)
from learn_assets.analyses.net_benefit.figure import DecisionCurve, decision_curve, decision_curves
from learn_assets.analyses.subgroups.figure import SubgroupRow, subgroup_forest, subgroup_rows
from learn_assets.reporting.figures import SvgFigure
from learn_assets.schemas.registry import empty_frame


def parsed(figure: SvgFigure | None) -> str:
    assert figure is not None
    root = ElementTree.fromstring(figure.svg)
    assert [element.text for element in root[:2]] == [figure.title, figure.alternative]
    return "".join(root.itertext())


def curves() -> tuple[DecisionCurve, ...]:
    model = {"learner": "svm", "lower": 0.0, "upper": 0.2, "net_benefit_of_all": 0.1}
    rows = [
        {**model, "feature_set": "learn", "threshold": 0.3, "net_benefit": 0.05},
        {**model, "feature_set": "learn", "threshold": 0.1, "net_benefit": 0.15},
        {**model, "feature_set": "learn", "threshold": 0.2, "net_benefit": None},
        {**model, "feature_set": "count", "threshold": 0.1, "net_benefit": 0.12},
        {**model, "feature_set": "count", "learner": "mlp", "threshold": 0.1, "net_benefit": 0.9},
    ]
    return decision_curves(pl.DataFrame(rows, schema=empty_frame("net_benefit").schema), "svm")


def test_curves_are_of_one_learner_simplest_first_and_leave_withheld_points_out() -> None:
    simple, rich = curves()
    assert (simple.feature_set, rich.feature_set) == ("count", "learn")
    assert [point.threshold for point in rich.points] == [0.1, 0.3]
    assert [threshold for threshold, _ in rich.everyone] == [0.1, 0.2, 0.3]


def test_a_decision_curve_shows_all_none_and_every_feature_set() -> None:
    text = parsed(decision_curve(curves(), "decision"))
    for words in ("Act on no one", "Act on all", "Counts", "LEARN (counts + embeddings)"):
        assert words in text
    nothing = [replace(curve, points=()) for curve in curves()]
    assert decision_curve(nothing, "decision") is None


def group(name: str, attribute: str, estimate: float | None) -> SubgroupRow:
    limits = (None, None) if estimate is None else (estimate - 0.1, estimate + 0.1)
    reason = "withheld: few" if estimate is None else None
    return SubgroupRow("learn", "svm", attribute, name, None, "auroc", estimate, *limits, reason)


def test_a_forest_names_withheld_groups_and_shows_no_number_of_theirs() -> None:
    rows = [group("female", "sex", 0.7), group("Asian", "race", None)]
    text = parsed(subgroup_forest(rows, "forest"))
    assert "0.70 [0.60, 0.80]" in text
    assert "Asian: withheld" in text
    assert subgroup_forest([group("Asian", "race", None)], "forest") is None
    frame = empty_frame("subgroup_performance")
    assert subgroup_rows(frame) == ()
    assert subgroup_forest(subgroup_rows(frame), "forest") is None


def explained(method: str, subject: str, direction: float | None, **more: object) -> pl.DataFrame:
    row = {
        "feature_set": "count",
        "learner": "xgboost",
        "method": method,
        "kind": "diagnosis",
        "subject": subject,
        "estimate": 0.2,
        "lower": 0.1,
        "upper": 0.3,
        "direction": direction,
        **more,
    }
    return pl.DataFrame([row], schema=empty_frame("explanations").schema)


def test_a_name_with_dollar_signs_is_no_formula() -> None:
    names = (r"$\frac{$", "a$b$", "1 < $2$ & 3", r"\$5")
    text = parsed(subgroup_forest([group(name, "race", 0.7) for name in names], "forest"))
    for name in names:
        # Once in the description, once in the drawing.
        assert text.count(name) == 2


@pytest.mark.parametrize(
    ("direction", "words"),
    [(0.8, "raises risk"), (-0.8, "lowers risk"), (0.02, "either way")],
)
def test_bars_say_in_which_way_a_feature_moves_the_risk(direction: float, words: str) -> None:
    rows = explanation_rows(explained("shap", "diagnosis|ICD-10-CM|R21", direction, words="Rash"))
    figure = explanation_bars(rows, "bars")
    assert f"Rash: 0.200, {words}" in parsed(figure)


def test_subjects_are_in_words_and_rows_without_an_estimate_are_not_drawn() -> None:
    frame = pl.concat(
        [
            explained("shap", "age_at_index", 0.5, kind="demographics"),
            explained("shap", "missing|lab|LOINC|1-1", -0.5, kind="lab_result", words="Protein"),
            explained("permutation", "text", None),
            explained("occlusion", "Skin", None, estimate=None, reason="fewer than 11"),
        ]
    )
    rows = explanation_rows(frame)
    assert {row.words for row in rows} == {
        "Age",
        "Protein (not measured)",
        "Diagnoses: text",
        "Diagnoses: Skin",
    }
    assert explanation_bars([row for row in rows if row.method == "occlusion"], "bars") is None
    ordered: list[ExplanationRow] = [row for row in rows if row.method == "permutation"]
    assert "Diagnoses: text: 0.200" in parsed(explanation_bars(ordered, "bars"))
