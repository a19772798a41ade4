"""Platt scaling: decision values to probabilities, learned from held-out decision values only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from learn_assets.modeling.arrays import FloatVector, IndexVector, Labels
from learn_assets.statistics.logistic_line import SeparationError, fit_line

# A slope of 0 or below would turn the ranking round on nothing but noise of the inner folds.
_FLATTEST = 1e-2


@dataclass(frozen=True)
class PlattScaling:
    """probability = 1 / (1 + exp(-(intercept + slope * decision)))."""

    intercept: float = 0.0
    slope: float = 1.0

    def probability(self, decision: FloatVector) -> FloatVector:
        """Return the probability of being a case, float64 (patients,)."""
        return np.asarray(expit(self.intercept + self.slope * decision), dtype=np.float64)


def fit_platt(decision: FloatVector, labels: Labels) -> PlattScaling:
    """Fit the scaling to decision values the model did not train on.

    Targets are smoothed as Platt 1999 does, so separated classes still give a finite slope. The
    slope is kept positive: calibration must never turn a ranking round.
    """
    cases = int(labels.sum())
    controls = len(labels) - cases
    high, low = (cases + 1) / (cases + 2), 1 / (controls + 2)
    target = np.where(labels == 1, high, low)
    spread = float(decision.std()) or 1.0
    middle = float(decision.mean())
    try:
        line = fit_line((decision - middle) / spread, target)
    except SeparationError:
        return _flat(target)
    slope = line.slope / spread
    if line.slope < _FLATTEST:
        flat = _flat(target)
        tilt = _FLATTEST / spread
        return PlattScaling(flat.intercept - tilt * middle, tilt)
    return PlattScaling(line.intercept - slope * middle, slope)


def inner_folds(labels: Labels, folds: int, seed: int) -> list[tuple[IndexVector, IndexVector]]:
    """Return (training rows, held-out rows) of stratified folds inside a training set.

    Fewer folds when the rarer class is smaller; none when it has fewer than two members.
    """
    from sklearn.model_selection import StratifiedKFold

    usable = min(folds, int(np.bincount(labels, minlength=2).min()))
    if usable < 2:
        return []
    splitter = StratifiedKFold(usable, shuffle=True, random_state=seed)
    return [
        (training.astype(np.int64), held_out.astype(np.int64))
        for training, held_out in splitter.split(np.zeros(len(labels)), labels)
    ]


def _flat(target: FloatVector) -> PlattScaling:
    share = float(target.mean())
    return PlattScaling(float(np.log(share / (1 - share))), 0.0)
