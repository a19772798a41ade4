"""Transfer in words: a program reads the numbers that the tables show."""

from __future__ import annotations

import polars as pl

from learn_assets.analyses.transfer.words import (
    comparison_rows,
    comparison_table,
    differences_rows,
    differences_table,
)
from learn_assets.schemas.registry import empty_frame


def test_rows_of_a_comparison_are_those_of_its_table() -> None:
    place = ("external", "as_is", "learn", "xgboost")
    rows = [
        (*place, "auroc", None, 0.71249, 0.6, 0.81251, None),
        (*place, "calibration_slope", None, 0.9, None, None, None),
        (*place, "auroc_minus_own", None, None, None, None, None),
    ]
    frame = pl.DataFrame(rows, schema=empty_frame("external_validation").schema, orient="row")
    (row,) = comparison_rows(frame)
    assert row["auroc"] == {"value": 0.712, "lower": 0.6, "upper": 0.813}
    assert row["calibration_slope"] == {"value": 0.9, "lower": None, "upper": None}
    assert row["auroc_minus_own"] is None
    shown = "| external | as_is | learn | xgboost | 0.712 (0.600 to 0.813) | 0.900 | - |"
    assert shown in comparison_table(frame).splitlines()


def test_rows_of_differences_are_those_of_their_table() -> None:
    frame = pl.DataFrame(
        {
            "model": ["external"] * 2,
            "aspect": ["case_mix", "features_found"],
            "name": ["age", "lab|loinc|1"],
            "source": [51.23456, 12345.6],
            "here": [0.0, 3.0],
            "standardized_difference": [-0.126, None],
        }
    )
    first, second = differences_rows(frame)
    assert (first["source"], first["here"], first["standardized_difference"]) == (51.23, 0, -0.13)
    assert (second["source"], second["standardized_difference"]) == (12350, None)
    *_, first_line, second_line = differences_table(frame).splitlines()
    assert first_line == "| external | case_mix | age | 51.23 | 0 | -0.13 |"
    assert second_line == "| external | features_found | lab loinc 1 | 1.235e+04 | 3 |  |"
