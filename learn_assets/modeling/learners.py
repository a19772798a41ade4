"""Learners: the protocol they share, their presets, and how a saved one is found again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal, Protocol, Self

from learn_assets.modeling.arrays import FloatMatrix, FloatVector
from learn_assets.modeling.boosted_trees import BoostedTrees, BoostedTreesSettings
from learn_assets.modeling.elastic_net import ElasticNet, ElasticNetSettings
from learn_assets.modeling.neural_network import (
    NeuralNetwork,
    NeuralNetworkSettings,
    published_network,
)
from learn_assets.modeling.random_forest import RandomForest, RandomForestSettings
from learn_assets.modeling.support_vector import SupportVectorMachine, SupportVectorSettings
from learn_assets.study import LearnerName

ProtocolName = Literal["recommended", "published"]
LearnerSettings = (
    SupportVectorSettings
    | RandomForestSettings
    | BoostedTreesSettings
    | NeuralNetworkSettings
    | ElasticNetSettings
)


class Model(Protocol):
    """A fitted learner; one that `carries_patient_rows` must stay at its site."""

    @property
    def carries_patient_rows(self) -> bool:
        """Whether training patients can be read from it."""

    def predict_probability(self, matrix: FloatMatrix) -> FloatVector:
        """Return the probability of being a case, float64 (patients,)."""

    def save(self, folder: Path) -> None:
        """Write the model without pickle."""

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""


_MODEL_TYPES: dict[LearnerName, type[Model]] = {
    "svm": SupportVectorMachine,
    "random_forest": RandomForest,
    "xgboost": BoostedTrees,
    "mlp": NeuralNetwork,
    "elastic_net": ElasticNet,
}


def preset_learner(
    name: LearnerName,
    protocol: ProtocolName,
    *,
    include_medication: bool = True,
    balanced: bool = False,
) -> LearnerSettings:
    """Return the settings of a learner in a protocol.

    `published` follows LEARN's hyperparameters and library defaults where it names none; only trees
    cut columns at 64 quantiles, which changes their speed and not their AUROC.
    `recommended` is regularized and calibrated inside the training fold. balanced: cases and
    controls weigh the same in total.
    """
    recommended: dict[LearnerName, LearnerSettings] = {
        "svm": SupportVectorSettings(),
        "random_forest": RandomForestSettings(),
        "xgboost": BoostedTreesSettings(),
        "mlp": NeuralNetworkSettings(),
        "elastic_net": ElasticNetSettings(),
    }
    published: dict[LearnerName, LearnerSettings] = {
        "svm": SupportVectorSettings(cost=1.0, calibration_folds=5),
        "random_forest": RandomForestSettings(
            trees=100, minimum_leaf=1, row_share=1.0, bins=64, calibrated=False
        ),
        "xgboost": BoostedTreesSettings(
            rounds=100,
            depth=6,
            learning_rate=0.3,
            row_share=1.0,
            column_share=1.0,
            minimum_child_weight=1.0,
            bins=64,
            calibration_folds=0,
        ),
        "mlp": published_network(include_medication),
        "elastic_net": ElasticNetSettings(calibrated=False, patience=10),
    }
    return replace((published if protocol == "published" else recommended)[name], balanced=balanced)


def load_model(name: LearnerName, folder: Path) -> Model:
    """Read a saved model of that learner. KeyError names the learners there are."""
    if name not in _MODEL_TYPES:
        raise KeyError(f"no learner {name!r}; there are {sorted(_MODEL_TYPES)}")
    return _MODEL_TYPES[name].load(folder)
