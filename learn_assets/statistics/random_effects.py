"""Random effects: what estimates of several sites say together, and of a further site."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from learn_assets.statistics.discrimination import FloatVector, Interval


@dataclass(frozen=True)
class RandomEffects:
    """The mean over sites, where a further site's true value may lie, and how far sites differ.

    prediction has the mean as its estimate; its limits are NaN for two sites. between_sites:
    standard deviation of the sites' true values.
    """

    mean: Interval
    prediction: Interval
    between_sites: float


def random_effects(estimates: FloatVector, variances: FloatVector) -> RandomEffects:
    """Return the random-effects summary of estimates of k sites (k) with their variances (k).

    Variance between sites by restricted maximum likelihood; interval of the mean by Hartung & Knapp
    2001, never narrower than the plain one (Jackson et al. 2017 on why); prediction interval by
    Higgins et al. 2009 with that variance and k - 2 degrees of freedom (Partlett & Riley 2017).
    ValueError for fewer than two sites, or one without a finite estimate and a variance above 0.
    """
    if len(estimates) < 2:
        raise ValueError("a summary over sites needs two of them")
    if not (np.isfinite(estimates).all() and np.isfinite(variances).all() and min(variances) > 0):
        raise ValueError("every site needs a finite estimate and a variance above 0")
    sites = len(estimates)
    between = between_variance(estimates, variances)
    mean, variance = hartung_knapp(estimates, variances, between)
    width = float(stdtrit(sites - 1, 0.975)) * float(np.sqrt(variance))
    further = float("nan")
    if sites > 2:
        spread = float(np.sqrt(between + variance))
        further = float(stdtrit(sites - 2, 0.975)) * spread
    return RandomEffects(
        mean=Interval(mean, mean - width, mean + width),
        prediction=Interval(mean, mean - further, mean + further),
        between_sites=float(np.sqrt(between)),
    )


def hartung_knapp(
    estimates: FloatVector, variances: FloatVector, between: float
) -> tuple[float, float]:
    """Return the mean over sites and its variance, given the variance between sites.

    The variance is never below that of known weights: with few sites that happen to agree, Hartung
    and Knapp's own would be narrower than sampling alone allows.
    """
    weights = 1 / (variances + between)
    mean = float(weights @ estimates / weights.sum())
    inflation = float(weights @ (estimates - mean) ** 2) / (len(estimates) - 1)
    return mean, max(1.0, inflation) / float(weights.sum())


def between_variance(estimates: FloatVector, variances: FloatVector) -> float:
    """Return the variance between sites by restricted maximum likelihood, 0 or above."""
    from scipy.optimize import brentq

    def slope(between: float) -> float:
        weights = 1 / (variances + between)
        total = float(weights.sum())
        residuals = estimates - weights @ estimates / total
        squares = float(weights**2 @ residuals**2)
        return squares - total + float((weights**2).sum()) / total

    if slope(0.0) <= 0:
        return 0.0
    # Past some variance the likelihood falls for good.
    highest = float(np.var(estimates, ddof=1))
    while slope(highest) > 0:
        highest *= 2
    return float(brentq(slope, 0.0, highest, xtol=1e-14))
