"""Bars of explanations: directions and subjects in words."""

from __future__ import annotations

import polars as pl
import pytest

from learn_assets.analyses.explanations.figure import (
    ExplanationRow,
    explanation_bars,
    explanation_rows,
)
from learn_assets.schemas.registry import empty_frame
from learn_assets_tests.analyses.shown import text_of


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


@pytest.mark.parametrize(
    ("direction", "words"),
    [(0.8, "raises risk"), (-0.8, "lowers risk"), (0.02, "either way")],
)
def test_bars_say_in_which_way_a_feature_moves_the_risk(direction: float, words: str) -> None:
    rows = explanation_rows(explained("shap", "diagnosis|ICD-10-CM|R21", direction, words="Rash"))
    figure = explanation_bars(rows, "bars")
    assert f"Rash: 0.200, {words}" in text_of(figure)


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
    assert "Diagnoses: text: 0.200" in text_of(explanation_bars(ordered, "bars"))
