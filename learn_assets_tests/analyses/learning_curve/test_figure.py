"""Learning curve in a figure and in words."""

from __future__ import annotations

import polars as pl
import pytest

from learn_assets.analyses.learning_curve.figure import learning_curves
from learn_assets.analyses.learning_curve.words import learning_table
from learn_assets_tests.analyses.shown import filled, text_of


@pytest.fixture
def curve() -> pl.DataFrame:
    sizes = (8, 16, 32, 64, 100)
    return filled(
        "learning_curve",
        [
            {
                "feature_set": feature_set,
                "learner": "elastic_net",
                "training_patients": size,
                "draws": 2,
                "auroc": 0.5 + size / 400 + lift,
                "lower": 0.45,
                # A perfect ranking has no limits.
                "upper": None if size == 100 else 0.8,
            }
            for feature_set, lift in (("count", 0.0), ("learn", 0.05))
            for size in sizes
        ],
    )


def test_a_learning_curve_names_every_feature_set_and_size(curve: pl.DataFrame) -> None:
    figure = learning_curves(curve, "elastic_net", "learning")
    text = text_of(figure)
    assert "LEARN" in text
    assert "64 patients 0.66" in text
    assert learning_curves(curve, "svm", "learning") is None
    assert learning_curves(curve.head(1), "elastic_net", "learning") is None
    assert learning_table(curve).count("\n") == curve.height + 1
