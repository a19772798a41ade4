"""Discrimination: how well scores rank cases above controls (AUROC, AUPRC and their intervals)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import expit, logit, ndtri

from learn_assets.statistics.patient_draws import patient_weights, percentile_limits

# Quantile of two-sided 95 % intervals, the level of every interval here.
Z95 = float(ndtri(0.975))

FloatVector = npt.NDArray[np.float64]
Labels = npt.NDArray[np.integer]


class OneClassError(ValueError):
    """Cases or controls are absent, so the metric does not exist."""


@dataclass(frozen=True)
class Interval:
    """An estimate and its confidence limits."""

    estimate: float
    lower: float
    upper: float


def limits_of(value: Interval | float | None, name: str = "estimate") -> dict[str, float | None]:
    """Return estimate, lower and upper as a table holds them: empty where there is none."""
    if isinstance(value, Interval):
        known = {name: value.estimate, "lower": value.lower, "upper": value.upper}
        return {key: limit if np.isfinite(limit) else None for key, limit in known.items()}
    return {name: value, "lower": None, "upper": None}


@dataclass(frozen=True)
class DelongResult:
    """AUROC of k scores on the same patients and their covariance (k x k)."""

    estimates: FloatVector
    covariance: FloatVector


def delong(
    scores: FloatVector, labels: Labels, folds: npt.NDArray[np.integer] | None = None
) -> DelongResult:
    """Return AUROCs and DeLong covariance of scores (k, n) for labels (n), 1 = case.

    folds (n): a case is compared with the controls of its own fold only, every pair counting the
    same. Out-of-fold scores need this: a fold holding more of the cases was scored by models that
    saw fewer, so its scores are lower, and pairs across folds put even noise below 0.5.

    Method: DeLong et al. 1988 by mid-ranks (Sun & Xu 2014), O(k n log n); pairs within folds as in
    Forman & Scholz 2010, Airola et al. 2011. OneClassError when no fold holds a case and a control.
    With one case or one control the covariance is NaN.
    """
    scores = np.atleast_2d(scores)
    is_case = case_mask(labels)
    groups = np.zeros(len(is_case), dtype=np.int64) if folds is None else folds
    wins = [
        _pair_wins(scores[:, groups == fold], is_case[groups == fold]) for fold in np.unique(groups)
    ]
    comparable = [won for won in wins if won.of_cases.size and won.of_controls.size]
    if not comparable:
        raise OneClassError("needs a fold with at least one case and one control")
    of_cases = np.concatenate([won.of_cases for won in comparable], axis=1)
    of_controls = np.concatenate([won.of_controls for won in comparable], axis=1)
    cases, controls = of_cases.shape[1], of_controls.shape[1]
    pairs = sum(won.of_cases.shape[1] * won.of_controls.shape[1] for won in comparable)
    # Scaled so that the mean of both is the AUROC.
    case_part = of_cases * (cases / pairs)
    control_part = of_controls * (controls / pairs)
    if min(cases, controls) < 2:
        covariance = np.full((len(scores), len(scores)), np.nan)
    else:
        covariance = np.atleast_2d(np.cov(case_part)) / cases
        covariance = covariance + np.atleast_2d(np.cov(control_part)) / controls
    return DelongResult(of_cases.sum(axis=1) / pairs, covariance)


@dataclass(frozen=True)
class _PairWins:
    """Controls outranked by each case (k, cases); cases that outrank each control (k, controls)."""

    of_cases: FloatVector
    of_controls: FloatVector


def _pair_wins(scores: FloatVector, is_case: npt.NDArray[np.bool_]) -> _PairWins:
    from scipy.stats import rankdata

    overall = rankdata(scores, axis=1)
    among_cases = rankdata(scores[:, is_case], axis=1)
    among_controls = rankdata(scores[:, ~is_case], axis=1)
    cases = float(is_case.sum())
    return _PairWins(
        overall[:, is_case] - among_cases, cases - (overall[:, ~is_case] - among_controls)
    )


def auroc(
    scores: FloatVector,
    labels: Labels,
    *,
    folds: npt.NDArray[np.integer] | None = None,
) -> Interval:
    """Return AUROC with its DeLong interval on the logit scale, which stays inside 0 to 1.

    Limits are NaN when there is one case or control only, or when the ranking is perfect. folds:
    out-of-fold scores are compared within folds, see `delong`. OneClassError when cases or controls
    are absent.
    """
    result = delong(scores, labels, folds)
    return logit_wald(float(result.estimates[0]), float(result.covariance[0, 0]))


def wald(estimate: float, variance: float) -> Interval:
    """Return an estimate with the 95 % interval of a normal distribution."""
    width = Z95 * float(np.sqrt(variance))
    return Interval(estimate, estimate - width, estimate + width)


def exp_wald(logarithm: float, variance: float) -> Interval:
    """Return a ratio, given its logarithm, with its 95 % interval on the log scale."""
    limits = wald(logarithm, variance)
    lower, middle, upper = np.exp([limits.lower, logarithm, limits.upper])
    return Interval(float(middle), float(lower), float(upper))


def logit_wald(estimate: float, variance: float) -> Interval:
    """Return a share with its 95 % interval on the logit scale; limits of 0 and 1 are NaN."""
    width = Z95 * float(np.sqrt(variance))
    if not 0.0 < estimate < 1.0:
        return Interval(estimate, float("nan"), float("nan"))
    center, scaled = float(logit(estimate)), width / (estimate * (1 - estimate))
    return Interval(estimate, float(expit(center - scaled)), float(expit(center + scaled)))


def average_precision(scores: FloatVector, labels: Labels) -> float:
    """Return AUPRC as average precision, tied scores taken together.

    OneClassError when cases or controls are absent.
    """
    is_case = case_mask(labels)
    weights = np.ones((1, len(labels)))
    return float(weighted_precision(scores, is_case, weights)[0])


def auprc(
    scores: FloatVector,
    labels: Labels,
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> Interval:
    """Return average precision with a percentile interval over resampled patients.

    Prevalence varies from resample to resample, as it would from cohort to cohort.
    OneClassError when cases or controls are absent.
    """
    is_case = case_mask(labels)
    draws = [
        weighted_precision(scores, is_case, weights)
        for weights in patient_weights(len(labels), resamples, seed)
    ]
    lower, upper = percentile_limits(np.concatenate(draws))
    return Interval(average_precision(scores, labels), lower, upper)


def weighted_precision(
    scores: FloatVector, is_case: npt.NDArray[np.bool_], weights: FloatVector
) -> FloatVector:
    """Return average precision for each row of patient weights (resamples, n).

    NaN in a row that holds no case.
    """
    order = np.argsort(-scores, kind="stable")
    descending = scores[order]
    last_of_tie = np.append(np.flatnonzero(np.diff(descending)), len(scores) - 1)
    drawn = weights[:, order]
    found = np.cumsum(drawn * is_case[order], axis=1)[:, last_of_tie]
    flagged = np.cumsum(drawn, axis=1)[:, last_of_tie]
    precision = np.divide(found, flagged, out=np.zeros_like(found), where=flagged > 0)
    gained = np.diff(found, axis=1, prepend=0.0)
    cases = found[:, -1]
    average: FloatVector = np.full(len(weights), np.nan)
    np.divide((gained * precision).sum(axis=1), cases, out=average, where=cases > 0)
    return average


def case_mask(labels: Labels) -> npt.NDArray[np.bool_]:
    """Return which patients are cases (label 1); OneClassError when a class is absent."""
    is_case: npt.NDArray[np.bool_] = np.asarray(labels) == 1
    if is_case.all() or not is_case.any():
        raise OneClassError("needs at least one case and one control")
    return is_case
