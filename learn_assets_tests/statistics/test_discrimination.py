"""AUROC, DeLong and AUPRC against naive references, published numbers and independent libraries."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from learn_assets.statistics.discrimination import (
    OneClassError,
    auprc,
    auroc,
    average_precision,
    delong,
    wald,
)
from learn_assets.statistics.patient_draws import times_drawn

# Few distinct values, so ties are common.
PATIENTS = st.lists(
    st.tuples(st.sampled_from([0.1, 0.2, 0.35, 0.5, 0.8]), st.booleans()), min_size=4, max_size=40
).filter(lambda rows: 2 <= sum(case for _, case in rows) <= len(rows) - 2)


def naive_delong(scores: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compare every case with every control (DeLong et al. 1988, written out)."""
    case_parts, control_parts = [], []
    for row in scores:
        cases, controls = row[labels == 1], row[labels == 0]
        wins = np.array([[(c > k) + 0.5 * (c == k) for k in controls] for c in cases])
        case_parts.append(wins.mean(axis=1))
        control_parts.append(wins.mean(axis=0))
    covariance = np.zeros((len(scores), len(scores)))
    for parts in (np.array(case_parts), np.array(control_parts)):
        deviation = parts - parts.mean(axis=1, keepdims=True)
        size = parts.shape[1]
        covariance += deviation @ deviation.T / (size - 1) / size
    return np.array([part.mean() for part in case_parts]), covariance


@given(PATIENTS)
def test_delong_equals_comparing_every_pair(rows: list[tuple[float, bool]]) -> None:
    first = np.array([score for score, _ in rows])
    labels = np.array([int(case) for _, case in rows])
    scores = np.vstack([first, np.random.default_rng(0).integers(0, 4, len(rows)) / 4])
    estimates, covariance = naive_delong(scores, labels)
    ours = delong(scores, labels)
    np.testing.assert_allclose(ours.estimates, estimates, atol=1e-12)
    np.testing.assert_allclose(ours.covariance, covariance, atol=1e-12)
    assert ours.estimates[0] == pytest.approx(roc_auc_score(labels, first))


def test_delong_on_the_published_computed_tomography_ratings() -> None:
    """Hanley & McNeil 1982, table I; DeLong error and interval as Stata's manual prints them."""
    normal, abnormal = (33, 6, 6, 11, 2), (3, 2, 2, 11, 33)
    ratings = np.repeat([1.0, 2.0, 3.0, 4.0, 5.0] * 2, [*normal, *abnormal])
    labels = np.repeat([0, 1], [sum(normal), sum(abnormal)])
    found = delong(ratings, labels)
    result = wald(float(found.estimates[0]), float(found.covariance[0, 0]))
    assert result.estimate == pytest.approx(0.8932, abs=5e-5)
    assert np.sqrt(found.covariance[0, 0]) == pytest.approx(0.0307, abs=5e-5)
    assert result.lower == pytest.approx(0.83295, abs=1e-4)
    assert result.upper == pytest.approx(0.95339, abs=1e-4)


def test_logit_interval_stays_inside_and_contains_the_estimate() -> None:
    generator = np.random.default_rng(1)
    labels = np.repeat([0, 1], [30, 5])
    interval = auroc(labels * 1.5 + generator.normal(size=35), labels)
    assert 0 < interval.lower < interval.estimate < interval.upper < 1


def test_interval_covers_the_true_value_about_as_often_as_it_says() -> None:
    generator = np.random.default_rng(7)
    true_value, hits = 0.7602, 0  # of two normals one standard deviation apart
    for _ in range(300):
        labels = np.repeat([0, 1], [80, 40])
        interval = auroc(generator.normal(size=120) + labels, labels)
        hits += interval.lower <= true_value <= interval.upper
    assert 0.91 <= hits / 300 <= 0.99


@pytest.mark.parametrize("labels", [np.zeros(5, dtype=int), np.ones(5, dtype=int)])
def test_one_class_has_no_auroc_and_no_auprc(labels: np.ndarray) -> None:
    scores = np.linspace(0, 1, 5)
    with pytest.raises(OneClassError):
        auroc(scores, labels)
    with pytest.raises(OneClassError):
        auprc(scores, labels)


def test_perfect_ranking_and_single_case_have_no_limits() -> None:
    perfect = auroc(np.array([0.1, 0.2, 0.8, 0.9]), np.array([0, 0, 1, 1]))
    assert perfect.estimate == 1.0
    assert np.isnan(perfect.lower)
    single = auroc(np.array([0.1, 0.9, 0.8]), np.array([0, 0, 1]))
    assert single.estimate == pytest.approx(0.5)
    assert np.isnan(single.upper)


@given(PATIENTS)
def test_average_precision_equals_the_independent_one(rows: list[tuple[float, bool]]) -> None:
    scores = np.array([score for score, _ in rows])
    labels = np.array([int(case) for _, case in rows])
    expected = average_precision_score(labels, scores)
    assert average_precision(scores, labels) == pytest.approx(expected)


def test_auprc_interval_is_reproducible_and_holds_the_estimate() -> None:
    generator = np.random.default_rng(3)
    labels = (generator.random(200) < 0.2).astype(int)
    scores = generator.normal(size=200) + labels
    first, second = (auprc(scores, labels, resamples=200, seed=5) for _ in range(2))
    assert first == second
    assert first.lower < first.estimate < first.upper


@given(seed=st.integers(0, 500), folds=st.integers(1, 4))
def test_areas_within_folds_equal_comparing_every_pair_of_a_fold(seed: int, folds: int) -> None:
    generator = np.random.default_rng(seed)
    labels = np.append([0, 1], generator.integers(0, 2, 40))
    scores = generator.integers(0, 6, 42).astype(float)
    fold = np.append([0, 0], generator.integers(0, folds, 40))
    pairs = [
        0.5 * (scores[case] == scores[control]) + (scores[case] > scores[control])
        for case in np.flatnonzero(labels == 1)
        for control in np.flatnonzero(labels == 0)
        if fold[case] == fold[control]
    ]
    assert auroc(scores, labels, folds=fold).estimate == pytest.approx(np.mean(pairs))


def test_one_fold_is_the_pooled_area() -> None:
    generator = np.random.default_rng(3)
    labels = generator.integers(0, 2, 50)
    scores = generator.normal(labels, 1.0)
    assert auroc(scores, labels) == auroc(scores, labels, folds=np.full(50, 7))


def test_levels_of_folds_do_not_move_the_area_within_folds() -> None:
    """Folds with more cases score lower, as out-of-fold predictions of a constant do."""
    labels = np.repeat([1, 0, 1, 0], [8, 100, 7, 101])
    fold = np.repeat([0, 1], 108)
    level = np.where(fold == 0, 0.045, 0.046)
    assert auroc(level, labels).estimate < 0.49
    assert auroc(level, labels, folds=fold).estimate == pytest.approx(0.5)


def test_interval_within_folds_covers_about_as_often_as_it_says() -> None:
    generator = np.random.default_rng(11)
    labels = np.repeat([1, 0], [40, 160])
    fold = np.arange(200) % 5
    intervals = [
        auroc(generator.normal(labels + fold, 1.0), labels, folds=fold) for _ in range(300)
    ]
    truth = 0.7602
    covered = np.mean([item.lower <= truth <= item.upper for item in intervals])
    assert 0.91 <= covered <= 0.985


def test_folds_without_a_pair_have_no_area() -> None:
    with pytest.raises(OneClassError):
        auroc(np.arange(4.0), np.array([1, 1, 0, 0]), folds=np.array([0, 0, 1, 1]))


def test_resamples_draw_each_patient_as_the_multinomial_distribution_does() -> None:
    drawn = times_drawn(50, 20_000, np.random.default_rng(0))
    assert (drawn.sum(axis=1) == 50).all()
    assert drawn.mean(axis=0) == pytest.approx(np.ones(50), abs=0.04)
    assert drawn.var() == pytest.approx(1 - 1 / 50, abs=0.01)
    both = np.cov(drawn[:, 0], drawn[:, 1])[0, 1]
    assert both == pytest.approx(-1 / 50, abs=0.03)
