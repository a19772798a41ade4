"""Random effects against a published example, statsmodels, and a plain search of the likelihood."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm
from scipy.stats import t as student

from learn_assets.statistics.discrimination import FloatVector
from learn_assets.statistics.random_effects import (
    between_variance,
    hartung_knapp,
    random_effects,
)

# Trials of the BCG vaccine (Colditz et al. 1994): ill and well with it, ill and well without.
BCG = np.array(
    [
        (4, 119, 11, 128),
        (6, 300, 29, 274),
        (3, 228, 11, 209),
        (62, 13536, 248, 12619),
        (33, 5036, 47, 5761),
        (180, 1361, 372, 1079),
        (8, 2537, 10, 619),
        (505, 87886, 499, 87892),
        (29, 7470, 45, 7232),
        (17, 1699, 65, 1600),
        (186, 50448, 141, 27197),
        (5, 2493, 3, 2338),
        (27, 16886, 29, 17825),
    ],
    dtype=float,
)


def log_risk_ratios() -> tuple[FloatVector, FloatVector]:
    """Return the log risk ratio of each trial and its variance."""
    ill, well, ill_without, well_without = BCG.T
    total, total_without = ill + well, ill_without + well_without
    ratios = np.log(ill / total) - np.log(ill_without / total_without)
    return ratios, 1 / ill - 1 / total + 1 / ill_without - 1 / total_without


def drawn(seed: int, sites: int, spread: float) -> tuple[FloatVector, FloatVector]:
    draw = np.random.default_rng(seed)
    variances = draw.uniform(0.02, 0.2, sites)
    return draw.normal(0.8, np.sqrt(variances + spread**2)), variances


def restricted_likelihood(between: float, estimates: FloatVector, variances: FloatVector) -> float:
    weights = 1 / (variances + between)
    mean = (weights * estimates).sum() / weights.sum()
    squares = (weights * (estimates - mean) ** 2).sum()
    return float(-0.5 * (np.log(1 / weights).sum() + np.log(weights.sum()) + squares))


def test_the_published_example_of_the_package_metafor() -> None:
    """Viechtbauer 2010, J Stat Softw 36(3): REML, and the interval of a new trial."""
    estimates, variances = log_risk_ratios()
    between = between_variance(estimates, variances)
    assert between == pytest.approx(0.3132, abs=5e-5)
    found = random_effects(estimates, variances)
    assert found.mean.estimate == pytest.approx(-0.7145, abs=5e-5)
    assert found.between_sites == pytest.approx(0.5597, abs=5e-5)
    plain = 1 / (1 / (variances + between)).sum()
    assert np.sqrt(plain) == pytest.approx(0.1798, abs=5e-5)
    # The package takes the normal distribution and the plain variance here.
    width = norm.ppf(0.975) * np.sqrt(between + plain)
    limits = (found.mean.estimate - width, found.mean.estimate + width)
    assert limits == pytest.approx((-1.8667, 0.4376), abs=2e-4)


@pytest.mark.parametrize("method", ["dl", "iterated"])
@pytest.mark.parametrize("seed", range(4))
def test_the_interval_of_the_mean_is_that_of_statsmodels(method: str, seed: int) -> None:
    from statsmodels.stats.meta_analysis import combine_effects

    estimates, variances = drawn(seed, 7, 0.5)
    known = combine_effects(estimates, variances, method_re=method, use_t=True)
    mean, variance = hartung_knapp(estimates, variances, float(known.tau2))
    assert mean == pytest.approx(known.mean_effect_re)
    plain = float(known.sd_eff_w_re) ** 2
    own = float(known.sd_eff_w_re_hksj) ** 2
    assert variance == pytest.approx(max(plain, own))


@pytest.mark.parametrize("seed", range(6))
def test_the_variance_between_sites_is_the_best_of_a_grid(seed: int) -> None:
    estimates, variances = drawn(seed, 2 + seed, 0.1 * seed)
    found = between_variance(estimates, variances)
    grid = np.linspace(0, 5, 50_001)
    best = grid[np.argmax([restricted_likelihood(b, estimates, variances) for b in grid])]
    assert found == pytest.approx(best, abs=1.1e-4)


def test_intervals_are_those_of_the_formulas() -> None:
    estimates, variances = drawn(3, 5, 0.4)
    found = random_effects(estimates, variances)
    between = found.between_sites**2
    mean, variance = hartung_knapp(estimates, variances, between)
    width = student.ppf(0.975, 4) * np.sqrt(variance)
    further = student.ppf(0.975, 3) * np.sqrt(variance + between)
    assert (found.mean.lower, found.mean.upper) == pytest.approx((mean - width, mean + width))
    assert (found.prediction.lower, found.prediction.upper) == pytest.approx(
        (mean - further, mean + further)
    )


def test_sites_that_agree_too_well_are_no_surer_than_sampling_allows() -> None:
    variances = np.full(4, 0.04)
    found = random_effects(np.array([0.5, 0.5001, 0.4999, 0.5]), variances)
    assert found.between_sites == 0.0
    assert found.mean.upper - found.mean.estimate == pytest.approx(student.ppf(0.975, 3) * 0.1)


def test_two_sites_say_nothing_of_a_third_and_one_is_no_summary() -> None:
    found = random_effects(np.array([0.1, 0.9]), np.array([0.01, 0.02]))
    assert np.isnan([found.prediction.lower, found.prediction.upper]).all()
    for estimates, variances in (([0.1], [0.1]), ([0.1, 0.2], [0.1, 0.0]), ([0.1, np.inf], [1, 1])):
        with pytest.raises(ValueError, match="site"):
            random_effects(np.array(estimates), np.array(variances, dtype=float))


def test_intervals_hold_what_was_planted_as_often_as_they_say() -> None:
    """Four sites are few: plain limits of the mean hold it in 88 of 100."""
    held, next_held, rounds = 0, 0, 400
    draw = np.random.default_rng(11)
    for _ in range(rounds):
        variances = draw.uniform(0.02, 0.06, 4)
        estimates = draw.normal(draw.normal(1.0, 0.3, 4), np.sqrt(variances))
        found = random_effects(estimates, variances)
        held += found.mean.lower <= 1.0 <= found.mean.upper
        next_held += found.prediction.lower <= draw.normal(1.0, 0.3) <= found.prediction.upper
    assert 0.93 <= held / rounds <= 0.985
    assert 0.91 <= next_held / rounds <= 0.985
