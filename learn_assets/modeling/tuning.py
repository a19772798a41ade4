"""Tuning: settings of a learner chosen by held-out log loss inside one training set.

What belongs here: what may be varied and how the best is found. Whoever calls hands over training
rows of a fold and nothing else, so the outer fold that is held out cannot be asked.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from learn_assets.modeling.arrays import FloatMatrix, Labels, weighted_log_loss
from learn_assets.modeling.learners import LearnerSettings
from learn_assets.modeling.platt import inner_folds
from learn_assets.statistics.calibration import logits
from learn_assets.study import LearnerName, TuningOptions

if TYPE_CHECKING:
    from optuna import Trial


Changes = dict[str, Any]


@dataclass(frozen=True)
class Choice:
    """Values of one setting, in the order of the grid."""

    name: str
    values: tuple[Any, ...]


@dataclass(frozen=True)
class Range:
    """A setting between two numbers on the log scale; the grid takes three points of it."""

    name: str
    lowest: float
    highest: float

    @property
    def values(self) -> tuple[float, ...]:
        """Return the ends and the geometric middle."""
        return (self.lowest, float(np.sqrt(self.lowest * self.highest)), self.highest)


_SPACES: dict[LearnerName, tuple[Choice | Range, ...]] = {
    "elastic_net": (Choice("mixing", (0.1, 0.5, 0.9)),),
    "svm": (Range("cost", 0.1, 10.0),),
    "random_forest": (
        Choice("minimum_leaf", (2, 5, 15)),
        Choice("max_features", ("sqrt", "log2")),
    ),
    "xgboost": (
        Choice("depth", (2, 3, 5)),
        Range("learning_rate", 0.03, 0.2),
        Range("minimum_child_weight", 1.0, 10.0),
    ),
    "mlp": (
        Choice("hidden", ((16,), (32, 16), (128, 32))),
        Range("weight_decay", 0.005, 0.5),
    ),
}


@dataclass(frozen=True)
class Tuned:
    """Settings that won, and what was changed from the preset (empty: the preset won)."""

    settings: LearnerSettings
    changes: Changes


def tune(
    name: LearnerName,
    preset: LearnerSettings,
    matrix: FloatMatrix,
    labels: Labels,
    seed: int,
    options: TuningOptions,
) -> Tuned:
    """Return the settings with the lowest log loss over inner folds of these rows.

    The preset is always among the candidates and wins ties; too few cases or controls for inner
    folds leave it. Equal rows and seed give equal settings. Method: grid search, or Optuna's
    tree-structured Parzen estimator (Bergstra et al. 2011), nested as Varma & Simon 2006 ask.
    ModuleNotFoundError names the extra to install for Optuna.
    """
    folds = inner_folds(labels, options.inner_folds, seed)
    if options.method == "none" or not folds:
        return Tuned(preset, {})

    def loss(changes: Changes) -> float:
        settings = replace(preset, **changes)
        decision = np.empty(len(labels))
        for training, held_out in folds:
            model = settings.fit(matrix[training], labels[training], seed)
            probability = model.predict_probability(matrix[held_out])
            decision[held_out] = logits(probability)
        return weighted_log_loss(decision, labels)

    if options.method == "grid":
        best = min([{}, *_grid(name)], key=loss)
    else:
        best = _search(name, loss, seed, options.trials)
    return Tuned(replace(preset, **best), best)


def _grid(name: LearnerName) -> Iterator[Changes]:
    space = _SPACES[name]
    for values in product(*(item.values for item in space)):
        yield dict(zip((item.name for item in space), values, strict=True))


def _search(name: LearnerName, loss: Any, seed: int, trials: int) -> Changes:
    try:
        import optuna
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "tuning by `optuna` needs it: pip install 'learn-assets[tuning]', or write "
            "`method: grid`"
        ) from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
    study.optimize(lambda trial: loss(_suggested(name, trial)), n_trials=trials)
    best = _suggested(name, optuna.trial.FixedTrial(study.best_params))
    return best if study.best_value < loss({}) else {}


def _suggested(name: LearnerName, trial: Trial | Any) -> Changes:
    changes: Changes = {}
    for item in _SPACES[name]:
        if isinstance(item, Range):
            changes[item.name] = trial.suggest_float(item.name, item.lowest, item.highest, log=True)
        else:
            # Optuna keeps plain values only, so a choice is told by its number.
            number = trial.suggest_categorical(item.name, list(range(len(item.values))))
            changes[item.name] = item.values[number]
    return changes
