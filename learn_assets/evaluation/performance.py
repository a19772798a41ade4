"""Performance: the metrics and curves of every feature set and learner of one cell."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np
import polars as pl

from learn_assets.disclosure import is_small
from learn_assets.schemas.registry import empty_frame
from learn_assets.statistics.calibration import (
    CalibrationBin,
    brier,
    calibration_bins,
    calibration_intercept,
    calibration_slope,
    log_loss,
    scaled_brier,
)
from learn_assets.statistics.discrimination import (
    FloatVector,
    Interval,
    Labels,
    OneClassError,
    auprc,
    auroc,
    limits_of,
)
from learn_assets.statistics.logistic_line import SeparationError
from learn_assets.statistics.operating_points import OperatingPoint, operating_point
from learn_assets.statistics.smoothed_calibration import NoSpreadError, calibration_errors
from learn_assets.study.evaluation import SPECIFICITIES

_ERRORS = ("ici", "e50", "e90")
_AT_SPECIFICITY = (
    "sensitivity",
    "positive_predictive_value",
    "negative_predictive_value",
)
_OVERALL = (
    "n",
    "cases",
    "prevalence",
    "auroc",
    "auprc",
    "brier",
    "scaled_brier",
    "log_loss",
    "calibration_slope",
    "calibration_intercept",
    *_ERRORS,
)
# With n, each gives the number of cases away; the scaled Brier score does beside the plain one.
_TELLING = ("cases", "prevalence", "scaled_brier")
_CURVE_POINTS = 101
_Measured = TypeVar("_Measured")


@dataclass(frozen=True)
class AbsentMetric:
    """A metric that has no value here, and why."""

    feature_set: str
    learner: str
    metric: str
    reason: str


@dataclass(frozen=True)
class Performance:
    """Metrics that exist (frame as table `performance`) and those that do not."""

    frame: pl.DataFrame
    absent: tuple[AbsentMetric, ...]


@dataclass(frozen=True)
class ModelCurves:
    """Curves of one feature set and learner, on grids that show no single patient.

    roc: true-positive rate at each false-positive rate, averaged over the folds. precision_recall:
    precision at each recall, `prevalence` its level line. Empty, with `reason`, when cells are too
    small.
    """

    feature_set: str
    learner: str
    false_positive_rate: tuple[float, ...] = ()
    true_positive_rate: tuple[float, ...] = ()
    recall: tuple[float, ...] = ()
    precision: tuple[float, ...] = ()
    prevalence: float | None = None
    calibration: tuple[CalibrationBin, ...] = ()
    reason: str | None = None


@dataclass(frozen=True)
class _ModelPredictions:
    feature_set: str
    learner: str
    probabilities: FloatVector
    labels: Labels
    folds: Labels


def at_specificity(metric: str, specificity: float) -> str:
    """Return the name of a metric at a specificity, as the table has it."""
    return f"{metric}_at_specificity_{specificity:.2f}"


METRICS = (
    *_OVERALL,
    *(at_specificity(metric, value) for value in SPECIFICITIES for metric in _AT_SPECIFICITY),
)


def performance(
    cross_validation: pl.DataFrame,
    *,
    minimum_cell: int,
    specificities: Sequence[float] = SPECIFICITIES,
    resamples: int = 1000,
    seed: int = 0,
) -> Performance:
    """Return every metric of every feature set and learner, from out-of-fold predictions.

    AUROC compares patients of the same fold only and thresholds are set within folds; the other
    metrics pool the folds. A metric that does not exist (one class only, separation, predictions
    that are all alike) is absent with a reason, and counts of cases or controls under
    `minimum_cell` are withheld, and with them what gives them away.
    """
    rows: list[dict[str, object]] = []
    absent: list[AbsentMetric] = []
    for model in _models(cross_validation):
        for metric, outcome in _measured(model, minimum_cell, specificities, resamples, seed):
            name = {"feature_set": model.feature_set, "learner": model.learner, "metric": metric}
            if isinstance(outcome, str):
                absent.append(AbsentMetric(**name, reason=outcome))
            else:
                rows.append({**name, **limits_of(outcome)})
    return Performance(pl.DataFrame(rows, schema=empty_frame("performance").schema), tuple(absent))


def curves(cross_validation: pl.DataFrame, *, minimum_cell: int) -> tuple[ModelCurves, ...]:
    """Return ROC, precision-recall and calibration curves of every feature set and learner."""
    return tuple(_curves_of(model, minimum_cell) for model in _models(cross_validation))


def _models(cross_validation: pl.DataFrame) -> Iterator[_ModelPredictions]:
    groups = cross_validation.group_by("feature_set", "learner", maintain_order=True)
    for (feature_set, learner), group in groups:
        # The order of patients must not move a bootstrap draw, so it is fixed here.
        ordered = group.sort("patient_id")
        yield _ModelPredictions(
            str(feature_set),
            str(learner),
            ordered["probability"].to_numpy().astype(np.float64),
            ordered["label"].to_numpy().astype(np.int64),
            ordered["fold"].to_numpy().astype(np.int64),
        )


def _measured(
    model: _ModelPredictions,
    minimum_cell: int,
    specificities: Sequence[float],
    resamples: int,
    seed: int,
) -> Iterator[tuple[str, Interval | float | str]]:
    """Yield each metric with its value, or with the reason why it has none."""
    scores, labels = model.probabilities, model.labels
    yield from _counts(labels, minimum_cell)
    measures: dict[str, Callable[[], Interval | float]] = {
        "auroc": lambda: auroc(scores, labels, folds=model.folds),
        "auprc": lambda: auprc(scores, labels, resamples=resamples, seed=seed),
        "brier": lambda: brier(scores, labels, resamples=resamples, seed=seed),
        "scaled_brier": lambda: scaled_brier(scores, labels),
        "log_loss": lambda: log_loss(scores, labels, resamples=resamples, seed=seed),
        "calibration_slope": lambda: calibration_slope(scores, labels),
        "calibration_intercept": lambda: calibration_intercept(scores, labels),
    }
    few = _few(labels, minimum_cell)
    for metric, measure in measures.items():
        if few is not None and metric in _TELLING:
            yield metric, few
        else:
            yield metric, _attempt(measure)
    errors = _attempt(lambda: calibration_errors(scores, labels, resamples=resamples, seed=seed))
    for metric in _ERRORS:
        yield metric, errors if isinstance(errors, str) else getattr(errors, metric)
    found_before: int | None = None
    for specificity in specificities:
        measure_point = partial(_point, model, specificity, resamples, seed)
        point = _attempt(measure_point) if few is None else few
        if not isinstance(point, str):
            point = _shown_point(point, found_before, minimum_cell)
        if not isinstance(point, str):
            found_before = point.found
        for metric in _AT_SPECIFICITY:
            name = at_specificity(metric, specificity)
            yield name, point if isinstance(point, str) else getattr(point, metric)


def _counts(labels: Labels, minimum_cell: int) -> Iterator[tuple[str, float | str]]:
    small = len(labels) < minimum_cell
    yield "n", f"fewer than {minimum_cell} patients" if small else float(len(labels))
    few = _few(labels, minimum_cell)
    yield "cases", few or float(labels.sum())
    yield "prevalence", few or float(labels.mean())


def _few(labels: Labels, minimum_cell: int) -> str | None:
    cases = int(labels.sum())
    if min(cases, len(labels) - cases) >= minimum_cell:
        return None
    return f"fewer than {minimum_cell} cases or controls"


def _point(
    model: _ModelPredictions, specificity: float, resamples: int, seed: int
) -> OperatingPoint:
    return operating_point(
        model.probabilities,
        model.labels,
        model.folds,
        specificity,
        resamples=resamples,
        seed=seed,
    )


def _shown_point(
    point: OperatingPoint, found_before: int | None, minimum_cell: int
) -> OperatingPoint | str:
    """Return the point, or why it is withheld: sensitivity counts cases when their number is shown.

    found_before: cases found at the specificity shown before it, from which these are a part.
    """
    if is_small(minimum_cell, point.found, point.missed):
        return f"fewer than {minimum_cell} cases found or missed"
    if found_before is not None and is_small(minimum_cell, found_before - point.found):
        return f"fewer than {minimum_cell} cases between this specificity and the one before"
    return point


def _attempt(measure: Callable[[], _Measured]) -> _Measured | str:
    try:
        return measure()
    except (OneClassError, SeparationError, NoSpreadError) as error:
        return str(error)


def _curves_of(model: _ModelPredictions, minimum_cell: int) -> ModelCurves:
    cases = int(model.labels.sum())
    controls = len(model.labels) - cases
    if min(cases, controls) < max(1, minimum_cell):
        reason = f"fewer than {minimum_cell} cases or controls: no curve is shown"
        return ModelCurves(model.feature_set, model.learner, reason=reason)
    order = np.argsort(-model.probabilities, kind="stable")
    last_of_tie = np.append(
        np.flatnonzero(np.diff(model.probabilities[order])), len(model.labels) - 1
    )
    found = np.cumsum(model.labels[order])[last_of_tie]
    flagged = last_of_tie + 1
    grid = np.linspace(0.0, 1.0, _CURVE_POINTS)
    # Precision is a step curve in recall: the best precision that still reaches the recall.
    best = np.maximum.accumulate((found / flagged)[::-1])[::-1]
    reach = np.minimum(np.searchsorted(found / cases, grid - 1e-12), len(found) - 1)
    return ModelCurves(
        feature_set=model.feature_set,
        learner=model.learner,
        false_positive_rate=tuple(grid.tolist()),
        true_positive_rate=tuple(_true_positive_rate(model, grid).tolist()),
        recall=tuple(grid.tolist()),
        precision=tuple(best[reach].tolist()),
        prevalence=cases / len(model.labels),
        calibration=calibration_bins(model.probabilities, model.labels, minimum_cell=minimum_cell),
    )


def _true_positive_rate(model: _ModelPredictions, grid: FloatVector) -> FloatVector:
    """Return the ROC curve of each fold on the grid, averaged with the pairs of a fold as weight.

    The area below is the AUROC within folds that `auroc` gives.
    """
    total, pairs = np.zeros(len(grid)), 0
    for fold in np.unique(model.folds):
        members = np.flatnonzero(model.folds == fold)
        ordered = members[np.argsort(-model.probabilities[members], kind="stable")]
        found = np.cumsum(model.labels[ordered])
        cases, controls = int(found[-1]), len(members) - int(found[-1])
        if not cases or not controls:
            continue
        last_of_tie = np.append(
            np.flatnonzero(np.diff(model.probabilities[ordered])), len(members) - 1
        )
        true = np.append(0, found[last_of_tie]) / cases
        false = np.append(0, last_of_tie + 1 - found[last_of_tie]) / controls
        total += cases * controls * np.interp(grid, false, true)
        pairs += cases * controls
    return total / pairs if pairs else total
