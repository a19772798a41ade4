"""Evaluation options: what a study may ask for, and what it may not."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from learn_assets.study.evaluation import EvaluationOptions


@pytest.mark.parametrize(
    "wrong",
    [
        {"specificities": []},
        {"specificities": [0.9, 1.0]},
        {"specificities": [0.95, 0.9]},
        {"decision_thresholds": [0.0, 0.1]},
        {"decision_thresholds": [0.1, 0.1]},
        {"age_bands": [0, 40]},
        {"age_bands": [60, 40]},
        {"recency_days": [-1]},
        {"explained_features": 0},
        {"typing_error": 1},
    ],
)
def test_what_makes_no_sense_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        EvaluationOptions.model_validate(wrong)


def test_bands_and_thresholds_may_be_left_out_or_chosen() -> None:
    chosen = EvaluationOptions.model_validate(
        {"age_bands": [], "recency_days": [], "decision_thresholds": [0.05, 0.1]}
    )
    assert chosen.age_bands == chosen.recency_days == ()
    assert chosen.decision_thresholds == (0.05, 0.1)
