"""Paired comparisons: published numbers, naive references, and cases whose answer is known."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from learn_assets.evaluation.comparison import (
    Contrast,
    ModelName,
    UnpairedError,
    compare_models,
    delong_test,
    holm,
    paired_scores,
    planned_contrasts,
)
from learn_assets.reporting.comparison_words import (
    ComparisonResult,
    comparison_results,
    comparisons_table,
    sentence,
)
from learn_assets.schemas.registry import empty_frame, schema_of
from learn_assets.statistics.discrimination import auroc, average_precision
from learn_assets.statistics.resampling import auroc_statistic, resampled_statistics

GRID = (
    ("age_sex", ("elastic_net",)),
    ("count", ("elastic_net", "xgboost")),
    ("embedding", ("elastic_net", "xgboost")),
    ("learn", ("elastic_net", "xgboost")),
)

# Ovarian cancer with bowel obstruction (DeLong et al. 1988, as printed in the SAS/STAT guide, PROC
# LOGISTIC, "Comparing Receiver Operating Characteristic Curves"): albumin, total protein, K-G
# score, whether surgery helped.
SURGERY = """
3.0 5.8 10 0  3.2 6.3 5 1  3.9 6.8 3 1  2.8 4.8 6 0  3.2 5.8 3 1  0.9 4.0 5 0  2.5 5.7 8 0
1.6 5.6 5 1  3.8 5.7 5 1  3.7 6.7 6 1  3.2 5.4 4 1  3.8 6.6 6 1  4.1 6.6 5 1  3.6 5.7 5 1
4.3 7.0 4 1  3.6 6.7 4 0  2.3 4.4 6 1  4.2 7.6 4 0  4.0 6.6 6 0  3.5 5.8 6 1  3.8 6.8 7 1
3.0 4.7 8 0  4.5 7.4 5 1  3.7 7.4 5 1  3.1 6.6 6 1  4.1 8.2 6 1  4.3 7.0 5 1  4.3 6.5 4 1
3.2 5.1 5 1  2.6 4.7 6 1  3.3 6.8 6 0  1.7 4.0 7 0  3.7 6.1 5 1  3.3 6.3 7 1  4.2 7.7 6 1
3.5 6.2 5 1  2.9 5.7 9 0  2.1 4.8 7 1  2.8 6.2 8 0  4.0 7.0 7 1  3.3 5.7 6 1  3.7 6.9 5 1
3.6 6.6 5 1
"""


def test_the_published_example_of_delong() -> None:
    rows = np.array(SURGERY.split(), dtype=float).reshape(-1, 4)
    albumin, protein, score, helped = *rows.T[:2], -rows[:, 2], rows[:, 3].astype(int)
    first = delong_test(albumin, score, helped)
    second = delong_test(protein, score, helped)
    assert first.difference.estimate == pytest.approx(0.0108, abs=5e-5)
    assert first.difference.lower == pytest.approx(-0.1761, abs=5e-5)
    assert first.difference.upper == pytest.approx(0.1976, abs=5e-5)
    assert first.p_value == pytest.approx(0.9102, abs=5e-5)
    assert second.difference.estimate == pytest.approx(-0.0780, abs=5e-5)
    assert second.p_value == pytest.approx(0.4561, abs=5e-5)


def naive_test(
    first: np.ndarray, second: np.ndarray, labels: np.ndarray, folds: np.ndarray
) -> tuple[float, float]:
    """Return difference and variance from every pair of a case and a control of one fold."""
    components: dict[tuple[str, int], list[float]] = {}
    for case in np.flatnonzero(labels == 1):
        for control in np.flatnonzero(labels == 0):
            if folds[case] != folds[control]:
                continue
            won = [
                float(row[case] > row[control]) + 0.5 * (row[case] == row[control])
                for row in (first, second)
            ]
            for key in (("case", int(case)), ("control", int(control))):
                components.setdefault(key, []).append(won[0] - won[1])
    pairs = sum(len(won) for (side, _), won in components.items() if side == "case")
    variance = 0.0
    for side in ("case", "control"):
        totals = np.array([sum(won) for (of, _), won in components.items() if of == side])
        scaled = totals * len(totals) / pairs
        variance += float(((scaled - scaled.mean()) ** 2).sum()) / (len(totals) - 1) / len(totals)
    total = sum(sum(won) for (side, _), won in components.items() if side == "case")
    return total / pairs, variance


@given(seed=st.integers(0, 1000), groups=st.integers(1, 3))
def test_the_paired_test_equals_comparing_every_pair(seed: int, groups: int) -> None:
    generator = np.random.default_rng(seed)
    labels = np.append(np.tile([0, 1], groups * 2), generator.integers(0, 2, 30))
    folds = np.append(np.repeat(np.arange(groups), 4), generator.integers(0, groups, 30))
    first, second = generator.integers(0, 6, (2, len(labels))).astype(float)
    difference, variance = naive_test(first, second, labels, folds)
    ours = delong_test(first, second, labels, folds)
    assert ours.difference.estimate == pytest.approx(difference, abs=1e-12)
    half = (ours.difference.upper - ours.difference.lower) / 2
    assert half == pytest.approx(1.959964 * np.sqrt(variance), rel=1e-6, abs=1e-9)
    if groups == 1:
        independent = roc_auc_score(labels, first) - roc_auc_score(labels, second)
        assert ours.difference.estimate == pytest.approx(independent)


def test_equal_rankings_do_not_differ_and_single_cases_have_no_limits() -> None:
    scores, labels = np.array([0.1, 0.4, 0.6, 0.9]), np.array([0, 1, 0, 1])
    same = delong_test(scores, scores**2, labels)
    assert (same.difference.estimate, same.difference.lower, same.p_value) == (0.0, 0.0, 1.0)
    single = delong_test(scores, scores[::-1].copy(), np.array([0, 0, 0, 1]))
    assert np.isnan(single.difference.lower)
    assert np.isnan(single.p_value)


def test_a_paired_test_rejects_true_equality_as_often_as_it_says() -> None:
    generator = np.random.default_rng(3)
    labels, rejected = np.repeat([1, 0], [50, 150]), 0
    for _ in range(400):
        shared = generator.normal(labels, 1.0)
        first, second = (shared + generator.normal(0, 0.7, 200) for _ in range(2))
        rejected += delong_test(first, second, labels).p_value < 0.05
    assert 0.025 <= rejected / 400 <= 0.08


def rejected_by_holm(p_values: list[float], level: float) -> list[bool]:
    """Walk up from the smallest p-value and stop at the first that is too large (Holm 1979)."""
    rejected = [False] * len(p_values)
    for step, place in enumerate(sorted(range(len(p_values)), key=lambda at: p_values[at])):
        if p_values[place] > level / (len(p_values) - step):
            break
        rejected[place] = True
    return rejected


@given(st.lists(st.integers(0, 100), min_size=1, max_size=20), st.integers(1, 99))
def test_holm_rejects_what_walking_up_rejects(hundredths: list[int], level: int) -> None:
    p_values = [value / 1000 for value in hundredths]
    # Half a thousandth keeps rounding away from the edge.
    limit = level / 100 + 0.0005 / 7
    assert [value <= limit for value in holm(p_values)] == rejected_by_holm(p_values, limit)


def test_a_test_without_a_p_value_still_counts() -> None:
    adjusted = holm([0.01, float("nan"), 0.02])
    assert adjusted[0] == pytest.approx(0.03)
    assert np.isnan(adjusted[1])


def test_resampled_areas_equal_those_of_repeated_patients() -> None:
    generator = np.random.default_rng(1)
    labels = generator.integers(0, 2, 60)
    folds = generator.integers(0, 3, 60)
    scores = generator.integers(0, 8, 60).astype(float)
    weights = generator.integers(0, 4, (5, 60)).astype(float)
    drawn = auroc_statistic(scores, labels, folds)(weights)
    for row, value in zip(weights.astype(int), drawn, strict=True):
        chosen = np.repeat(np.arange(60), row)
        expected = auroc(scores[chosen], labels[chosen], folds=folds[chosen]).estimate
        assert value == pytest.approx(expected)


def test_models_share_the_resampled_patients() -> None:
    labels = np.tile([0, 1], 30)
    scores = np.random.default_rng(2).normal(labels, 1.0)
    statistic = auroc_statistic(scores, labels, np.zeros(60, dtype=int))
    first, second = resampled_statistics([statistic] * 2, labels, resamples=50, seed=4)
    np.testing.assert_array_equal(first, second)
    assert first.std() > 0


def predictions(gain: float, patients: int = 600, seed: int = 5) -> pl.DataFrame:
    """Return predictions of the grid in which LEARN carries `gain` more signal than its parts."""
    generator = np.random.default_rng(seed)
    labels = (np.arange(patients) % 4 == 0).astype(int)
    code_noise, text_noise = generator.normal(0, 1.0, (2, patients))
    strength = {
        "age_sex": generator.normal(0.1 * labels, 1.0),
        "count": 0.8 * labels + code_noise,
        "embedding": 0.8 * labels + text_noise,
        "learn": (0.8 + gain) * labels + (code_noise + text_noise) / np.sqrt(2),
    }
    frames = [
        pl.DataFrame(
            {
                "patient_id": [f"P{number:04}" for number in range(patients)],
                "fold": (np.arange(patients) // 4 % 5).astype(np.int32),
                "feature_set": feature_set,
                "learner": learner,
                "probability": 1 / (1 + np.exp(-strength[feature_set])),
                "label": labels.astype(np.int8),
            }
        )
        for feature_set, learners in GRID
        for learner in learners
    ]
    return pl.concat(frames)


def test_the_plan_holds_every_rung_of_the_ladder_once() -> None:
    plan = planned_contrasts(GRID)
    pairs = {(item.first, item.second) for item in plan}
    assert len(pairs) == len(plan) == 2 * (3 + 2 + 1)
    for learner in ("elastic_net", "xgboost"):
        learn, base = ModelName("learn", learner), ModelName("age_sex", "elastic_net")
        parts = (ModelName("count", learner), ModelName("embedding", learner))
        assert {(learn, part) for part in parts} <= pairs
        assert {(model, base) for model in (learn, *parts)} <= pairs
    assert {item.question for item in plan if item.first.feature_set == "count"} == {
        "beyond age and sex"
    }


def test_a_feature_set_is_set_against_what_it_claims_to_improve() -> None:
    names = ("count", "embedding", "learn", "contrastive_self", "learn_without_medication")
    grid = (("age_sex", ("elastic_net",)), *((name, ("xgboost",)) for name in names))
    pairs = {
        (item.first.feature_set, item.second.feature_set): item.question
        for item in planned_contrasts(grid)
    }
    assert pairs["contrastive_self", "embedding"] == "beyond the vectors themselves"
    assert pairs["learn", "contrastive_self"] == "LEARN beyond its alternative"
    assert pairs["learn", "learn_without_medication"] == "what medications add"
    assert len(pairs) == 6 + 3
    # Without what it would be measured against, it stands on the ladder like any other.
    alone = planned_contrasts((grid[0], ("learn_without_medication", ("xgboost",))))
    assert [item.question for item in alone] == ["beyond age and sex"]


def test_a_planted_gain_is_found_and_its_absence_too() -> None:
    plan = planned_contrasts(GRID)
    for gain, wins in ((0.5, True), (0.0, False)):
        compared = compare_models(predictions(gain), plan, resamples=200, seed=1)
        assert compared.tests == len(plan)
        assert compared.frame.schema == empty_frame("comparisons").schema
        schema_of("comparisons").validate(compared.frame)
        rows = compared.frame.filter(
            pl.col("first_feature_set") == "learn",
            pl.col("second_feature_set").is_in(["count", "embedding"]),
            pl.col("metric") == "auroc",
        )
        assert rows.height == 8
        assert (rows["lower"] > 0).all() == wins
        tested = rows.filter(pl.col("method") == "delong")
        assert (tested["p_value_holm"] < 0.05).all() == wins
        assert (tested["p_value_holm"] >= tested["p_value"]).all()


def test_delong_and_bootstrap_agree_and_metrics_are_the_observed_ones() -> None:
    frame = predictions(0.4)
    contrast = Contrast("?", ModelName("learn", "xgboost"), ModelName("count", "xgboost"))
    compared = compare_models(frame, [contrast], resamples=1000, seed=1).frame
    found = {(row["metric"], row["method"]): row for row in compared.iter_rows(named=True)}
    wald, drawn = found["auroc", "delong"], found["auroc", "bootstrap"]
    assert drawn["lower"] == pytest.approx(wald["lower"], abs=0.01)
    assert drawn["upper"] == pytest.approx(wald["upper"], abs=0.01)
    paired = paired_scores(frame)
    scores = [paired.of(model) for model in (contrast.first, contrast.second)]
    precision = [average_precision(row, paired.labels) for row in scores]
    assert found["auprc", "bootstrap"]["difference"] == pytest.approx(precision[0] - precision[1])
    errors = [((row - paired.labels) ** 2).mean() for row in scores]
    assert found["brier", "bootstrap"]["difference"] == pytest.approx(errors[0] - errors[1])


def test_row_order_does_not_matter() -> None:
    frame, plan = predictions(0.2), planned_contrasts(GRID)
    first = compare_models(frame, plan, resamples=20).frame
    shuffled = frame.sample(fraction=1, shuffle=True, seed=1)
    assert compare_models(shuffled, plan, resamples=20).frame.equals(first)


def test_models_of_other_patients_are_refused() -> None:
    frame = predictions(0.2)
    lost = (pl.col("patient_id") == "P0003") & (pl.col("feature_set") == "learn")
    with pytest.raises(UnpairedError):
        compare_models(frame.filter(~lost), planned_contrasts(GRID))


def test_what_was_planned_and_not_judged_is_named() -> None:
    frame = predictions(0.2).filter(pl.col("feature_set") != "embedding")
    plan = planned_contrasts(GRID)
    compared = compare_models(frame, plan, resamples=20)
    assert compared.tests + len(compared.absent) == len(plan)
    assert {"embedding"} <= {item.second.feature_set for item in compared.absent}
    nothing = compare_models(frame.clear(), plan)
    assert nothing.frame.is_empty()
    assert len(nothing.absent) == len(plan)
    one_class = compare_models(frame.filter(pl.col("label") == 0), plan)
    assert one_class.frame.is_empty()


def result(
    metric: str, difference: float, half: float | None, p_holm: float | None
) -> ComparisonResult:
    limits = (None, None) if half is None else (difference - half, difference + half)
    first, second = ModelName("learn", "xgboost"), ModelName("count", "xgboost")
    return ComparisonResult(
        "?", first, second, metric, "delong", difference, *limits, p_holm, p_holm
    )


def test_the_winner_has_more_area_or_less_error_and_an_interval_without_zero() -> None:
    better = result("auroc", 0.1, 0.05, 0.01)
    assert better.winner == better.first
    assert result("auroc", -0.1, 0.05, 0.01).winner == better.second
    assert result("brier", -0.1, 0.05, None).winner == better.first
    assert result("auroc", 0.1, 0.2, 0.3).winner is None
    assert result("auroc", 0.1, None, None).winner is None


def test_words_say_who_wins_by_how_much_and_what_correction_leaves() -> None:
    won = sentence(result("auroc", 0.1, 0.05, 0.01), 12)
    assert won.startswith("LEARN")
    assert "wins over Counts" in won
    assert "0.050 to 0.150" in won
    assert "stands after correction" in won
    uncorrected = sentence(result("auroc", 0.1, 0.05, 0.2), 12)
    assert "does not stand" in uncorrected
    assert "wins" not in uncorrected
    lost = sentence(result("brier", 0.1, 0.05, None), 12)
    assert lost.startswith("Counts")
    assert "lower by 0.100" in lost
    assert "holds zero" in sentence(result("auroc", 0.1, 0.2, 0.3), 12)
    assert "wins" not in sentence(result("auroc", 0.1, None, None), 12)


def test_the_table_has_a_row_and_a_sentence_for_every_tested_comparison() -> None:
    plan = planned_contrasts(GRID)
    compared = compare_models(predictions(0.4), plan, resamples=20)
    text = comparisons_table(comparison_results(compared.frame), compared.tests)
    assert text.count("\n| ") - 1 == text.count("\n- ") == len(plan)
