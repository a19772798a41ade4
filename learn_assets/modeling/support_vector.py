"""Support vector machine: radial kernel, computed once in float32 for all inner folds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from learn_assets.modeling.arrays import (
    FloatMatrix,
    FloatVector,
    IndexVector,
    Labels,
    read_arrays,
    write_arrays,
)
from learn_assets.modeling.platt import PlattScaling, fit_platt, inner_folds

_BLOCK_ROWS = 4096


@dataclass(frozen=True)
class SupportVectorMachine:
    """A fitted machine. It holds rows of its training patients, so it must not leave the site."""

    support_vectors: FloatMatrix
    dual_coefficients: FloatVector
    intercept: float
    gamma: float
    platt: PlattScaling

    carries_patient_rows: ClassVar[bool] = True

    def decision(self, matrix: FloatMatrix) -> FloatVector:
        """Return signed distances from the boundary, float64 (patients,)."""
        pieces = [
            radial_kernel(matrix[start : start + _BLOCK_ROWS], self.support_vectors, self.gamma)
            @ self.dual_coefficients
            for start in range(0, len(matrix), _BLOCK_ROWS)
        ]
        return np.concatenate([np.zeros(0), *pieces]) + self.intercept

    def predict_probability(self, matrix: FloatMatrix) -> FloatVector:
        """Return the probability of being a case, float64 (patients,)."""
        return self.platt.probability(self.decision(matrix))

    def save(self, folder: Path) -> None:
        """Write arrays and settings; the folder holds patient-level rows."""
        arrays: dict[str, npt.NDArray[Any]] = {
            "support_vectors": self.support_vectors,
            "dual_coefficients": self.dual_coefficients,
            "scalars": np.array(
                [self.intercept, self.gamma, self.platt.intercept, self.platt.slope]
            ),
        }
        write_arrays(folder, arrays, {})

    @classmethod
    def load(cls, folder: Path) -> SupportVectorMachine:
        """Read what `save` wrote."""
        arrays, _ = read_arrays(folder)
        intercept, gamma, *platt = (float(value) for value in arrays["scalars"])
        return cls(
            arrays["support_vectors"],
            arrays["dual_coefficients"],
            intercept,
            gamma,
            PlattScaling(*platt),
        )


@dataclass(frozen=True)
class SupportVectorSettings:
    """cost: penalty C. gamma is 1 / columns, as LEARN sets it (`gamma="auto"`).

    balanced: cases and controls weigh the same in total; calibration keeps the true share.
    """

    cost: float = 1.0
    calibration_folds: int = 5
    balanced: bool = False

    def fit(self, matrix: FloatMatrix, labels: Labels, seed: int) -> SupportVectorMachine:
        """Fit on standardized rows; probabilities come from decision values of inner folds."""
        gamma = 1.0 / matrix.shape[1]
        kernel = radial_kernel(matrix, matrix, gamma)
        folds = inner_folds(labels, self.calibration_folds, seed)
        platt = _calibrated(kernel, labels, folds, self) if folds else PlattScaling()
        support, dual, intercept = _solve(kernel, labels, self)
        return SupportVectorMachine(matrix[support], dual, intercept, gamma, platt)


def radial_kernel(left: FloatMatrix, right: FloatMatrix, gamma: float) -> FloatMatrix:
    """Return exp(-gamma * squared distance), float32 (rows of left, rows of right)."""
    squared = -2.0 * (left @ right.T)
    squared += np.einsum("ij,ij->i", left, left)[:, None]
    squared += np.einsum("ij,ij->i", right, right)[None, :]
    np.maximum(squared, 0.0, out=squared)
    squared *= np.float32(-gamma)
    return np.asarray(np.exp(squared, out=squared), dtype=np.float32)


def _solve(
    kernel: FloatMatrix, labels: Labels, settings: SupportVectorSettings
) -> tuple[IndexVector, FloatVector, float]:
    from sklearn.svm import SVC

    weight = "balanced" if settings.balanced else None
    machine = SVC(C=settings.cost, kernel="precomputed", class_weight=weight).fit(kernel, labels)
    return (
        machine.support_.astype(np.int64),
        machine.dual_coef_[0].astype(np.float64),
        float(machine.intercept_[0]),
    )


def _calibrated(
    kernel: FloatMatrix,
    labels: Labels,
    folds: list[tuple[IndexVector, IndexVector]],
    settings: SupportVectorSettings,
) -> PlattScaling:
    held_out_decision = np.zeros(len(labels))
    for training, held_out in folds:
        support, dual, intercept = _solve(
            kernel[np.ix_(training, training)], labels[training], settings
        )
        across = kernel[np.ix_(held_out, training[support])]
        held_out_decision[held_out] = across @ dual + intercept
    return fit_platt(held_out_decision, labels)
