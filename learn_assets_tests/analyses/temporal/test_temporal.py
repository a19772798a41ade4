"""Temporal hold-out: labels as they were known by the cut, against a naive loop over patients."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from learn_assets.analyses.temporal.computation import (
    TemporalSplit,
    temporal_split,
    temporal_validation,
)
from learn_assets.modeling.leakage import LeakError
from learn_assets.modeling.pipeline import Cell, build_cell
from learn_assets.schemas.registry import empty_frame
from learn_assets.study import TemporalOptions
from learn_assets.study.windows import Window
from learn_assets_tests.modeling.site import SMALL, cell_tables

WINDOW = Window.model_validate({"LIS": 365, "BP": 30, "FUP": 365})
END = date(2020, 12, 31)
CUT = date(2018, 3, 1)
LINEAR = replace(SMALL, learners=("elastic_net",), feature_sets=("count",))


def dated(seed: int, ids: list[str], labels: list[int | None]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return a cohort and when its outcomes were confirmed, at random but true to the labels."""
    draw = np.random.default_rng(seed)
    rows, confirmed = [], []
    for patient, label in zip(ids, labels, strict=True):
        index = date(2015, 1, 1) + timedelta(days=int(draw.integers(0, 1900)))
        case = label == 1
        # A case's second record may come months after the window is over.
        days = int(draw.integers(31, 366)) if case else int(draw.integers(366, 900))
        later = int(draw.integers(0, 200))
        if case:
            confirmed.append((patient, index + timedelta(days=days + later)))
        rows.append((patient, label, index, days, case))
    cohort = pl.DataFrame(
        rows,
        schema={
            "patient_id": pl.String,
            "label": pl.Int8,
            "index_date": pl.Date,
            "time_to_event_days": pl.Int32,
            "event_observed": pl.Boolean,
        },
        orient="row",
    )
    known = pl.DataFrame(
        confirmed, schema={"patient_id": pl.String, "confirmed_date": pl.Date}, orient="row"
    )
    return cohort, known


def random_site(seed: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    draw = np.random.default_rng(seed)
    ids = [f"P{number:03d}" for number in range(300)]
    labels = [None if value == 2 else int(value) for value in draw.integers(0, 3, 300)]
    return dated(seed, ids, labels)


def split_of(seed: int, **options: object) -> tuple[TemporalSplit, pl.DataFrame, pl.DataFrame]:
    cohort, confirmed = random_site(seed)
    chosen = TemporalOptions.model_validate(options)
    split = temporal_split(cohort, confirmed, WINDOW, END, chosen)
    assert split is not None
    return split, cohort, confirmed


@pytest.mark.parametrize("seed", range(3))
def test_parts_are_those_of_a_loop_over_patients(seed: int) -> None:
    split, cohort, confirmed = split_of(seed, cut=CUT)
    known = dict(confirmed.iter_rows())
    parts: dict[str, list[str]] = {}
    for row in cohort.sort("patient_id").iter_rows(named=True):
        if row["label"] is None:
            continue
        over = row["index_date"] + timedelta(days=365)
        settled = max(over, known.get(row["patient_id"], over))
        if row["index_date"] >= CUT:
            part = "later" if over <= END else "later_open"
        elif over >= CUT:
            part = "open"
        else:
            part = "training" if settled < CUT else "unconfirmed"
        parts.setdefault(part, []).append(row["patient_id"])
    ids = np.array(split.patient_ids)
    assert ids[split.training].tolist() == parts["training"]
    assert ids[split.later].tolist() == parts["later"]
    assert split.open_window == len(parts["open"])
    assert split.unconfirmed == len(parts["unconfirmed"])
    assert split.later_open == len(parts["later_open"])
    assert sum(map(len, parts.values())) == len(ids)


@pytest.mark.parametrize("seed", range(3))
def test_what_happens_from_the_cut_on_changes_no_label_that_is_learned_from(seed: int) -> None:
    """The records end on the day before the cut: every label learned from can still be told."""
    split, cohort, confirmed = split_of(seed, cut=CUT)
    known = dict(confirmed.iter_rows())
    rows = {row["patient_id"]: row for row in cohort.iter_rows(named=True)}
    for place in split.training:
        row = rows[split.patient_ids[place]]
        seen = known.get(row["patient_id"])
        outcome = row["index_date"] + timedelta(days=row["time_to_event_days"])
        told = seen is not None and seen < CUT
        within = told and 30 < (outcome - row["index_date"]).days <= 365
        window_over = row["index_date"] + timedelta(days=365) < CUT
        assert (1 if within else 0 if window_over else None) == row["label"]


def test_without_a_day_the_cut_is_the_first_of_a_month_near_the_share() -> None:
    split, cohort, _ = split_of(1, later_share=0.3)
    assert split.cut.day == 1
    labeled = cohort.drop_nulls("label").filter(pl.col("index_date") + pl.duration(days=365) <= END)
    share = (labeled["index_date"] >= split.cut).mean()
    assert share == pytest.approx(0.3, abs=0.04)


def test_nobody_whose_window_is_over_is_no_split() -> None:
    cohort, confirmed = random_site(0)
    assert temporal_split(cohort, confirmed, WINDOW, date(2015, 1, 1), TemporalOptions()) is None


def made_cell(labeled: int = 200) -> tuple[Cell, pl.DataFrame, pl.DataFrame]:
    cell = build_cell(cell_tables(labeled=labeled, signal=3.0), LINEAR)
    ids = cell.blocks.patient_ids[cell.labeled].tolist()
    cohort, confirmed = dated(3, ids, cell.labels.tolist())
    return cell, cohort, confirmed


def test_later_patients_are_judged_by_models_of_the_earlier_ones() -> None:
    cell, cohort, confirmed = made_cell()
    split = temporal_split(cohort, confirmed, WINDOW, END, TemporalOptions(cut=CUT))
    assert split is not None
    judged = temporal_validation(cell, split, LINEAR, resamples=20)
    assert judged.reason is None
    assert judged.frame.schema == empty_frame("temporal_validation").schema
    assert judged.frame["cut_date"].unique().to_list() == [CUT]
    model = judged.frame.filter(pl.col("feature_set") == "count")
    found = dict(model.select("metric", "estimate").iter_rows())
    assert found["auroc"] > 0.7
    assert found["n"] == len(split.later)
    assert found["training_n"] == len(split.training)
    assert found["training_prevalence"] == pytest.approx(cell.labels[split.training].mean())
    assert found["left_out_window_open"] == split.open_window


def test_a_label_of_after_the_cut_is_found_out() -> None:
    cell, cohort, confirmed = made_cell()
    split = temporal_split(cohort, confirmed, WINDOW, END, TemporalOptions(cut=CUT))
    assert split is not None
    settled = {*split.training.tolist(), *split.later.tolist()}
    open_row = next(row for row in range(len(split.patient_ids)) if row not in settled)
    planted = replace(split, training=np.sort(np.append(split.training, open_row)))
    with pytest.raises(LeakError, match="1 labels"):
        temporal_validation(cell, planted, LINEAR)
    both = replace(split, later=np.append(split.later, split.training[0]))
    with pytest.raises(LeakError, match="1 patients are both"):
        temporal_validation(cell, both, LINEAR)


def test_too_few_earlier_cases_give_a_reason() -> None:
    cell, cohort, confirmed = made_cell()
    early = TemporalOptions(cut=date(2016, 1, 15))
    split = temporal_split(cohort, confirmed, WINDOW, END, early)
    judged = temporal_validation(cell, split, LINEAR)
    assert judged.frame.is_empty()
    assert judged.reason is not None
    assert "before 2016-01-15" in judged.reason
    assert temporal_validation(cell, None, LINEAR).reason is not None


def test_the_share_of_cases_is_withheld_when_few_cases_were_left_out() -> None:
    cell, cohort, confirmed = made_cell()
    ordered = cohort.sort("patient_id")
    labels = ordered["label"].to_numpy()
    # Learned from, judged, and left out with an open window: a hundred, eighty, and twenty.
    cases, controls = np.flatnonzero(labels == 1), np.flatnonzero(labels == 0)
    for few, shown in ((3, False), (12, True)):
        open_window = [*cases[:few], *controls[: 24 - few]]
        days = np.where(np.arange(len(labels)) % 2 == 0, date(2016, 1, 1), date(2019, 1, 1))
        days[open_window] = date(2018, 1, 1)
        dates = ordered.with_columns(pl.Series("index_date", days.tolist(), dtype=pl.Date))
        known = confirmed.with_columns(pl.lit(date(2016, 6, 1)).alias("confirmed_date"))
        split = temporal_split(dates, known, WINDOW, END, TemporalOptions(cut=CUT))
        judged = temporal_validation(cell, split, LINEAR, resamples=20).frame
        found = set(judged["metric"])
        assert {"training_n", "left_out_window_open"} <= found
        assert ("training_prevalence" in found) == shown


def test_what_would_tell_of_few_earlier_cases_is_not_said_of_the_later_ones() -> None:
    cell, cohort, confirmed = made_cell()
    ordered = cohort.sort("patient_id")
    labels = ordered["label"].to_numpy()
    # Before the cut are four cases among seventy patients: all cases are shown elsewhere.
    early = [*np.flatnonzero(labels == 1)[:4], *np.flatnonzero(labels == 0)[:66]]
    days = np.full(len(labels), date(2019, 1, 1))
    days[early] = date(2016, 1, 1)
    dates = ordered.with_columns(pl.Series("index_date", days.tolist(), dtype=pl.Date))
    known = confirmed.with_columns(pl.lit(date(2016, 6, 1)).alias("confirmed_date"))
    split = temporal_split(dates, known, WINDOW, END, TemporalOptions(cut=CUT))
    found = set(temporal_validation(cell, split, LINEAR, resamples=20).frame["metric"])
    assert {"n", "auroc", "brier"} <= found
    assert not {"cases", "prevalence", "scaled_brier", "training_prevalence"} & found
    assert not [metric for metric in found if "_at_specificity_" in metric]


def test_no_number_gives_a_small_count_away() -> None:
    cell, cohort, confirmed = made_cell()
    ids = cell.blocks.patient_ids[cell.labeled].tolist()
    ordered = cohort.sort("patient_id").with_columns(
        # Windows of all but three earlier patients are over, and those three are not.
        pl.when(pl.int_range(pl.len()) < 100)
        .then(pl.lit(date(2016, 1, 1)))
        .otherwise(pl.lit(date(2019, 1, 1)))
        .alias("index_date")
    )
    three = ordered["patient_id"].to_list()[:3]
    ordered = ordered.with_columns(
        pl.when(pl.col("patient_id").is_in(three))
        .then(pl.lit(date(2018, 1, 1)))
        .otherwise(pl.col("index_date"))
        .alias("index_date")
    )
    known = confirmed.with_columns(pl.lit(date(2016, 6, 1)).alias("confirmed_date"))
    assert len(ids) == ordered.height
    split = temporal_split(ordered, known, WINDOW, END, TemporalOptions(cut=CUT))
    assert split is not None
    assert (split.open_window, split.unconfirmed, split.later_open) == (3, 0, 0)
    judged = temporal_validation(cell, split, LINEAR, resamples=20)
    found = dict(judged.frame.select("metric", "estimate").iter_rows())
    # Labeled minus later minus training would be three.
    assert found["n"] == len(split.later)
    assert not {"training_n", "left_out_window_open", "training_prevalence"} & set(found)
