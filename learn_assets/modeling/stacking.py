"""Stacking: late fusion, one model a part of the features and a combination of their log odds.

What belongs here: the combination, learned from predictions of inner folds of the training set, so
neither a held-out patient nor a model's own training patients decide how much each part counts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.special import expit

from learn_assets.modeling.arrays import (
    FloatMatrix,
    FloatVector,
    IndexVector,
    Labels,
    read_arrays,
    write_arrays,
)
from learn_assets.modeling.learners import Model, load_model
from learn_assets.modeling.platt import inner_folds
from learn_assets.statistics.calibration import logits
from learn_assets.study import LearnerName

_INNER_FOLDS = 5
# Pulls the weights towards a plain mean as strongly as one more patient would.
_SHRINKAGE = 1.0

# Fits the model of a part, by number, to rows of its columns.
FitPart = Callable[[int, FloatMatrix, Labels], Model]


@dataclass(frozen=True)
class Combination:
    """log odds = intercept + weights @ log odds of the parts; no weight is negative."""

    weights: FloatVector
    intercept: float

    def probability(self, decision: FloatVector) -> FloatVector:
        """Return the probability of being a case from log odds, float64 (patients, parts)."""
        return np.asarray(expit(self.intercept + decision @ self.weights), dtype=np.float64)


@dataclass(frozen=True)
class StackedModel:
    """Models of parts of the columns, `parts` their column numbers, and their combination."""

    learner: LearnerName
    parts: tuple[IndexVector, ...]
    models: tuple[Model, ...]
    combination: Combination

    @property
    def carries_patient_rows(self) -> bool:
        """Whether one of the models keeps training patients."""
        return any(model.carries_patient_rows for model in self.models)

    def predict_probability(self, matrix: FloatMatrix) -> FloatVector:
        """Return the probability of being a case, float64 (patients,)."""
        return self.combination.probability(_decisions(self.models, self.parts, matrix))

    def save(self, folder: Path) -> None:
        """Write the combination, and each model into a folder of its own."""
        arrays = {f"columns.{number}": part for number, part in enumerate(self.parts)}
        combined = {
            "weights": self.combination.weights,
            "intercept": np.array([self.combination.intercept]),
        }
        write_arrays(folder, {**arrays, **combined}, {"learner": self.learner})
        for number, model in enumerate(self.models):
            model.save(folder / f"part_{number}")

    @classmethod
    def load(cls, folder: Path) -> StackedModel:
        """Read what `save` wrote."""
        arrays, settings = read_arrays(folder)
        numbers = range(len(arrays["weights"]))
        return cls(
            settings["learner"],
            tuple(arrays[f"columns.{number}"] for number in numbers),
            tuple(load_model(settings["learner"], folder / f"part_{number}") for number in numbers),
            Combination(arrays["weights"], float(arrays["intercept"][0])),
        )


def fit_stacked(
    learner: LearnerName,
    fit_part: FitPart,
    matrix: FloatMatrix,
    parts: Sequence[IndexVector],
    labels: Labels,
    seed: int,
) -> StackedModel:
    """Fit a model to each part and learn their combination from predictions of inner folds.

    matrix and labels are rows of training patients as they are: whatever resamples them belongs
    into `fit_part`. Method: Wolpert 1992, weights non-negative as Breiman 1996 asks.
    """
    decision = np.zeros((len(labels), len(parts)))
    folds = inner_folds(labels, _INNER_FOLDS, seed)
    for training, held_out in folds:
        models = [
            fit_part(number, matrix[np.ix_(training, part)], labels[training])
            for number, part in enumerate(parts)
        ]
        decision[held_out] = _decisions(models, parts, matrix[held_out])
    combination = combine(decision, labels) if folds else _plain_mean(len(parts))
    models = [fit_part(number, matrix[:, part], labels) for number, part in enumerate(parts)]
    return StackedModel(learner, tuple(parts), tuple(models), combination)


def combine(decision: FloatVector, labels: Labels) -> Combination:
    """Return the combination of least log loss, weights at least 0 and shrunk to a plain mean.

    decision: log odds float64 (patients, parts), of models that did not train on the patient.
    """
    from scipy.optimize import minimize

    parts = decision.shape[1]
    start = _plain_mean(parts)

    def loss(values: FloatVector) -> tuple[float, FloatVector]:
        weights, intercept = values[:parts], values[parts]
        total = intercept + decision @ weights
        residual = expit(total) - labels
        apart = weights - start.weights
        value = float(np.sum(np.logaddexp(0.0, total) - labels * total))
        gradient = np.append(decision.T @ residual + _SHRINKAGE * apart, residual.sum())
        return value + 0.5 * _SHRINKAGE * float(apart @ apart), gradient

    bounds = [(0.0, None)] * parts + [(None, None)]
    found = minimize(
        loss, np.append(start.weights, 0.0), jac=True, bounds=bounds, method="L-BFGS-B"
    )
    return Combination(np.asarray(found.x[:parts], dtype=np.float64), float(found.x[parts]))


def _decisions(
    models: Sequence[Model], parts: Sequence[IndexVector], matrix: FloatMatrix
) -> FloatVector:
    probabilities = [
        model.predict_probability(matrix[:, part])
        for model, part in zip(models, parts, strict=True)
    ]
    return logits(np.column_stack(probabilities))


def _plain_mean(parts: int) -> Combination:
    return Combination(np.full(parts, 1.0 / parts), 0.0)
