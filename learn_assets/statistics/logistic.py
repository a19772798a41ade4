"""Logistic regression of a handful of covariates: odds ratios and likelihood-ratio tests."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import chdtrc, expit, log_expit

from learn_assets.statistics.discrimination import (
    FloatVector,
    Interval,
    Labels,
    case_mask,
    exp_wald,
)
from learn_assets.statistics.logistic_line import SeparationError

_MAXIMUM_STEPS = 50
_HALVINGS = 30
_TOLERANCE = 1e-10
_FLAT = 1e-7


@dataclass(frozen=True)
class LogisticFit:
    """Intercept and log odds ratios (1 + p), their covariance, and the log likelihood."""

    coefficients: FloatVector
    covariance: npt.NDArray[np.float64]
    log_likelihood: float

    def odds_ratio(self, column: int) -> Interval:
        """Return exp(coefficient) of a column of the design with its Wald interval."""
        variance = float(self.covariance[column + 1, column + 1])
        return exp_wald(float(self.coefficients[column + 1]), variance)

    def predict(self, design: npt.NDArray[np.float64]) -> FloatVector:
        """Return the linear predictor (log odds) of each row, float64 (n)."""
        return np.asarray(self.coefficients[0] + design @ self.coefficients[1:])


def fit_logistic(design: npt.NDArray[np.float64], labels: Labels) -> LogisticFit:
    """Fit an intercept and one coefficient a column by maximum likelihood (Newton's method).

    design: float64 (n, p), a few columns; labels (n), 1 = case. OneClassError when a class is
    absent, SeparationError when the estimate is not finite or the columns cannot be told apart.
    """
    target = case_mask(labels).astype(np.float64)
    center, scale = design.mean(axis=0), design.std(axis=0)
    if (scale < 1e-12).any():
        raise SeparationError("a covariate does not vary among these patients")
    full = np.column_stack([np.ones(len(design)), (design - center) / scale])
    coefficients = np.zeros(full.shape[1])
    value, gradient, information = _likelihood(full, target, coefficients)
    for _ in range(_MAXIMUM_STEPS):
        if np.linalg.eigvalsh(information)[0] < _FLAT * len(design):
            raise SeparationError("no finite odds ratio: the covariates separate the classes")
        step = np.linalg.solve(information, gradient)
        for halving in range(_HALVINGS):
            moved = coefficients + step / 2**halving
            raised, next_gradient, next_information = _likelihood(full, target, moved)
            if raised >= value - 1e-12:
                break
        gained = raised - value
        coefficients, value = moved, raised
        gradient, information = next_gradient, next_information
        if abs(gained) < _TOLERANCE * (1 + abs(value)):
            return _unscaled(
                coefficients,
                np.asarray(np.linalg.inv(information), dtype=np.float64),
                value,
                center,
                scale,
            )
    raise SeparationError("no finite odds ratio: the likelihood did not converge")


def likelihood_ratio_p(larger: LogisticFit, smaller: LogisticFit) -> float:
    """Return the p value of the larger of two nested models against the smaller."""
    freedom = len(larger.coefficients) - len(smaller.coefficients)
    ratio = max(0.0, 2 * (larger.log_likelihood - smaller.log_likelihood))
    return float(chdtrc(freedom, ratio))


def _likelihood(
    full: npt.NDArray[np.float64], target: FloatVector, coefficients: FloatVector
) -> tuple[float, FloatVector, npt.NDArray[np.float64]]:
    linear = full @ coefficients
    chance = expit(linear)
    value = float((target * log_expit(linear) + (1 - target) * log_expit(-linear)).sum())
    information = (full * (chance * (1 - chance))[:, None]).T @ full
    return value, full.T @ (target - chance), information


def _unscaled(
    coefficients: FloatVector,
    covariance: npt.NDArray[np.float64],
    value: float,
    center: FloatVector,
    scale: FloatVector,
) -> LogisticFit:
    """Return the fit in the covariates' own units."""
    back = np.diag(np.append(1.0, 1 / scale))
    back[0, 1:] = -center / scale
    return LogisticFit(back @ coefficients, back @ covariance @ back.T, value)
