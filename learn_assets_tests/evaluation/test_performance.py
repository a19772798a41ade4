"""The performance table: what it holds, what it withholds, and why."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from learn_assets.evaluation.performance import (
    METRICS,
    curves,
    performance,
)
from learn_assets.schemas.registry import empty_frame


def predictions(patients: int = 300, cases: int = 90, seed: int = 0) -> pl.DataFrame:
    generator = np.random.default_rng(seed)
    labels = np.repeat([1, 0], [cases, patients - cases])
    score = 1 / (1 + np.exp(-generator.normal(labels * 1.2 - 1.2, 1)))
    return pl.DataFrame(
        {
            "patient_id": [f"P{number}" for number in range(patients)],
            "fold": [number % 5 for number in range(patients)],
            "feature_set": "learn",
            "learner": "svm",
            "probability": score,
            "label": labels,
        },
        schema_overrides={"label": pl.Int8, "fold": pl.Int32},
    )


def test_every_metric_is_there_with_sensible_limits() -> None:
    result = performance(predictions(), minimum_cell=11, resamples=200)
    assert result.frame.schema == empty_frame("performance").schema
    assert result.absent == ()
    found = {row["metric"]: row for row in result.frame.iter_rows(named=True)}
    assert tuple(found) == METRICS
    assert (found["n"]["estimate"], found["cases"]["estimate"]) == (300, 90)
    for metric in ("auroc", "auprc", "brier", "calibration_slope"):
        assert found[metric]["lower"] < found[metric]["estimate"] < found[metric]["upper"]
    assert found["auprc"]["estimate"] > found["prevalence"]["estimate"]


def test_row_order_does_not_matter() -> None:
    frame = predictions()
    first = performance(frame, minimum_cell=11, resamples=50).frame
    second = performance(
        frame.sample(fraction=1, shuffle=True, seed=1), minimum_cell=11, resamples=50
    )
    assert first.equals(second.frame)


def test_one_class_gives_reasons_instead_of_numbers() -> None:
    result = performance(predictions(cases=0), minimum_cell=11)
    assert result.frame["metric"].to_list() == ["n"]
    absent = {item.metric: item.reason for item in result.absent}
    assert set(absent) == set(METRICS) - {"n"}
    assert all(absent.values())


def test_equal_predictions_have_no_calibration_curve_and_say_so() -> None:
    frame = predictions().with_columns(probability=pl.lit(0.3) + 1e-16 * pl.int_range(pl.len()))
    result = performance(frame, minimum_cell=11, resamples=20)
    reasons = {item.metric: item.reason for item in result.absent}
    assert {"ici", "e50", "e90", "calibration_slope"} <= set(reasons)
    assert "alike" in reasons["ici"]
    assert "alike" in reasons["calibration_slope"]
    # The Brier score and calibration in the large exist for a constant, too.
    assert {"brier", "calibration_intercept"} <= set(result.frame["metric"])


def test_small_counts_are_withheld() -> None:
    result = performance(predictions(cases=10), minimum_cell=11, resamples=50)
    assert {"cases", "prevalence"} <= {item.metric for item in result.absent}
    assert "auroc" in result.frame["metric"].to_list()
    assert not any("10" in item.reason for item in result.absent)


def test_no_pair_of_metrics_gives_a_withheld_count_away() -> None:
    frame = performance(predictions(cases=10), minimum_cell=11, resamples=50).frame
    found = dict(frame.select("metric", "estimate").iter_rows())
    # scaled Brier = 1 - Brier / (p (1 - p)) would give p, and with n the number of cases.
    assert not {"brier", "scaled_brier"} <= set(found)


def test_no_predictions_give_an_empty_table_with_its_columns() -> None:
    result = performance(predictions().clear(), minimum_cell=11)
    assert result.frame.is_empty()
    assert result.frame.schema == empty_frame("performance").schema
    assert curves(predictions().clear(), minimum_cell=11) == ()


def test_curves_agree_with_the_metrics_and_run_monotonically() -> None:
    frame = predictions(patients=3000, cases=900)
    (curve,) = curves(frame, minimum_cell=11)
    found = performance(frame, minimum_cell=11, resamples=20).frame.filter(
        pl.col("metric") == "auroc"
    )
    area = np.trapezoid(curve.true_positive_rate, curve.false_positive_rate)
    assert area == pytest.approx(found["estimate"][0], abs=0.01)
    assert np.all(np.diff(curve.true_positive_rate) >= 0)
    assert np.all(np.diff(curve.precision) <= 1e-12)
    assert curve.prevalence == pytest.approx(0.3)
    assert sum(item.patients for item in curve.calibration) == 3000


def test_curves_of_few_cases_are_not_shown() -> None:
    (curve,) = curves(predictions(cases=5), minimum_cell=11)
    assert curve.reason is not None
    assert curve.false_positive_rate == ()
    assert curve.calibration == ()


def test_the_roc_curve_has_the_area_that_is_reported() -> None:
    frame = predictions().with_columns(pl.col("probability") * (1 - 0.1 * pl.col("fold")))
    curve = curves(frame, minimum_cell=11)[0]
    area = np.trapezoid(curve.true_positive_rate, curve.false_positive_rate)
    reported = performance(frame, minimum_cell=11, resamples=20).frame.filter(
        pl.col("metric") == "auroc"
    )
    assert area == pytest.approx(reported["estimate"][0], abs=0.005)


def test_log_loss_is_that_of_scikit_learn_and_certain_mistakes_stay_finite() -> None:
    from sklearn.metrics import log_loss as expected

    frame = predictions()
    found = performance(frame, minimum_cell=11, resamples=20).frame.filter(metric="log_loss")
    assert found["estimate"][0] == pytest.approx(expected(frame["label"], frame["probability"]))
    assert found["lower"][0] < found["estimate"][0] < found["upper"][0]
    wrong = frame.with_columns(probability=1.0 - pl.col("label").cast(pl.Float64))
    worst = performance(wrong, minimum_cell=11, resamples=20).frame.filter(metric="log_loss")
    assert worst["estimate"][0] == pytest.approx(np.log(1e6))


def test_sensitivity_that_counts_few_cases_is_withheld_with_what_follows_from_it() -> None:
    # Of 60 cases at most 8 stand out: with the number of cases, sensitivity would count them.
    frame = predictions(patients=600, cases=60).with_columns(
        probability=pl.when(pl.int_range(600) < 8)
        .then(0.99)
        .otherwise(pl.col("probability") * 0.1 * (1 - pl.col("label") * 0.9))
    )
    result = performance(frame, minimum_cell=11, resamples=20)
    shown = set(result.frame["metric"])
    assert not any("at_specificity" in metric for metric in shown)
    reasons = {item.metric: item.reason for item in result.absent}
    assert len(reasons) == 6
    assert set(reasons.values()) == {"fewer than 11 cases found or missed"}


def test_the_study_chooses_the_specificities() -> None:
    result = performance(predictions(), minimum_cell=1, specificities=(0.7,), resamples=20)
    named = [metric for metric in result.frame["metric"] if "at_specificity" in metric]
    assert named == [
        "sensitivity_at_specificity_0.70",
        "positive_predictive_value_at_specificity_0.70",
        "negative_predictive_value_at_specificity_0.70",
    ]


def test_no_two_specificities_give_a_small_number_of_cases_by_subtraction() -> None:
    close = (0.9, 0.905, 0.91, 0.92, 0.95)
    result = performance(predictions(), minimum_cell=11, specificities=close, resamples=20)
    named = result.frame.filter(pl.col("metric").str.starts_with("sensitivity"))
    found = (named["estimate"] * 90).round().to_list()
    assert 1 <= len(found) < len(close)
    assert all(
        first == second or abs(first - second) >= 11
        for place, first in enumerate(found)
        for second in found[place + 1 :]
    )
    assert any("the one before" in item.reason for item in result.absent)
