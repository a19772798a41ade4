"""A study whose every window is empty says why, and one with a patient goes on."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import polars as pl

from learn_assets.cohort.empty import no_cohort_anywhere
from learn_assets.lake import Lake
from learn_assets_tests.canonical import study_of

STUDY = study_of(windows=[{"LIS": 365, "BP": 90, "FUP": 1825}, {"LIS": 365, "BP": 90, "FUP": 730}])


def lake_with(folder: Path, *remaining: list[int]) -> Lake:
    """Return a lake with the attrition and the cohort of each window."""
    lake = Lake(folder)
    for window, left in zip(STUDY.windows, remaining, strict=False):
        removed = [0, *(before - after for before, after in pairwise(left))]
        steps = pl.DataFrame(
            {
                "step": range(len(left)),
                "name": ["index_event", "age_at_index", "length_in_system"][: len(left)],
                "remaining": left,
                "removed": removed,
            }
        )
        lake.write("attrition", steps, window=window)
        lake.write("cohort", pl.DataFrame({"patient_id": ["p"] * left[-1]}), window=window)
    return lake


def test_the_rule_that_removed_most_is_named_with_its_count(tmp_path: Path) -> None:
    message = no_cohort_anywhere(STUDY, lake_with(tmp_path, [300, 280, 0], [300, 40, 0]))
    assert message is not None
    assert "`length_in_system` removed most (280 patients)" in message
    assert "`age_at_index` removed most (260 patients)" in message


def test_without_an_index_event_nothing_else_is_blamed(tmp_path: Path) -> None:
    message = no_cohort_anywhere(STUDY, lake_with(tmp_path, [0, 0, 0], [0, 0, 0]))
    assert message is not None
    assert message.count("no patient has an index event") == 1
    assert "removed most" not in message


def test_a_small_count_is_masked(tmp_path: Path) -> None:
    message = no_cohort_anywhere(STUDY, lake_with(tmp_path, [7, 0], [7, 0]))
    assert message is not None
    assert "(<11 patients)" in message


def test_one_window_with_a_patient_goes_on(tmp_path: Path) -> None:
    assert no_cohort_anywhere(STUDY, lake_with(tmp_path, [300, 0], [300, 1])) is None


def test_a_window_that_was_not_made_explains_itself(tmp_path: Path) -> None:
    assert no_cohort_anywhere(STUDY, lake_with(tmp_path, [300, 0])) is None
