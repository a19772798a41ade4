"""Cox regression of a handful of covariates: hazard ratios, intervals, likelihood-ratio tests."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from learn_assets.statistics.discrimination import FloatVector, Interval, exp_wald
from learn_assets.statistics.survival_curves import EVENT, FollowUp

_MAXIMUM_STEPS = 50
_HALVINGS = 30
_TOLERANCE = 1e-9
# In standard deviations of a covariate: beyond it, an estimate only runs away to infinity.
_STEEPEST = 15.0
_FLAT = 1e-6


class CoxError(ValueError):
    """The partial likelihood has no finite maximum: no event, a constant column, separation."""


@dataclass(frozen=True)
class CoxFit:
    """Log hazard ratios (p), two covariances of them (p x p), and the log partial likelihood.

    covariance: that of the model; robust: right as well where hazards are not proportional.
    """

    coefficients: FloatVector
    covariance: npt.NDArray[np.float64]
    robust: npt.NDArray[np.float64]
    log_likelihood: float

    def hazard_ratio(self, column: int) -> Interval:
        """Return exp(coefficient) of a column with its robust Wald interval."""
        return exp_wald(float(self.coefficients[column]), float(self.robust[column, column]))


def fit_cox(design: npt.NDArray[np.float64], follow_up: FollowUp) -> CoxFit:
    """Fit a Cox model of the event by Newton's method; deaths are censorings (cause-specific).

    design: float64 (n, p), a few columns, none constant. Ties by Efron's approximation.
    CoxError when no finite maximum exists. Method: Cox 1972, Efron 1977; robust covariance of Lin &
    Wei 1989.
    """
    if not follow_up.events:
        raise CoxError("no event: there is no hazard to compare")
    scale = design.std(axis=0)
    if (scale < 1e-12).any():
        raise CoxError("a covariate does not vary among these patients")
    likelihood = _PartialLikelihood.of((design - design.mean(axis=0)) / scale, follow_up)
    coefficients = np.zeros(design.shape[1])
    value, gradient, information = likelihood.at(coefficients)
    for _ in range(_MAXIMUM_STEPS):
        step = _solve(information, gradient)
        for halving in range(_HALVINGS):
            moved = coefficients + step / 2**halving
            raised, next_gradient, next_information = likelihood.at(moved)
            if raised >= value - 1e-12:
                break
        gained = raised - value
        coefficients, value = moved, raised
        gradient, information = next_gradient, next_information
        if np.abs(coefficients).max() > _STEEPEST:
            raise CoxError("no finite hazard ratio: a covariate separates events from the rest")
        if abs(gained) < _TOLERANCE * (1 + abs(value)):
            break
    else:
        raise CoxError("the partial likelihood did not converge")
    # A likelihood that is flat in some direction has no maximum there, only a far end.
    if np.linalg.eigvalsh(information)[0] < _FLAT * follow_up.events:
        raise CoxError("no finite hazard ratio: a covariate separates events from the rest")
    bread = _solve(information, np.eye(len(coefficients)))
    residuals = likelihood.score_residuals(coefficients) @ bread
    return CoxFit(
        coefficients / scale,
        bread / np.outer(scale, scale),
        residuals.T @ residuals / np.outer(scale, scale),
        value,
    )


@dataclass(frozen=True)
class _PartialLikelihood:
    """Patients by falling follow-up; for each event its risk set, its ties and its place in them.

    risk_end: the risk set of an event is the first so many patients; tie_start: the first
    event of the same day; fraction: l / d of Efron's correction for the l-th of d tied events.
    day_start: for every patient, the first row of the same day.
    """

    design: npt.NDArray[np.float64]
    events: npt.NDArray[np.intp]
    risk_end: npt.NDArray[np.intp]
    tie_start: npt.NDArray[np.intp]
    fraction: FloatVector
    day_start: npt.NDArray[np.intp]

    @classmethod
    def of(cls, design: npt.NDArray[np.float64], follow_up: FollowUp) -> _PartialLikelihood:
        # Within a day events stand first, so that a tie is one run of rows.
        order = np.lexsort((follow_up.status != EVENT, -follow_up.days))
        days = follow_up.days[order]
        events = np.flatnonzero(follow_up.status[order] == EVENT)
        start = np.searchsorted(-days, -days[events], side="left")
        ties = np.bincount(start, minlength=len(days))[start]
        return cls(
            design[order],
            events,
            np.searchsorted(-days, -days[events], side="right"),
            start,
            (events - start) / ties,
            np.searchsorted(-days, -days, side="left"),
        )

    def at(self, coefficients: FloatVector) -> tuple[float, FloatVector, npt.NDArray[np.float64]]:
        """Return the log partial likelihood, its gradient and the information matrix."""
        linear = self.design @ coefficients
        weight = np.exp(linear - linear.max())
        zero = self._sums(weight)
        first = self._sums(weight[:, None] * self.design)
        products = self.design[:, :, None] * self.design[:, None, :]
        second = self._sums(weight[:, None, None] * products)
        # Weights of a whole risk set vanish after a step too far; no comparison takes that one.
        with np.errstate(divide="ignore", invalid="ignore"):
            mean = first / zero[:, None]
            value = float((linear[self.events] - linear.max() - np.log(zero)).sum())
            gradient = (self.design[self.events] - mean).sum(axis=0)
            information = (second / zero[:, None, None]).sum(axis=0) - mean.T @ mean
        return value, gradient, information

    def score_residuals(self, coefficients: FloatVector) -> npt.NDArray[np.float64]:
        """Return what each patient adds to the gradient, expectation included, float64 (n, p)."""
        linear = self.design @ coefficients
        weight = np.exp(linear - linear.max())
        zero = self._sums(weight)
        mean = self._sums(weight[:, None] * self.design) / zero[:, None]
        size, columns = self.design.shape
        # A patient is at risk at the events of their own day and of every earlier one.
        hazard, drift = np.zeros(size + 1), np.zeros((size + 1, columns))
        hazard[self.events] = 1 / zero
        drift[self.events] = mean / zero[:, None]
        passed = np.cumsum(hazard[::-1])[::-1][self.day_start]
        drifted = np.cumsum(drift[::-1], axis=0)[::-1][self.day_start]
        residuals = -weight[:, None] * (self.design * passed[:, None] - drifted)
        residuals[self.events] += self.design[self.events] - mean
        return np.asarray(residuals)

    def _sums(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return the sum over each event's risk set, less Efron's share of the tied events."""
        running = np.concatenate([np.zeros((1, *values.shape[1:])), np.cumsum(values, axis=0)])
        tied = np.bincount(self.tie_start, minlength=len(values))[self.tie_start]
        of_ties = running[self.tie_start + tied] - running[self.tie_start]
        share = self.fraction.reshape(-1, *([1] * (values.ndim - 1)))
        return np.asarray(running[self.risk_end] - share * of_ties)


def _solve(
    matrix: npt.NDArray[np.float64], right: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    try:
        return np.asarray(np.linalg.solve(matrix, right))
    except np.linalg.LinAlgError as error:
        raise CoxError("the covariates cannot be told apart among these patients") from error
