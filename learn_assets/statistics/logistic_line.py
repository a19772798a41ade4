"""Logistic line: logit(p) = intercept + slope * x by Newton's method, safe under separation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import expit

_MAXIMUM_STEPS = 100
_TOLERANCE = 1e-10
_STEEPEST = 1e4
_HALVINGS = 30
# Values this close (relative to their size) differ by rounding only.
_ALIKE = 1e-12

FloatVector = npt.NDArray[np.float64]


class SeparationError(ValueError):
    """The maximum-likelihood line does not exist: x separates the classes, or does not vary."""


@dataclass(frozen=True)
class LogisticLine:
    """A fitted line with the covariance (2 x 2) of (intercept, slope); slope row 0 when fixed."""

    intercept: float
    slope: float
    covariance: FloatVector

    def predict(self, x: FloatVector) -> FloatVector:
        """Return probabilities, float64, of the shape of `x`."""
        return np.asarray(expit(self.intercept + self.slope * x), dtype=np.float64)


def fit_line(x: FloatVector, target: FloatVector) -> LogisticLine:
    """Fit intercept and slope by maximum likelihood; `target` in [0, 1] may be soft.

    SeparationError when the estimate is not finite.
    """
    if np.ptp(x) <= _ALIKE * max(1.0, float(np.abs(x).max())):
        raise SeparationError("no finite logistic line: the values are all alike")
    if _separated(x, target):
        raise SeparationError("no finite logistic line: the values separate the classes")
    design = np.column_stack([np.ones_like(x), x])
    coefficients, covariance = _newton(design, np.zeros_like(x), target)
    return LogisticLine(float(coefficients[0]), float(coefficients[1]), covariance)


def fit_intercept(offset: FloatVector, target: FloatVector) -> LogisticLine:
    """Fit the intercept alone, the slope on `offset` fixed at 1 (calibration in the large).

    SeparationError when the estimate is not finite.
    """
    coefficients, covariance = _newton(np.ones((len(offset), 1)), offset, target)
    padded = np.zeros((2, 2))
    padded[0, 0] = covariance[0, 0]
    return LogisticLine(float(coefficients[0]), 1.0, padded)


def _separated(x: FloatVector, target: FloatVector) -> bool:
    """Return whether a threshold on x parts targets of 0 from targets of 1, ties allowed."""
    low, high = x[target == 0], x[target == 1]
    if len(low) + len(high) < len(x) or not (len(low) and len(high)):
        return False
    return bool(low.max() <= high.min() or high.max() <= low.min())


def _newton(
    design: FloatVector, offset: FloatVector, target: FloatVector
) -> tuple[FloatVector, FloatVector]:
    coefficients = np.zeros(design.shape[1])

    def loss(candidate: FloatVector) -> float:
        linear = offset + design @ candidate
        return float(np.sum(np.logaddexp(0.0, linear) - target * linear))

    for _ in range(_MAXIMUM_STEPS):
        probability = expit(offset + design @ coefficients)
        gradient = design.T @ (target - probability)
        information = np.asarray((design * (probability * (1 - probability))[:, None]).T @ design)
        if np.linalg.cond(information) > 1.0 / np.finfo(np.float64).eps:
            raise SeparationError("no finite logistic line: the values separate the classes")
        step = np.linalg.solve(information, gradient)
        coefficients = _damped(loss, coefficients, step)
        if np.abs(coefficients).max() > _STEEPEST:
            raise SeparationError("no finite logistic line: the values separate the classes")
        if np.abs(gradient @ step) < _TOLERANCE:
            return coefficients, np.asarray(np.linalg.inv(information))
    raise SeparationError("no finite logistic line: Newton's method did not settle")


def _damped(
    loss: Callable[[FloatVector], float], coefficients: FloatVector, step: FloatVector
) -> FloatVector:
    """Return the coefficients after the step, halved until it does not raise the loss."""
    before = loss(coefficients)
    for halvings in range(_HALVINGS):
        candidate = np.asarray(coefficients + step * 0.5**halvings, dtype=np.float64)
        if loss(candidate) <= before + 1e-12:
            return candidate
    return coefficients
