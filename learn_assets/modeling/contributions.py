"""Contributions: how much each column moves one patient's log odds, exactly and without sampling.

What belongs here: SHAP values of the learners whose structure gives them in closed form. They are a
patient's; only what is summed over patients may leave the lake.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from learn_assets.modeling.arrays import FloatMatrix
from learn_assets.modeling.boosted_trees import BoostedTrees
from learn_assets.modeling.elastic_net import ElasticNet
from learn_assets.modeling.learners import Model
from learn_assets.study import LearnerName

EXPLAINED_LEARNERS: tuple[LearnerName, ...] = ("elastic_net", "xgboost")


@dataclass(frozen=True)
class Contributions:
    """values (patients, columns) and base sum to the log odds of each patient's probability."""

    values: FloatMatrix
    base: float


def contributions(model: Model, matrix: FloatMatrix) -> Contributions:
    """Return SHAP values of a standardized matrix (patients, columns) in calibrated log odds.

    Trees: TreeSHAP as XGBoost computes it, against the training patients that reach each node
    (Lundberg et al. 2020). Elastic net: coefficient times distance from the training mean, which is
    0 in every column. TypeError for a learner without exact values.
    """
    if isinstance(model, ElasticNet):
        slope = model.platt.slope
        values = (matrix * (model.coefficients * slope)).astype(np.float32)
        return Contributions(values, model.platt.intercept + slope * model.intercept)
    if isinstance(model, BoostedTrees):
        return _of_trees(model, matrix)
    raise TypeError(f"{type(model).__name__} has no exact contributions: {EXPLAINED_LEARNERS} have")


def _of_trees(model: BoostedTrees, matrix: FloatMatrix) -> Contributions:
    from xgboost import DMatrix

    slope = model.platt.slope
    if not len(matrix):
        return Contributions(matrix, model.platt.intercept)
    raw = model.booster.predict(DMatrix(matrix, nthread=1), pred_contribs=True)
    # The last column is the bias, the same for every patient.
    values = (raw[:, :-1] * slope).astype(np.float32)
    return Contributions(values, model.platt.intercept + slope * float(raw[0, -1]))
