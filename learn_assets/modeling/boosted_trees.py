"""Boosted trees (XGBoost, histogram method), stored in its own UBJ format."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from learn_assets.modeling.arrays import FloatMatrix, FloatVector, Labels, read_json, write_json
from learn_assets.modeling.platt import PlattScaling, fit_platt, inner_folds

if TYPE_CHECKING:
    from xgboost import Booster

_BOOSTER = "booster.ubj"
_SETTINGS = "settings.json"


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
    """Tree and shrinkage settings; calibration_folds 0 leaves the margins as they are."""

    rounds: int = 100
    depth: int = 3
    learning_rate: float = 0.08
    row_share: float = 0.8
    column_share: float = 0.1
    minimum_child_weight: float = 2.0
    bins: int = 32
    calibration_folds: int = 3

    def fit(self, matrix: FloatMatrix, labels: Labels, seed: int) -> BoostedTrees:
        """Fit on one thread; probabilities come from margins of inner folds."""
        folds = inner_folds(labels, self.calibration_folds, seed) if self.calibration_folds else []
        held_out_margin = np.zeros(len(labels))
        for training, held_out in folds:
            booster = self._boost(matrix[training], labels[training], seed)
            held_out_margin[held_out] = _margins(booster, matrix[held_out])
        platt = fit_platt(held_out_margin, labels) if folds else PlattScaling()
        return BoostedTrees(self._boost(matrix, labels, seed), platt)

    def _boost(self, matrix: FloatMatrix, labels: Labels, seed: int) -> Booster:
        import xgboost

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
        data = xgboost.QuantileDMatrix(matrix, labels, max_bin=self.bins, nthread=1)
        return xgboost.train(parameters, data, num_boost_round=self.rounds)


def _margins(booster: Booster, matrix: FloatMatrix) -> FloatVector:
    if not len(matrix):
        return np.zeros(0)
    margins = booster.inplace_predict(matrix, predict_type="margin")
    return np.asarray(margins, dtype=np.float64)
