"""Index dates and labels: what is planted is found, and labels that do not depend on dates pass."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from learn_assets.evaluation.label_dates import label_dates
from learn_assets.study.windows import Window

WINDOW = Window(length_in_system=365, buffer_period=90, follow_up_period=1000)
START, END = date(2010, 1, 1), date(2020, 1, 1)


def cohort(*, complete: bool, patients: int = 3000, seed: int = 0) -> pl.DataFrame:
    """Return labels of patients indexed until 2019; one in five progresses within the window.

    complete: everyone's outcome is known; else as the data tell it: late controls have none.
    """
    generator = np.random.default_rng(seed)
    offset = generator.integers(0, 3285, patients)
    progresses = generator.random(patients) < 0.2
    onset = generator.integers(90, 1000, patients)
    rows = []
    for number in range(patients):
        day = START + timedelta(days=int(offset[number]))
        ends = day + timedelta(days=WINDOW.follow_up_period)
        label: int | None = int(progresses[number])
        seen = day + timedelta(days=int(onset[number])) <= END if label else ends <= END
        rows.append({"index_date": day, "label": label if complete or seen else None})
    return pl.DataFrame(rows, schema={"index_date": pl.Date, "label": pl.Int8})


def test_late_patients_that_can_only_be_cases_are_counted_and_told_by_their_date() -> None:
    frame = cohort(complete=False)
    found = label_dates(frame, WINDOW, END, minimum_cell=11)
    late = frame.filter(pl.col("index_date") > END - timedelta(days=1000))
    assert set(late["label"].drop_nulls()) == {1}
    assert found.cut_short == late["label"].count() > 50
    assert found.everyone is not None
    assert found.everyone.lower > 0.5
    # Whoever is followed for the whole window is labeled whatever happens.
    assert found.whole is not None
    assert found.whole.lower <= 0.5 <= found.whole.upper


def test_the_area_is_the_share_of_pairs_in_which_the_case_is_later() -> None:
    frame = cohort(complete=False, patients=300)
    labeled = frame.drop_nulls("label")
    cases = labeled.filter(label=1)["index_date"].to_list()
    controls = labeled.filter(label=0)["index_date"].to_list()
    wins = sum((case > control) + 0.5 * (case == control) for case in cases for control in controls)
    found = label_dates(frame, WINDOW, END, minimum_cell=11)
    assert found.everyone is not None
    assert found.everyone.estimate == pytest.approx(wins / (len(cases) * len(controls)))


def test_labels_of_long_data_do_not_depend_on_dates() -> None:
    frame = cohort(complete=True)
    found = label_dates(frame, WINDOW, date(2030, 1, 1), minimum_cell=11)
    assert found.cut_short == 0
    assert found.everyone == found.whole
    assert found.everyone is not None
    assert found.everyone.lower <= 0.5 <= found.everyone.upper


def test_few_cases_or_controls_have_no_area() -> None:
    frame = pl.DataFrame(
        {"index_date": [START] * 30, "label": [1] * 10 + [0] * 20},
        schema_overrides={"label": pl.Int8},
    )
    found = label_dates(frame, WINDOW, END, minimum_cell=11)
    assert found.everyone is None
    assert found.whole is None
