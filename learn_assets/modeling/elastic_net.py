"""Elastic-net logistic regression along a path of penalties, its strength chosen in inner folds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from scipy.special import expit

from learn_assets.modeling.arrays import (
    FloatMatrix,
    FloatVector,
    IndexVector,
    Labels,
    balanced_weights,
    read_arrays,
    weighted_log_loss,
    write_arrays,
)
from learn_assets.modeling.platt import PlattScaling, fit_platt, inner_folds

_REWEIGHTINGS = 25
_SETTLED = 1e-4
_SMALLEST_WEIGHT = 1e-4


@dataclass(frozen=True)
class ElasticNet:
    """Coefficients on standardized columns (float64), most of them 0."""

    coefficients: FloatVector
    intercept: float
    penalty: float
    platt: PlattScaling

    carries_patient_rows: ClassVar[bool] = False

    def decision(self, matrix: FloatMatrix) -> FloatVector:
        """Return the linear predictor, float64 (patients,)."""
        return matrix @ self.coefficients + self.intercept

    def predict_probability(self, matrix: FloatMatrix) -> FloatVector:
        """Return the probability of being a case, float64 (patients,)."""
        return self.platt.probability(self.decision(matrix))

    def save(self, folder: Path) -> None:
        """Write coefficients and scalars."""
        scalars = [self.intercept, self.penalty, self.platt.intercept, self.platt.slope]
        arrays = {"coefficients": self.coefficients, "scalars": np.array(scalars)}
        write_arrays(folder, arrays, {})

    @classmethod
    def load(cls, folder: Path) -> ElasticNet:
        """Read what `save` wrote."""
        arrays, _ = read_arrays(folder)
        intercept, penalty, *platt = (float(value) for value in arrays["scalars"])
        return cls(arrays["coefficients"], intercept, penalty, PlattScaling(*platt))


@dataclass(frozen=True)
class ElasticNetSettings:
    """Shape of the penalty and of the path it is chosen from.

    mixing: share of the L1 penalty. The path falls from the smallest penalty that leaves no column
    to `path_end` times it, in `path_steps` equal ratios, and is left after `patience` steps without
    a lower held-out log loss. balanced: cases and controls weigh the same in total; calibration
    keeps the true share.
    """

    mixing: float = 0.5
    path_steps: int = 10
    path_end: float = 0.03
    patience: int = 2
    inner_folds: int = 3
    calibrated: bool = True
    balanced: bool = False

    def fit(self, matrix: FloatMatrix, labels: Labels, seed: int) -> ElasticNet:
        """Choose the penalty by held-out log loss of inner folds, then fit on all rows.

        The held-out linear predictors at the chosen penalty also fit the calibration.
        """
        path = self._path(matrix, labels)
        folds = inner_folds(labels, self.inner_folds, seed)
        if not folds:
            coefficients, intercept = next(
                fit_path(matrix, labels, path[:1], self.mixing, self._weights(labels))
            )
            return ElasticNet(coefficients, intercept, float(path[0]), PlattScaling())
        best, held_out_decision = self._held_out_decision(matrix, labels, folds, path)
        *_, (coefficients, intercept) = fit_path(
            matrix, labels, path[: best + 1], self.mixing, self._weights(labels)
        )
        platt = fit_platt(held_out_decision, labels) if self.calibrated else PlattScaling()
        return ElasticNet(coefficients, intercept, float(path[best]), platt)

    def _held_out_decision(
        self,
        matrix: FloatMatrix,
        labels: Labels,
        folds: list[tuple[IndexVector, IndexVector]],
        path: FloatVector,
    ) -> tuple[int, FloatVector]:
        """Return the best step of the path and the held-out linear predictors there.

        The folds walk the path side by side, so all can stop where it only gets worse: its weak end
        has the most columns and costs the most.
        """
        walks = [
            fit_path(
                matrix[training],
                labels[training],
                path,
                self.mixing,
                self._weights(labels[training]),
            )
            for training, _ in folds
        ]
        best, best_loss, best_decision = 0, float("inf"), np.zeros(len(labels))
        for number, steps in enumerate(zip(*walks, strict=True)):
            decision = np.zeros(len(labels))
            for (coefficients, intercept), (_, held_out) in zip(steps, folds, strict=True):
                decision[held_out] = matrix[held_out] @ coefficients + intercept
            loss = weighted_log_loss(decision, labels, self._weights(labels))
            if loss < best_loss:
                best, best_loss, best_decision = number, loss, decision
            if number - best >= self.patience:
                break
        return best, best_decision

    def _weights(self, labels: Labels) -> FloatVector:
        return balanced_weights(labels) if self.balanced else np.ones(len(labels))

    def _path(self, matrix: FloatMatrix, labels: Labels) -> FloatVector:
        weights = self._weights(labels)
        center = np.average(labels, weights=weights)
        gradient = matrix.T @ (weights * (labels - center)) / len(labels)
        strongest = max(float(np.abs(gradient).max()) / self.mixing, 1e-8)
        # The strongest penalty itself leaves an empty model, so the path starts just below.
        return strongest * 0.9 * np.geomspace(1.0, self.path_end, self.path_steps)


@dataclass(frozen=True)
class _Counted:
    """Labels and how much each row counts (mean 1)."""

    labels: Labels
    weights: FloatVector


def fit_path(
    matrix: FloatMatrix,
    labels: Labels,
    penalties: FloatVector,
    mixing: float,
    weights: FloatVector | None = None,
) -> Iterator[tuple[FloatVector, float]]:
    """Yield (coefficients, intercept) at each penalty, strongest first, each starting the next.

    weights (rows, mean 1): how much each row counts, None for all the same.
    Minimizes mean log loss + penalty * (mixing * |b|_1 + (1 - mixing) / 2 * |b|_2^2), intercept
    free. Method: reweighted least squares by coordinate descent with the sequential strong rule
    (Friedman et al. 2010; Tibshirani et al. 2012); columns the rule wrongly left out are put back.
    """
    columns = matrix.shape[1]
    counted = _Counted(labels, np.ones(len(labels)) if weights is None else weights)
    coefficients = np.zeros(columns)
    intercept = _free_intercept(counted)
    gradient = _gradient(matrix, counted, coefficients, intercept)
    previous = float(np.abs(gradient).max()) / mixing
    for penalty in penalties:
        likely = np.abs(gradient) >= mixing * (2 * penalty - previous)
        working = np.flatnonzero(likely | (coefficients != 0))
        while True:
            narrow = np.asfortranarray(matrix[:, working], dtype=np.float64)
            start = (coefficients[working], intercept)
            inner, intercept = _reweighted(
                narrow, counted, start, penalty=float(penalty), mixing=mixing
            )
            coefficients = np.zeros(columns)
            coefficients[working] = inner
            gradient = _gradient(matrix, counted, coefficients, intercept)
            wrong = np.abs(gradient) > mixing * penalty * (1 + _SETTLED * 10)
            left_out = np.setdiff1d(np.flatnonzero(wrong), working)
            if not len(left_out):
                break
            working = np.union1d(working, left_out)
        yield coefficients.copy(), intercept
        previous = float(penalty)


def _reweighted(
    matrix: FloatVector,
    counted: _Counted,
    start: tuple[FloatVector, float],
    *,
    penalty: float,
    mixing: float,
) -> tuple[FloatVector, float]:
    """Return the solution on these columns (float64, Fortran order) from a warm start."""
    from sklearn import config_context
    from sklearn.linear_model import ElasticNet as LeastSquaresNet

    coefficients, intercept = start
    if not len(coefficients):
        return coefficients, _free_intercept(counted)
    model = LeastSquaresNet(
        l1_ratio=mixing,
        # Few columns: a sweep over their products costs less than one over all rows.
        precompute=matrix.shape[1] < matrix.shape[0] // 2,
        warm_start=True,
        tol=1e-5,
        max_iter=10_000,
    )
    for _ in range(_REWEIGHTINGS):
        linear = matrix @ coefficients + intercept
        probability = expit(linear)
        curvature = np.maximum(probability * (1 - probability), _SMALLEST_WEIGHT)
        response = linear + (counted.labels - probability) / curvature
        weight = counted.weights * curvature
        # scikit-learn divides by the sum of weights where the log loss divides by the rows.
        model.set_params(alpha=penalty / float(weight.mean()))
        model.coef_ = coefficients.copy()
        # Checking the same matrix hundreds of times would cost more than the descent itself.
        with config_context(assume_finite=True, skip_parameter_validation=True):
            model.fit(matrix, response, sample_weight=weight, check_input=False)
        moved = float(np.abs(model.coef_ - coefficients).max(initial=0.0))
        moved = max(moved, abs(float(model.intercept_) - intercept))
        coefficients, intercept = model.coef_.astype(np.float64), float(model.intercept_)
        if moved < _SETTLED:
            break
    return coefficients, intercept


def _free_intercept(counted: _Counted) -> float:
    share = float(np.clip(np.average(counted.labels, weights=counted.weights), 1e-6, 1 - 1e-6))
    return float(np.log(share / (1 - share)))


def _gradient(
    matrix: FloatMatrix, counted: _Counted, coefficients: FloatVector, intercept: float
) -> FloatVector:
    active = np.flatnonzero(coefficients)
    probability = expit(matrix[:, active] @ coefficients[active] + intercept)
    residual = (counted.weights * (counted.labels - probability)).astype(np.float32)
    return np.asarray(residual @ matrix, dtype=np.float64) / len(residual)
