"""Temporal validation in words."""

from __future__ import annotations

from learn_assets.analyses.temporal.words import temporal_table
from learn_assets_tests.analyses.shown import filled


def test_later_patients_in_words() -> None:
    later = filled(
        "temporal_validation",
        [{"feature_set": "count", "learner": "svm", "metric": "auroc", "estimate": 0.6}],
    )
    assert "| count | svm | - | 0.600 | - | - | - |" in temporal_table(later)
