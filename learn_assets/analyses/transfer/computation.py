"""Transfer: models of another site on this site's labeled patients, as they are and adapted.

What belongs here: the predictions of each way of using a foreign model, and their performance
beside this site's own models on the same patients.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import polars as pl

from learn_assets.evaluation.performance import curves, performance
from learn_assets.modeling.bundle import TrainedModels, score
from learn_assets.modeling.cross_validation import cross_validate
from learn_assets.modeling.features import BASELINE
from learn_assets.modeling.pipeline import Cell
from learn_assets.modeling.protocol import ModelingProtocol
from learn_assets.schemas.registry import empty_frame
from learn_assets.statistics.calibration import logits
from learn_assets.statistics.discrimination import (
    FloatVector,
    Interval,
    Labels,
    OneClassError,
    limits_of,
)
from learn_assets.statistics.logistic_line import (
    LogisticLine,
    SeparationError,
    fit_intercept,
    fit_line,
)
from learn_assets.statistics.paired import auroc_difference, brier_difference
from learn_assets.statistics.shares import wilson
from learn_assets.study import ReductionOptions

Mode = Literal["own", "as_is", "recalibrated_intercept", "recalibrated_slope", "refitted"]
MODES: tuple[Mode, ...] = (
    "own",
    "as_is",
    "recalibrated_intercept",
    "recalibrated_slope",
    "refitted",
)
_ROWS = empty_frame("external_validation").drop("model", "mode", "not_external").schema
_PREDICTIONS = pl.Schema({"mode": pl.String(), **empty_frame("cross_validation").schema})
_MODEL = ["feature_set", "learner"]


@dataclass(frozen=True)
class Transfer:
    """Predictions of every mode (mode + columns of `cross_validation`), and what went wrong."""

    predictions: pl.DataFrame
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class ExternalValidation:
    """Performance of every mode (table `external_validation`), and what a reader must be told."""

    frame: pl.DataFrame
    warnings: tuple[str, ...] = ()


def transfer_predictions(
    foreign: TrainedModels,
    cell: Cell,
    protocol: ModelingProtocol,
    own: pl.DataFrame,
    *,
    refit: bool = True,
    workers: int | None = None,
) -> Transfer:
    """Return predictions of a foreign bundle's models for this site's labeled patients.

    `as_is`: untouched, so nothing is learned here. `recalibrated_intercept` and
    `recalibrated_slope`: a logistic line on logit(probability) with its slope fixed at 1 or free,
    fitted in the other folds. `refitted`: the foreign features, learners and protocol, trained in
    the other folds. `own`: this site's out-of-fold predictions.

    own: the cell's table `cross_validation`, whose folds every mode keeps; empty (too few cases or
    controls) gives no predictions and a warning. Method: Steyerberg 2019, chapter 20.
    BundleError when the vectors here come from another encoder.
    """
    if own.is_empty() or foreign.preprocessing is None:
        who = "this site has" if own.is_empty() else "the other site had"
        return Transfer(
            pl.DataFrame(schema=_PREDICTIONS), (f"{who} too few cases or controls for models",)
        )
    labeled = cell.blocks.rows(cell.labeled)
    patients = own.select("patient_id", "fold", "label").unique().sort("patient_id")
    as_is = score(foreign, labeled).join(patients, on="patient_id", how="inner")
    pieces = [_in_mode("own", own), _in_mode("as_is", as_is)]
    warnings: list[str] = []
    recalibrations: tuple[tuple[Mode, _Fit], ...] = (
        ("recalibrated_intercept", fit_intercept),
        ("recalibrated_slope", fit_line),
    )
    for mode, fit in recalibrations:
        for (feature_set, learner), model in as_is.group_by(_MODEL, maintain_order=True):
            try:
                pieces.append(_in_mode(mode, _recalibrated(model, fit)))
            except (SeparationError, OneClassError) as error:
                warnings.append(f"{mode} of {feature_set}/{learner} left out: {error}")
    if refit:
        refitted = cross_validate(
            labeled.aligned(foreign.preprocessing.reference),
            cell.labels,
            _foreign_protocol(foreign, protocol),
            workers=workers,
        )
        kept = as_is.select(_MODEL).unique()
        pieces.append(_in_mode("refitted", refitted.frame.join(kept, on=_MODEL, how="semi")))
        warnings += [f"refitted: {warning}" for warning in refitted.warnings]
    return Transfer(pl.concat(pieces), tuple(warnings))


def external_validation(
    name: str,
    transfer: Transfer,
    *,
    minimum_cell: int,
    resamples: int = 1000,
    seed: int = 0,
    not_external: str | None = None,
) -> ExternalValidation:
    """Return the performance of each mode and its paired difference to this site's own model.

    Metrics are those of `performance`, and for every mode but `own`: `auroc_minus_own` (DeLong on
    the same patients, pairs within folds; above 0 the foreign model ranks better) and
    `brier_minus_own` (below 0 its probabilities are better). A foreign model without a twin here
    has no difference. `predicted_risk` and `observed_share` (Wilson) are the calibration curve of a
    mode, by `bin` of equal size of which each holds `minimum_cell` cases and controls.
    not_external: how the model is known to have learned from these patients; every row says so.
    """
    frames: list[pl.DataFrame] = []
    warnings = list(transfer.warnings)
    for mode in MODES:
        predictions = transfer.predictions.filter(pl.col("mode") == mode)
        if predictions.is_empty():
            continue
        measured = performance(
            predictions.drop("mode"), minimum_cell=minimum_cell, resamples=resamples, seed=seed
        )
        frames.append(_of_mode(measured.frame, mode))
        frames.append(_of_mode(_calibration(predictions, minimum_cell), mode))
        warnings += [
            f"{mode}, {item.feature_set}/{item.learner}: no {item.metric} ({item.reason})"
            for item in measured.absent
        ]
        if mode != "own":
            frames.append(_of_mode(_differences(mode, transfer.predictions), mode))
    of_model = (
        pl.lit(name).alias("model"),
        pl.lit(not_external, dtype=pl.String).alias("not_external"),
    )
    empty = empty_frame("external_validation")
    table = pl.concat(
        [empty, *(frame.with_columns(of_model).select(empty.columns) for frame in frames)]
    )
    return ExternalValidation(table, tuple(warnings))


def _of_mode(frame: pl.DataFrame, mode: Mode) -> pl.DataFrame:
    without_bin = [] if "bin" in frame.columns else [pl.lit(None, dtype=pl.Int32).alias("bin")]
    return frame.with_columns(pl.lit(mode).alias("mode"), *without_bin)


def _calibration(predictions: pl.DataFrame, minimum_cell: int) -> pl.DataFrame:
    """Return the points of the calibration curve of every model of a mode."""
    rows: list[dict[str, object]] = []
    for curve in curves(predictions.drop("mode"), minimum_cell=minimum_cell):
        for place, group in enumerate(curve.calibration, start=1):
            observed = wilson(group.cases, group.patients)
            name = {"feature_set": curve.feature_set, "learner": curve.learner, "bin": place}
            rows.append({**name, "metric": "predicted_risk", "estimate": group.mean_probability})
            rows.append({**name, "metric": "observed_share", **limits_of(observed)})
    return pl.DataFrame(rows, schema=_ROWS)


_Fit = Callable[[FloatVector, FloatVector], LogisticLine]


def _recalibrated(model: pl.DataFrame, fit: _Fit) -> pl.DataFrame:
    """Return out-of-fold probabilities of one model after a line learned in the other folds."""
    decision = logits(model["probability"].to_numpy())
    label = model["label"].to_numpy().astype(np.float64)
    fold = model["fold"].to_numpy()
    probability = np.empty(len(decision))
    for held_out in np.unique(fold):
        inside = fold == held_out
        known = label[~inside]
        if known.min() == known.max():
            raise OneClassError("needs at least one case and one control in the other folds")
        probability[inside] = fit(decision[~inside], known).predict(decision[inside])
    return model.with_columns(pl.Series("probability", probability))


def _foreign_protocol(foreign: TrainedModels, protocol: ModelingProtocol) -> ModelingProtocol:
    """Return this site's folds and seed with the foreign feature sets, learners and presets."""
    learners = tuple(dict.fromkeys(item.learner for item in foreign.models))
    feature_sets = dict.fromkeys(item.feature_set for item in foreign.models)
    theirs = foreign.provenance.options.get("models", {})
    reduction = theirs.get("reduction")
    return replace(
        protocol,
        feature_sets=tuple(name for name in feature_sets if name != BASELINE),
        learners=learners,
        name=theirs.get("protocol", protocol.name),
        reduction=ReductionOptions(**reduction) if reduction else protocol.reduction,
        code_dimensions=theirs.get("code_dimensions", protocol.code_dimensions),
    )


def _in_mode(mode: Mode, predictions: pl.DataFrame) -> pl.DataFrame:
    return predictions.with_columns(pl.lit(mode).alias("mode")).select(
        pl.col(name).cast(dtype) for name, dtype in _PREDICTIONS.items()
    )


def _differences(mode: Mode, predictions: pl.DataFrame) -> pl.DataFrame:
    keys = [*_MODEL, "patient_id"]
    own = predictions.filter(pl.col("mode") == "own").select(
        *keys, pl.col("probability").alias("own")
    )
    both = predictions.filter(pl.col("mode") == mode).join(own, on=keys, how="inner")
    rows: list[dict[str, object]] = []
    for (feature_set, learner), model in both.group_by(_MODEL, maintain_order=True):
        ordered = model.sort("patient_id")
        first, second = ordered["probability"].to_numpy(), ordered["own"].to_numpy()
        labels = ordered["label"].to_numpy().astype(np.int64)
        folds = ordered["fold"].to_numpy().astype(np.int64)
        for metric, gap in _gaps(first, second, labels, folds):
            name = {"feature_set": feature_set, "learner": learner, "metric": metric}
            rows.append({**name, **limits_of(gap)})
    return pl.DataFrame(rows, schema=_ROWS)


def _gaps(
    first: FloatVector, second: FloatVector, labels: Labels, folds: Labels
) -> list[tuple[str, Interval]]:
    gaps = [("brier_minus_own", brier_difference(first, second, labels))]
    try:
        gaps.append(("auroc_minus_own", auroc_difference(first, second, labels, folds)))
    except OneClassError:
        return gaps
    return gaps
