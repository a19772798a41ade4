"""Figures and words of sensitivity analyses: well formed, complete, and quiet about small cells."""

from __future__ import annotations

from xml.etree import ElementTree

import polars as pl
import pytest

from learn_assets.analyses.imbalance.figure import imbalance_forest
from learn_assets.analyses.imbalance.words import imbalance_table
from learn_assets.analyses.leaderboards.figure import cell_heat_map
from learn_assets.analyses.leaderboards.words import leaderboard_table
from learn_assets.analyses.learning_curve.figure import learning_curves
from learn_assets.analyses.learning_curve.words import learning_table
from learn_assets.analyses.repeats.words import repeats_table
from learn_assets.analyses.temporal.words import temporal_table
from learn_assets.reporting.figures import SvgFigure
from learn_assets.schemas.registry import empty_frame

MODEL = ("learn", "elastic_net")


def text_of(figure: SvgFigure | None) -> str:
    assert figure is not None
    root = ElementTree.fromstring(figure.svg)
    assert [element.text for element in root[:2]] == [figure.title, figure.alternative]
    return "\n".join(root.itertext())


def filled(table: str, rows: list[dict[str, object]]) -> pl.DataFrame:
    """Return rows of a table, empty where nothing is said."""
    columns = empty_frame(table).schema
    return pl.DataFrame([{name: row.get(name) for name in columns} for row in rows], schema=columns)


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


@pytest.fixture
def board() -> pl.DataFrame:
    shared = {"feature_set": MODEL[0], "learner": MODEL[1], "auroc": 0.71, "lower": 0.65}
    cells = [
        {
            **shared,
            "basis": "cell",
            "window": window,
            "encoder": encoder,
            "upper": 0.77,
            "patients": patients,
            "cases": cases,
            "times_chosen": 3,
        }
        for window, encoder, patients, cases in (
            ("LIS-365_BP-90_FUP-730", "minilm", 700, 105),
            ("LIS-365_BP-90_FUP-730", "other", 700, None),
            ("LIS-730_BP-90_FUP-730", "minilm", None, None),
        )
    ]
    chosen = {**shared, "basis": "chosen", "encoder": "minilm", "patients": 640, "upper": 0.76}
    return filled("window_leaderboard", [*cells, chosen])


def test_a_learning_curve_names_every_feature_set_and_size(curve: pl.DataFrame) -> None:
    figure = learning_curves(curve, "elastic_net", "learning")
    text = text_of(figure)
    assert "LEARN" in text
    assert "64 patients 0.66" in text
    assert learning_curves(curve, "svm", "learning") is None
    assert learning_curves(curve.head(1), "elastic_net", "learning") is None
    assert learning_table(curve).count("\n") == curve.height + 1


def test_a_heat_map_has_every_cell_and_no_small_count(board: pl.DataFrame) -> None:
    text = text_of(cell_heat_map(board, *MODEL, "board"))
    assert text.count("0.71 [0.65, 0.77]") >= 3
    assert "700 patients, 105 cases" in text
    assert "700 patients, cases not shown" in text
    assert "too few patients" in text
    assert cell_heat_map(board, "count", "svm", "board") is None
    words = leaderboard_table(board, MODEL)
    assert "chosen by the others | any | minilm | 640" in words


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


def test_repeats_and_later_patients_in_words() -> None:
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
    later = filled(
        "temporal_validation",
        [{"feature_set": "count", "learner": "svm", "metric": "auroc", "estimate": 0.6}],
    )
    assert "| count | svm | - | 0.600 | - | - | - |" in temporal_table(later)
