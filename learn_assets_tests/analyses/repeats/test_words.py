"""Repeated cross-validation in words."""

from __future__ import annotations

from learn_assets.analyses.repeats.words import repeats_table
from learn_assets_tests.analyses.shown import filled


def test_the_mean_stands_with_its_spread() -> None:
    repeats = filled(
        "repeated_cross_validation",
        [
            {"feature_set": "count", "learner": "svm", "repeat": 1, "auroc": 0.6},
            {
                "feature_set": "count",
                "learner": "svm",
                "auroc": 0.61,
                "lower": 0.5,
                "upper": 0.7,
                "standard_deviation": 0.012,
            },
        ],
    )
    assert "| count | svm | 0.610 (0.500 to 0.700) | 0.012 |" in repeats_table(repeats)
