"""Treatments of rare cases in a figure and in words."""

from __future__ import annotations

from learn_assets.analyses.imbalance.figure import imbalance_forest
from learn_assets.analyses.imbalance.words import imbalance_table
from learn_assets_tests.analyses.shown import filled, text_of


def test_treatments_stand_side_by_side() -> None:
    rows = [
        {
            "imbalance": treatment,
            "feature_set": "count",
            "learner": "elastic_net",
            "metric": metric,
            "estimate": 0.5,
            "lower": 0.4,
            "upper": 0.6,
        }
        for treatment in ("none", "weights", "smote")
        for metric in ("auroc", "calibration_intercept", "calibration_slope")
    ]
    table = filled("imbalance_sensitivity", rows)
    text = text_of(imbalance_forest(table, "elastic_net", "imbalance"))
    assert {"SMOTE", "Weights", "Counts"} <= {word.strip("\n ") for word in text.split("\n")}
    assert imbalance_forest(table, "svm", "imbalance") is None
    assert imbalance_table(table).count("0.500 (0.400 to 0.600)") == 9
