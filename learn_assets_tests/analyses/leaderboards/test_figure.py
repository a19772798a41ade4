"""Leaderboard in a figure and in words: every cell, and no small count."""

from __future__ import annotations

import polars as pl
import pytest

from learn_assets.analyses.leaderboards.figure import cell_heat_map
from learn_assets.analyses.leaderboards.words import leaderboard_table
from learn_assets_tests.analyses.shown import filled, text_of

MODEL = ("learn", "elastic_net")


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


def test_a_heat_map_has_every_cell_and_no_small_count(board: pl.DataFrame) -> None:
    text = text_of(cell_heat_map(board, *MODEL, "board"))
    assert text.count("0.71 [0.65, 0.77]") >= 3
    assert "700 patients, 105 cases" in text
    assert "700 patients, cases not shown" in text
    assert "too few patients" in text
    assert cell_heat_map(board, "count", "svm", "board") is None
    words = leaderboard_table(board, MODEL)
    assert "chosen by the others | any | minilm | 640" in words
