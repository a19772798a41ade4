"""Boosted trees (XGBoost, histogram method), stored in its own UBJ format."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from learn_assets.modeling.arrays import (
    FloatMatrix,
    FloatVector,
    IndexVector,
    Labels,
    balanced_weights,
    read_json,
    weighted_log_loss,
    write_json,
)
from learn_assets.modeling.platt import PlattScaling, fit_platt, inner_folds

if TYPE_CHECKING:
    from xgboost import Booster, QuantileDMatrix

_BOOSTER = "booster.ubj"
_SETTINGS = "settings.json"
_ROUNDS_A_LOOK = 10


@dataclass(frozen=True)
class BoostedTrees:
    """A fitted booster and the scaling of its margins."""

    booster: Booster
    platt: PlattScaling

    carries_patient_rows: ClassVar[bool] = False

    def decision(self, matrix: FloatMatrix) -> FloatVector:
        """Return margins (log odds before scaling), float64 (patients,)."""
        return _margins(self.booster, matrix)

    def predict_probability(self, matrix: FloatMatrix) -> FloatVector:
        """Return the probability of being a case, float64 (patients,)."""
        return self.platt.probability(self.decision(matrix))

    def save(self, folder: Path) -> None:
        """Write the booster (UBJ) and the scaling (JSON)."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / _BOOSTER).write_bytes(bytes(self.booster.save_raw("ubj")))
        scaling = {"intercept": self.platt.intercept, "slope": self.platt.slope}
        write_json(folder / _SETTINGS, {"platt": scaling})

    @classmethod
    def load(cls, folder: Path) -> BoostedTrees:
        """Read what `save` wrote."""
        from xgboost import Booster

        booster = Booster(params={"nthread": 1})
        booster.load_model(bytearray((folder / _BOOSTER).read_bytes()))
        return cls(booster, PlattScaling(**read_json(folder / _SETTINGS)["platt"]))


@dataclass(frozen=True)
class BoostedTreesSettings:
    """Tree and shrinkage settings; calibration_folds 0 leaves the margins as they are.

    patience: rounds without a lower held-out log loss of the inner folds that end boosting, None to
    always take all `rounds`. The final trees are as many as had the lowest loss. balanced: cases
    and controls weigh the same in total; calibration keeps the true share.
    """

    rounds: int = 100
    depth: int = 3
    learning_rate: float = 0.08
    row_share: float = 0.8
    column_share: float = 0.1
    minimum_child_weight: float = 2.0
    bins: int = 32
    calibration_folds: int = 3
    patience: int | None = 10
    balanced: bool = False

    def fit(self, matrix: FloatMatrix, labels: Labels, seed: int) -> BoostedTrees:
        """Fit on one thread; rounds and probabilities come from margins of inner folds."""
        import xgboost

        whole = xgboost.QuantileDMatrix(
            matrix, labels, weight=self._weights(labels), max_bin=self.bins, nthread=1
        )
        folds = inner_folds(labels, self.calibration_folds, seed) if self.calibration_folds else []
        if not folds:
            booster = self._booster(whole, seed)
            self._boost(booster, whole, 0, self.rounds)
            return BoostedTrees(booster, PlattScaling())
        rounds, margins = self._held_out_margins(matrix, labels, folds, whole, seed)
        booster = self._booster(whole, seed)
        self._boost(booster, whole, 0, rounds)
        return BoostedTrees(booster, fit_platt(margins, labels))

    def _held_out_margins(
        self,
        matrix: FloatMatrix,
        labels: Labels,
        folds: list[tuple[IndexVector, IndexVector]],
        whole: QuantileDMatrix,
        seed: int,
    ) -> tuple[int, FloatVector]:
        """Return the best number of rounds and the held-out margins there.

        The inner folds share the bins of the whole training set, as the final trees do.
        """
        import xgboost

        parts = [
            xgboost.QuantileDMatrix(
                matrix[training],
                labels[training],
                weight=self._weights(labels[training]),
                ref=whole,
                max_bin=self.bins,
                nthread=1,
            )
            for training, _ in folds
        ]
        boosters = [self._booster(part, seed) for part in parts]
        best_loss, best_rounds, best_margins = float("inf"), self.rounds, np.zeros(len(labels))
        for done in range(0, self.rounds, _ROUNDS_A_LOOK):
            reached = min(done + _ROUNDS_A_LOOK, self.rounds)
            margins = np.zeros(len(labels))
            for booster, part, (_, held_out) in zip(boosters, parts, folds, strict=True):
                self._boost(booster, part, done, reached)
                margins[held_out] = _margins(booster, matrix[held_out])
            loss = weighted_log_loss(margins, labels, self._weights(labels))
            if loss < best_loss:
                best_loss, best_rounds, best_margins = loss, reached, margins
            if self.patience is not None and reached - best_rounds >= self.patience:
                break
        return best_rounds, best_margins

    def _weights(self, labels: Labels) -> FloatVector | None:
        return balanced_weights(labels) if self.balanced else None

    def _booster(self, data: QuantileDMatrix, seed: int) -> Booster:
        from xgboost import Booster

        parameters = {
            "objective": "binary:logistic",
            "tree_method": "hist",
            "max_bin": self.bins,
            "max_depth": self.depth,
            "eta": self.learning_rate,
            "subsample": self.row_share,
            "colsample_bytree": self.column_share,
            "min_child_weight": self.minimum_child_weight,
            "seed": seed,
            "nthread": 1,
            "verbosity": 0,
        }
        return Booster(parameters, [data])

    def _boost(self, booster: Booster, data: QuantileDMatrix, start: int, stop: int) -> None:
        for step in range(start, stop):
            booster.update(data, step)


def _margins(booster: Booster, matrix: FloatMatrix) -> FloatVector:
    if not len(matrix):
        return np.zeros(0)
    margins = booster.inplace_predict(matrix, predict_type="margin")
    return np.asarray(margins, dtype=np.float64)
