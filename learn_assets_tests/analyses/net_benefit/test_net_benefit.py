"""Net benefit against the package dcurves; which points of a curve may be shown."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from learn_assets.analyses.net_benefit.computation import (
    default_thresholds,
    net_benefit,
    net_benefits,
    shown_thresholds,
)
from learn_assets.schemas.registry import empty_frame
from learn_assets.statistics.patient_draws import patient_weights


def predictions(patients: int, cases: int, seed: int = 0, effect: float = 1.5) -> pl.DataFrame:
    generator = np.random.default_rng(seed)
    labels = np.repeat([1, 0], [cases, patients - cases])
    score = 1 / (1 + np.exp(-generator.normal(labels * effect - 2.0, 1)))
    return pl.DataFrame(
        {
            "patient_id": [f"P{number:05d}" for number in range(patients)],
            "fold": [number % 5 for number in range(patients)],
            "feature_set": "learn",
            "learner": "svm",
            "probability": score,
            "label": labels,
        },
        schema_overrides={"label": pl.Int8, "fold": pl.Int32},
    )


def test_net_benefit_is_that_of_dcurves() -> None:
    from dcurves import dca

    frame = predictions(4000, 1000)
    grid = [0.1, 0.15, 0.2, 0.3, 0.4]
    table = frame.select("probability", "label").to_pandas()
    theirs = dca(data=table, outcome="label", modelnames=["probability"], thresholds=np.array(grid))
    ours = net_benefit(frame, grid, minimum_cell=11, resamples=20)
    assert ours["reason"].null_count() == len(grid)
    for model, column in (("probability", "net_benefit"), ("all", "net_benefit_of_all")):
        expected = theirs[theirs["model"] == model].sort_values("threshold")["net_benefit"]
        assert ours[column].to_numpy() == pytest.approx(expected.to_numpy())
    standardized = ours["net_benefit"].to_numpy() / 0.25
    assert ours["standardized_net_benefit"].to_numpy() == pytest.approx(standardized)


def test_the_difference_is_to_the_better_of_all_and_none() -> None:
    ours = net_benefit(predictions(4000, 1000), [0.1, 0.5], minimum_cell=11, resamples=100)
    low, high = ours.iter_rows(named=True)
    assert low["difference"] == pytest.approx(low["net_benefit"] - low["net_benefit_of_all"])
    assert high["net_benefit_of_all"] < 0
    assert high["difference"] == pytest.approx(high["net_benefit"])
    for row in (low, high):
        assert row["lower"] < row["net_benefit"] < row["upper"]
        assert row["difference_lower"] < row["difference"] < row["difference_upper"]


def test_draws_are_net_benefits_of_repeated_patients() -> None:
    frame = predictions(80, 30)
    scores, labels = frame["probability"].to_numpy(), frame["label"].to_numpy()
    grid = np.array([0.2, 0.4])
    measured = net_benefits(scores, labels, grid, resamples=3, seed=5)
    (weights,) = patient_weights(80, 3, seed=5)
    assert weights.sum(axis=1).tolist() == [80, 80, 80]
    for row in range(3):
        drawn = np.repeat(np.arange(80), weights[row].astype(int))
        again = net_benefits(scores[drawn], labels[drawn], grid, resamples=1)
        assert measured.model_draws[row] == pytest.approx(again.model)
        assert measured.everyone_draws[row] == pytest.approx(again.everyone)


def test_without_signal_no_threshold_beats_all_and_none_for_sure() -> None:
    # Predictions that say the share of cases and noise: useless, but calibrated on average.
    generator = np.random.default_rng(3)
    frame = predictions(2000, 500).with_columns(
        pl.Series("probability", np.clip(0.25 + generator.normal(0, 0.1, 2000), 0.001, 0.999))
    )
    ours = net_benefit(frame, minimum_cell=11, resamples=200).drop_nulls("net_benefit")
    assert ours.height >= 5
    assert (ours["difference_lower"] > 0).sum() == 0


def test_no_shown_point_or_step_counts_few_patients() -> None:
    frame = predictions(300, 60, seed=2)
    labels, risk = frame["label"].to_numpy(), frame["probability"].to_numpy()
    grid = np.linspace(0.01, 0.9, 90)
    shown = grid[shown_thresholds(risk, labels, grid, 11)]
    assert 2 <= len(shown) < len(grid)
    # What a reader can work out: the counts at every pair of points, and beyond the ends.
    edges = [-1.0, *shown.tolist(), 2.0]
    for low in edges:
        for high in (edge for edge in edges if edge > low):
            between = (risk >= low) & (risk < high)
            for label in (0, 1):
                count = int((between & (labels == label)).sum())
                assert count == 0 or count >= 11


def test_a_planted_group_of_five_at_the_top_is_not_counted() -> None:
    frame = predictions(400, 100, seed=4).with_columns(
        pl.when(pl.int_range(400) < 5)
        .then(0.99)
        .otherwise(pl.col("probability") * 0.8)
        .alias("probability")
    )
    ours = net_benefit(frame, [0.2, 0.9, 0.95], minimum_cell=11, resamples=20)
    assert ours["net_benefit"].null_count() == 2
    assert ours.filter(pl.col("threshold") >= 0.9)["reason"].null_count() == 0


def test_few_cases_have_no_curve_and_a_reason() -> None:
    ours = net_benefit(predictions(300, 10), minimum_cell=11)
    assert ours.schema == empty_frame("net_benefit").schema
    assert ours["reason"].to_list() == ["fewer than 11 cases or controls"]
    assert ours.drop("feature_set", "learner", "reason").row(0) == (None,) * 9
    assert net_benefit(predictions(300, 30).clear(), minimum_cell=11).is_empty()


def test_thresholds_surround_the_share_of_cases_and_rows_may_come_in_any_order() -> None:
    for prevalence in (0.02, 0.1, 0.2, 0.5, 0.8):
        grid = default_thresholds(prevalence)
        assert 5 <= len(grid) <= 60
        assert min(grid) < prevalence < max(grid) < 1
    frame = predictions(500, 150)
    shuffled = frame.sample(fraction=1, shuffle=True, seed=1)
    first, second = (net_benefit(item, minimum_cell=11, resamples=30) for item in (frame, shuffled))
    assert first.equals(second)
