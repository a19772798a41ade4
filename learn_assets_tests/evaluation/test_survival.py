"""Curves, Cox regression and concordance, against lifelines, scikit-survival and plain loops."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from learn_assets.statistics.concordance import (
    NoPairError,
    censored_brier,
    time_dependent_auc,
    uno_c,
)
from learn_assets.statistics.cox import CoxError, fit_cox
from learn_assets.statistics.discrimination import delong
from learn_assets.statistics.survival_curves import (
    CENSORED,
    DEATH,
    EVENT,
    FollowUp,
    censoring_curve,
    cumulative_incidence,
    incidence_and_variance,
)

HORIZONS = (100.0, 400.0, 900.0)


def drawn(
    seed: int, size: int = 300, *, deaths: bool = True, tied: bool = False
) -> tuple[FollowUp, np.ndarray]:
    """Return follow-up and a score that raises the hazard of the event."""
    random = np.random.default_rng(seed)
    score = random.normal(size=size)
    ends = np.stack(
        [
            random.exponential(900 * np.exp(-0.7 * score)),
            random.exponential(2500 if deaths else 1e12, size),
            random.uniform(10, 1500, size),
        ]
    )
    days = ends.min(axis=0)
    if tied:
        days = np.ceil(days / 60) * 60
    return FollowUp(days, np.array([EVENT, DEATH, CENSORED])[ends.argmin(axis=0)]), score


def test_cumulative_incidence_and_its_variance_agree_with_lifelines() -> None:
    from lifelines import AalenJohansenFitter

    follow_up, _ = drawn(1)
    oracle = AalenJohansenFitter(calculate_variance=True)
    oracle.fit(follow_up.days, follow_up.status, event_of_interest=EVENT)
    estimates, variances = incidence_and_variance(follow_up, HORIZONS)
    for day, estimate, variance in zip(HORIZONS, estimates, variances, strict=True):
        row = oracle.cumulative_density_.index.searchsorted(day, side="right") - 1
        assert estimate == pytest.approx(oracle.cumulative_density_.iloc[row, 0], abs=1e-12)
        assert variance == pytest.approx(oracle.variance_.iloc[row], rel=0.02)


@given(
    rows=st.lists(
        st.tuples(st.integers(0, 6), st.sampled_from([CENSORED, EVENT, DEATH])),
        min_size=1,
        max_size=25,
    )
)
def test_incidence_of_tied_days_agrees_with_a_plain_loop(rows: list[tuple[int, int]]) -> None:
    days = np.array([row[0] for row in rows], dtype=float)
    status = np.array([row[1] for row in rows])
    alive, incidence = 1.0, 0.0
    for day in sorted(set(days)):
        at_risk = (days >= day).sum()
        events = ((days == day) & (status == EVENT)).sum()
        both = ((days == day) & (status != CENSORED)).sum()
        incidence += alive * events / at_risk
        alive *= 1 - both / at_risk
    found = cumulative_incidence(FollowUp(days, status), [6.0])[0]
    assert found.estimate == pytest.approx(incidence, abs=1e-12)
    if 0 < incidence < 1:
        assert 0 <= found.lower <= found.estimate <= found.upper <= 1


def test_the_interval_of_the_incidence_covers_the_truth() -> None:
    covered = 0
    truth = 0.0
    # Event hazard 1/900 and death hazard 1/2500 of constant size, no score.
    total = 1 / 900 + 1 / 2500
    truth = (1 / 900) / total * (1 - np.exp(-total * 400))
    for seed in range(200):
        random = np.random.default_rng(seed)
        ends = np.stack([random.exponential(900, 150), random.exponential(2500, 150),
                         random.uniform(10, 1500, 150)])  # fmt: skip
        status = np.array([EVENT, DEATH, CENSORED])[ends.argmin(axis=0)]
        interval = cumulative_incidence(FollowUp(ends.min(axis=0), status), [400.0])[0]
        covered += interval.lower <= truth <= interval.upper
    assert 182 <= covered <= 199


@pytest.mark.parametrize("tied", [False, True])
def test_cox_agrees_with_lifelines(tied: bool) -> None:
    from lifelines import CoxPHFitter

    follow_up, score = drawn(2, tied=tied)
    age = np.random.default_rng(3).normal(50, 10, len(score))
    frame = pd.DataFrame({"score": score, "age": age, "days": follow_up.days})
    frame["event"] = follow_up.status == EVENT
    oracle = CoxPHFitter().fit(frame, "days", "event")
    ours = fit_cox(np.column_stack([score, age]), follow_up)
    assert ours.coefficients == pytest.approx(oracle.params_.to_numpy(), abs=1e-5)
    assert np.sqrt(np.diag(ours.covariance)) == pytest.approx(
        oracle.standard_errors_.to_numpy(), rel=1e-4
    )
    assert ours.log_likelihood == pytest.approx(oracle.log_likelihood_, abs=1e-5)
    if not tied:
        robust = CoxPHFitter().fit(frame, "days", "event", robust=True)
        assert np.sqrt(np.diag(ours.robust)) == pytest.approx(
            robust.standard_errors_.to_numpy(), rel=1e-3
        )


def test_cox_says_when_there_is_no_finite_ratio() -> None:
    follow_up, score = drawn(4, 60)
    with pytest.raises(CoxError, match="no event"):
        fit_cox(score[:, None], FollowUp(follow_up.days, np.zeros(60, dtype=np.int64)))
    with pytest.raises(CoxError, match="does not vary"):
        fit_cox(np.ones((60, 1)), follow_up)
    with pytest.raises(CoxError):
        fit_cox((follow_up.status == EVENT).astype(float)[:, None], follow_up)
    with pytest.raises(CoxError):
        fit_cox(np.column_stack([score, 2 * score]), follow_up)


def test_uno_c_and_auc_agree_with_scikit_survival_without_deaths() -> None:
    metrics = pytest.importorskip("sksurv.metrics")
    util = pytest.importorskip("sksurv.util")
    follow_up, score = drawn(5, deaths=False)
    noisy = score + np.random.default_rng(6).normal(0, 1, len(score))
    outcome = util.Surv.from_arrays(follow_up.status == EVENT, follow_up.days)
    for horizon in HORIZONS:
        expected = metrics.concordance_index_ipcw(outcome, outcome, noisy, tau=horizon)[0]
        assert uno_c(noisy, follow_up, horizon).estimate == pytest.approx(expected, abs=1e-9)
        expected_auc = metrics.cumulative_dynamic_auc(outcome, outcome, noisy, [horizon])[0][0]
        found = time_dependent_auc(noisy, follow_up, horizon).estimate
        assert found == pytest.approx(expected_auc, abs=1e-9)
        risk = 1 / (1 + np.exp(-noisy))
        expected_brier = metrics.brier_score(outcome, outcome, 1 - risk, horizon)[1][0]
        assert censored_brier(risk, follow_up, horizon) == pytest.approx(expected_brier, abs=1e-9)


def test_concordance_with_deaths_agrees_with_a_double_loop() -> None:
    follow_up, score = drawn(7, 80, tied=True)
    noisy = np.round(score + np.random.default_rng(8).normal(0, 1, 80), 1)
    folds = np.arange(80) % 3
    stay = censoring_curve(follow_up)
    wins = total = 0.0
    for i in np.flatnonzero((follow_up.status == EVENT) & (follow_up.days <= 900)):
        for j in range(80):
            if i == j or folds[i] != folds[j]:
                continue
            own = stay.before(follow_up.days[i])
            if follow_up.days[j] > follow_up.days[i]:
                weight = 1 / own**2
            elif follow_up.status[j] == DEATH:
                weight = 1 / (own * stay.before(follow_up.days[j]))
            else:
                continue
            total += weight
            wins += weight * ((noisy[i] > noisy[j]) + 0.5 * (noisy[i] == noisy[j]))
    found = uno_c(noisy, follow_up, 900, folds=folds).estimate
    assert found == pytest.approx(wins / total, abs=1e-12)


def test_without_censoring_the_auc_is_the_plain_one_and_so_is_its_interval() -> None:
    random = np.random.default_rng(9)
    days = random.uniform(1, 1000, 400)
    score = -days / 500 + random.normal(0, 1, 400)
    status = random.choice([EVENT, DEATH], 400, p=[0.7, 0.3])
    found = time_dependent_auc(score, FollowUp(days, status), 500)
    plain = delong(score, ((days <= 500) & (status == EVENT)).astype(int))
    assert found.estimate == pytest.approx(plain.estimates[0], abs=1e-12)
    width, error = found.upper - found.lower, np.sqrt(plain.covariance[0, 0])
    assert width == pytest.approx(2 * 1.96 * error, rel=0.03)


def test_interval_of_uno_c_is_as_wide_as_a_bootstrap_says() -> None:
    follow_up, score = drawn(10, 250)
    noisy = score + np.random.default_rng(11).normal(0, 1, 250)
    interval = uno_c(noisy, follow_up, 900)
    random = np.random.default_rng(12)
    draws = []
    for _ in range(150):
        rows = random.integers(0, 250, 250)
        draws.append(uno_c(noisy[rows], follow_up.rows(rows), 900).estimate)
    assert (interval.upper - interval.lower) / 3.92 == pytest.approx(np.std(draws), rel=0.25)


def test_no_pair_is_an_error_of_its_own() -> None:
    follow_up = FollowUp(np.array([1.0, 2.0]), np.array([CENSORED, CENSORED]))
    with pytest.raises(NoPairError):
        uno_c(np.array([0.1, 0.2]), follow_up, 10)
