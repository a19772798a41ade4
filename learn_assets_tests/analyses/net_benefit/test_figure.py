"""Decision curves: of one learner, and drawn only from what there is."""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from learn_assets.analyses.net_benefit.figure import DecisionCurve, decision_curve, decision_curves
from learn_assets.schemas.registry import empty_frame
from learn_assets_tests.analyses.shown import text_of


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
    text = text_of(decision_curve(curves(), "decision"))
    for words in ("Act on no one", "Act on all", "Counts", "LEARN (counts + embeddings)"):
        assert words in text
    nothing = [replace(curve, points=()) for curve in curves()]
    assert decision_curve(nothing, "decision") is None
