"""Survival learners: ridge Cox regression of many features, and a random survival forest.

What belongs here: fitting on one preprocessed training matrix. Death is a censoring to both; it
comes back in `cumulative_incidence`, which turns their curves into risks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from learn_assets.modeling.arrays import FloatMatrix, FloatVector
from learn_assets.modeling.random_forest import BinnedColumns, bin_columns
from learn_assets.statistics.survival_curves import EVENT, FollowUp, StepCurve
from learn_assets.study import SurvivalLearnerName

# Strong to weak, so that each fit starts from the one before.
PENALTIES = (10.0, 3.0, 1.0, 0.3, 0.1, 0.01, 0.001)
_INNER_FOLDS = 3
_MOST_ITERATIONS = 200
_TREES = 100
_SMALLEST_LEAF = 15
_GRID_POINTS = 60
_BINS = 16


class SurvivalModel(Protocol):
    """A fitted learner."""

    def survival(self, matrix: FloatMatrix, times: FloatVector) -> npt.NDArray[np.float64]:
        """Return P(no event by each time), float64 (patients, times), were nobody to die."""
        ...


@dataclass(frozen=True)
class RidgeCoxModel:
    """Log hazard ratios of the columns, and the baseline's cumulative hazard (Breslow)."""

    coefficients: FloatVector
    baseline: StepCurve
    penalty: float

    def survival(self, matrix: FloatMatrix, times: FloatVector) -> npt.NDArray[np.float64]:
        """Return P(no event by each time), float64 (patients, times)."""
        relative = np.exp(np.asarray(matrix @ self.coefficients, dtype=np.float64))
        hazard = -np.log(self.baseline.at(times))
        return np.asarray(np.exp(-relative[:, None] * hazard[None, :]))


@dataclass(frozen=True)
class SurvivalForestModel:
    """A fitted forest of scikit-survival, and how its columns were cut."""

    forest: Any
    columns: BinnedColumns

    def survival(self, matrix: FloatMatrix, times: FloatVector) -> npt.NDArray[np.float64]:
        """Return P(no event by each time), float64 (patients, times)."""
        coded = self.columns.coded(matrix)
        steps = self.forest.predict_survival_function(coded, return_array=True)
        place = np.searchsorted(self.forest.unique_times_, times, side="right")
        return np.column_stack([np.ones(len(matrix)), steps])[:, place]


def is_installed(learner: SurvivalLearnerName) -> bool:
    """Return whether a learner can run here; the forest needs the extra `survival`."""
    return learner == "cox" or find_spec("sksurv") is not None


def fit_survival(
    learner: SurvivalLearnerName, matrix: FloatMatrix, follow_up: FollowUp, seed: int
) -> SurvivalModel:
    """Fit a learner on a standardized matrix, float32 (patients, columns).

    ValueError without an event; ImportError when the learner's package is absent.
    """
    if not follow_up.events:
        raise ValueError("no event among the training patients")
    fits: dict[SurvivalLearnerName, Callable[[], SurvivalModel]] = {
        "cox": lambda: fit_ridge_cox(matrix, follow_up, seed),
        "survival_forest": lambda: _fit_forest(matrix, follow_up, seed),
    }
    return fits[learner]()


def fit_ridge_cox(
    matrix: FloatMatrix,
    follow_up: FollowUp,
    seed: int,
    penalties: tuple[float, ...] = PENALTIES,
) -> RidgeCoxModel:
    """Fit a Cox model with a squared penalty, chosen by cross-validation among the patients given.

    Minimizes -log partial likelihood / n + penalty / 2 * sum of squares; ties by Breslow. The
    penalty maximizes the cross-validated partial likelihood of Verweij & van Houwelingen 1993.
    """
    penalty = penalties[0] if len(penalties) == 1 else _choose(matrix, follow_up, seed, penalties)
    path = [item for item in penalties if item >= penalty]
    coefficients = _path(matrix, follow_up, path)[-1]
    return RidgeCoxModel(coefficients, _baseline(matrix, follow_up, coefficients), penalty)


def cumulative_incidence(
    model: SurvivalModel, matrix: FloatMatrix, days: FloatVector, death: StepCurve, horizon: float
) -> npt.NDArray[np.float64]:
    """Return the risk of the event by the horizon, float64 (patients), death competing.

    Death follows `death`, the training patients' Kaplan-Meier curve, whatever the features. days:
    training days with an event, of which at most 200 quantiles are summed over.
    """
    inside = np.unique(days[days <= horizon])
    times = np.unique(np.append(_thinned(inside, 200), horizon))
    curve = model.survival(matrix, times)
    before = np.column_stack([np.ones(len(curve)), curve[:, :-1]])
    alive = death.before(times)
    return np.asarray(np.clip((before - curve) @ alive, 0.0, 1.0))


def _thinned(times: FloatVector, points: int) -> FloatVector:
    if len(times) <= points:
        return times
    return np.quantile(times, np.linspace(0, 1, points), method="nearest")


def _choose(
    matrix: FloatMatrix, follow_up: FollowUp, seed: int, penalties: tuple[float, ...]
) -> float:
    folds = np.random.default_rng(seed).permutation(len(matrix)) % _INNER_FOLDS
    whole = _Likelihood.of(matrix, follow_up)
    gained = np.zeros(len(penalties))
    for fold in range(_INNER_FOLDS):
        kept = folds != fold
        training = _Likelihood.of(matrix[kept], follow_up.rows(kept))
        if not training.events.any():
            continue
        for rank, coefficients in enumerate(
            _path(matrix[kept], follow_up.rows(kept), list(penalties))
        ):
            gained[rank] += whole.at(coefficients)[0] - training.at(coefficients)[0]
    return penalties[int(np.argmax(gained))]


def _path(matrix: FloatMatrix, follow_up: FollowUp, penalties: list[float]) -> list[FloatVector]:
    from scipy.optimize import minimize

    likelihood = _Likelihood.of(matrix, follow_up)
    size = len(matrix)
    coefficients = np.zeros(matrix.shape[1])
    found = []
    for penalty in penalties:

        def objective(point: FloatVector, weight: float = penalty) -> tuple[float, FloatVector]:
            value, gradient = likelihood.at(point)
            loss = -value / size + weight / 2 * float(point @ point)
            return loss, -gradient / size + weight * point

        result = minimize(
            objective,
            coefficients,
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": _MOST_ITERATIONS, "ftol": 1e-9, "gtol": 1e-6},
        )
        coefficients = np.asarray(result.x, dtype=np.float64)
        found.append(coefficients)
    return found


@dataclass(frozen=True)
class _Likelihood:
    """Patients by falling follow-up; each one's risk set is the first `risk_end` rows."""

    matrix: FloatMatrix
    events: npt.NDArray[np.bool_]
    risk_end: npt.NDArray[np.intp]
    tie_start: npt.NDArray[np.intp]

    @classmethod
    def of(cls, matrix: FloatMatrix, follow_up: FollowUp) -> _Likelihood:
        order = np.argsort(-follow_up.days, kind="stable")
        falling = -follow_up.days[order]
        return cls(
            matrix[order],
            follow_up.status[order] == EVENT,
            np.searchsorted(falling, falling, side="right"),
            np.searchsorted(falling, falling, side="left"),
        )

    def at(self, coefficients: FloatVector) -> tuple[float, FloatVector]:
        """Return the log partial likelihood (Breslow ties) and its gradient."""
        linear = np.asarray(self.matrix @ coefficients.astype(self.matrix.dtype), dtype=np.float64)
        top = linear.max()
        weight = np.exp(linear - top)
        at_risk = np.cumsum(weight)[self.risk_end - 1]
        value = float((linear - top - np.log(at_risk))[self.events].sum())
        # A patient is at risk at every event of a day no later than their own.
        passed = np.cumsum((self.events / at_risk)[::-1])[::-1][self.tie_start]
        residual = self.events - weight * passed
        gradient = residual.astype(self.matrix.dtype) @ self.matrix
        return value, np.asarray(gradient, dtype=np.float64)


def _baseline(matrix: FloatMatrix, follow_up: FollowUp, coefficients: FloatVector) -> StepCurve:
    weight = np.exp(np.asarray(matrix @ coefficients, dtype=np.float64))
    times, place = np.unique(follow_up.days, return_inverse=True)
    events = np.bincount(place[follow_up.status == EVENT], minlength=len(times))
    at_risk = np.cumsum(np.bincount(place, weights=weight)[::-1])[::-1]
    happened = events > 0
    hazard = np.cumsum(events[happened] / at_risk[happened])
    return StepCurve(times[happened], np.exp(-hazard))


def _fit_forest(matrix: FloatMatrix, follow_up: FollowUp, seed: int) -> SurvivalForestModel:
    from sksurv.ensemble import RandomSurvivalForest
    from sksurv.util import Surv

    happened = follow_up.status == EVENT
    # Every leaf keeps a curve with a point a distinct day: events are rounded up to a grid, and
    # censorings down to it, which leaves them in the risk sets they were in.
    grid = _thinned(np.unique(follow_up.days[happened]), _GRID_POINTS)
    passed = np.searchsorted(grid, follow_up.days, side="right")
    earlier = np.append(grid[0] / 2, grid)[passed]
    later = grid[np.minimum(np.searchsorted(grid, follow_up.days), len(grid) - 1)]
    days = np.where(happened, later, earlier)
    forest = RandomSurvivalForest(
        n_estimators=_TREES,
        min_samples_leaf=min(_SMALLEST_LEAF, max(1, len(days) // 10)),
        max_features="sqrt",
        random_state=seed,
    )
    # Each place where a column may be cut costs a log-rank test over the whole grid.
    columns = bin_columns(matrix, _BINS)
    fitted = forest.fit(columns.codes, Surv.from_arrays(happened, days))
    return SurvivalForestModel(fitted, columns)
