"""Cross-validation: out-of-fold predictions in which nothing is learned from a held-out patient."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from learn_assets.modeling.arrays import FloatMatrix, FloatVector, IndexVector, Labels
from learn_assets.modeling.features import (
    STACKED,
    STACKING,
    DuplicatePatientError,
    FeatureBlocks,
    ModelFeatureSet,
)
from learn_assets.modeling.leakage import assert_disjoint, assert_one_fold_per_patient
from learn_assets.modeling.learners import Model, preset_learner
from learn_assets.modeling.preprocessing import (
    FittedPreprocessing,
    oversample,
    preprocess,
)
from learn_assets.modeling.protocol import ModelingProtocol
from learn_assets.modeling.stacking import fit_stacked
from learn_assets.modeling.threads import fit_pool, single_thread
from learn_assets.modeling.tuning import Tuned, tune
from learn_assets.schemas.registry import empty_frame
from learn_assets.study import WITHOUT_MEDICATION, LearnerName

NETWORK: LearnerName = "mlp"

Progress = Callable[[str], None]


@dataclass(frozen=True)
class CrossValidation:
    """Out-of-fold predictions (table `cross_validation`) and what a reader must be told."""

    frame: pl.DataFrame
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class FittedModel:
    """One learner fitted on one feature set; `tuned` is what tuning changed from the preset."""

    feature_set: ModelFeatureSet
    learner: LearnerName
    model: Model
    tuned: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class _Split:
    fold: int
    training: IndexVector
    held_out: IndexVector


def stratified_folds(
    patient_ids: npt.NDArray[np.str_], labels: Labels, folds: int, seed: int
) -> npt.NDArray[np.int32]:
    """Return the fold (0 to folds - 1) of each patient, cases spread evenly.

    The same patients get the same folds whatever the order of rows. DuplicatePatientError when a
    patient stands twice: two rows could land in two folds.
    """
    from sklearn.model_selection import StratifiedKFold

    repeated = len(patient_ids) - len(np.unique(patient_ids))
    if repeated:
        raise DuplicatePatientError(f"{repeated} of {len(patient_ids)} rows repeat a patient_id")
    order = np.argsort(patient_ids, kind="stable")
    splitter = StratifiedKFold(folds, shuffle=True, random_state=seed)
    assigned = np.empty(len(patient_ids), dtype=np.int32)
    for fold, (_, held_out) in enumerate(splitter.split(order, labels[order])):
        assigned[order[held_out]] = fold
    return assigned


def too_few(labels: Labels, folds: int) -> str | None:
    """Return why these labels cannot be cross-validated, or None when they can."""
    cases = int(labels.sum())
    if not len(labels):
        return "no labeled patient in this cohort: nothing was modeled"
    for name, members in (("cases", cases), ("controls", len(labels) - cases)):
        if members < folds:
            return f"fewer {name} than the {folds} folds: nothing was modeled"
    return None


def cross_validate(
    blocks: FeatureBlocks,
    labels: Labels,
    protocol: ModelingProtocol,
    *,
    workers: int | None = None,
    progress: Progress | None = None,
) -> CrossValidation:
    """Return out-of-fold probabilities of being a case for every feature set and learner.

    blocks and labels (1 = case) belong to the labeled patients, row by row. Too few cases or
    controls give an empty frame and a warning. Rows are sorted, and equal input and seed give equal
    probabilities. ValueError when the lengths differ.
    """
    if len(blocks) != len(labels):
        raise ValueError(f"{len(blocks)} patients but {len(labels)} labels")
    reason = too_few(labels, protocol.folds)
    if reason is not None:
        return CrossValidation(empty_frame("cross_validation"), (reason,))
    folds = stratified_folds(blocks.patient_ids, labels, protocol.folds, protocol.seed)
    tell = progress or _silent
    pieces: list[pl.DataFrame] = []
    warnings: set[str] = set()
    for split in _splits(folds):
        fold_frames, fold_warnings = _run_fold(blocks, labels, split, protocol, workers)
        pieces += fold_frames
        warnings |= set(fold_warnings)
        tell(f"fold {split.fold + 1} of {protocol.folds} done")
    frame = pl.concat([empty_frame("cross_validation"), *pieces])
    frame = _in_every_fold(frame, protocol.folds)
    assert_one_fold_per_patient(frame)
    ordered = frame.sort("feature_set", "learner", "fold", "patient_id")
    return CrossValidation(ordered, tuple(sorted(warnings)))


def predict_split(
    blocks: FeatureBlocks,
    labels: Labels,
    training: IndexVector,
    held_out: IndexVector,
    protocol: ModelingProtocol,
    *,
    fold: int = 0,
    workers: int | None = None,
) -> CrossValidation:
    """Return predictions for some patients of models that learned from others, in one split.

    training, held_out: row numbers of the blocks. LeakError when a patient is in both.
    """
    split = _Split(fold, training, held_out)
    frames, warnings = _run_fold(blocks, labels, split, protocol, workers)
    frame = pl.concat([empty_frame("cross_validation"), *frames])
    ordered = frame.sort("feature_set", "learner", "patient_id")
    return CrossValidation(ordered, tuple(sorted(set(warnings))))


def fit_grid(
    matrix: FloatMatrix,
    labels: Labels,
    preprocessing: FittedPreprocessing,
    protocol: ModelingProtocol,
    workers: int | None = None,
) -> tuple[list[FittedModel], list[str]]:
    """Fit every feature set and learner on one preprocessed training matrix, shared by all.

    Returns the fitted models in grid order and warnings on feature sets without a usable column.
    """
    grid = [(feature_set, name) for feature_set, names in protocol.grid for name in names]
    uses_torch = any(name == NETWORK for _, name in grid)
    warnings = []
    fits: dict[ModelFeatureSet, Callable[[LearnerName], FittedModel]] = {}
    jobs: dict[tuple[ModelFeatureSet, LearnerName], Future[FittedModel]] = {}
    with fit_pool(workers, uses_torch=uses_torch) as pool:
        # Networks take longest, the widest most: begun last they would leave cores idle.
        for feature_set, learners in reversed(protocol.grid):
            fit, warning = _shared(feature_set, matrix, labels, preprocessing, protocol)
            if fit is None:
                warnings.append(warning)
                continue
            fits[feature_set] = fit
            if NETWORK in learners:
                jobs[feature_set, NETWORK] = pool.submit(fit, NETWORK)
        for feature_set, learner in reversed(grid):
            if learner != NETWORK and feature_set in fits:
                jobs[feature_set, learner] = pool.submit(fits[feature_set], learner)
        return [jobs[key].result() for key in grid if key in jobs], warnings


def _shared(
    feature_set: ModelFeatureSet,
    matrix: FloatMatrix,
    labels: Labels,
    preprocessing: FittedPreprocessing,
    protocol: ModelingProtocol,
) -> tuple[Callable[[LearnerName], FittedModel] | None, str]:
    """Return what fits a learner on the rows that all learners of a feature set share.

    None and a warning when the feature set cannot be had.
    """
    columns = preprocessing.columns_of(feature_set)
    if not len(columns):
        return None, f"feature set `{feature_set}` has no usable column: left out"
    rows: FloatMatrix = matrix[:, columns]
    if feature_set == STACKING:
        parts = [preprocessing.columns_of(part) for part in STACKED]
        if not all(len(part) for part in parts):
            return None, f"feature set `{feature_set}` lacks a part: left out"
        # Resampled rows would put relatives of one patient on both sides of inner folds.
        places = [np.searchsorted(columns, part).astype(np.int64) for part in parts]
        return partial(
            _fit_stacked, matrix=rows, parts=places, labels=labels, protocol=protocol
        ), ""
    if protocol.oversampled:
        rows, labels = oversample(rows, labels, protocol.seed)
    return partial(_fit, feature_set, matrix=rows, labels=labels, protocol=protocol), ""


def predict(
    fitted: FittedModel, matrix: FloatMatrix, preprocessing: FittedPreprocessing
) -> FloatVector:
    """Return probabilities of being a case from the preprocessed matrix of all columns."""
    columns = preprocessing.columns_of(fitted.feature_set)
    return fitted.model.predict_probability(matrix[:, columns])


def _fit(
    feature_set: ModelFeatureSet,
    learner: LearnerName,
    matrix: FloatMatrix,
    labels: Labels,
    protocol: ModelingProtocol,
) -> FittedModel:
    tuned = _tuned(feature_set, learner, matrix, labels, protocol)
    model = tuned.settings.fit(matrix, labels, protocol.seed)
    return FittedModel(feature_set, learner, model, tuned.changes)


def _fit_stacked(
    learner: LearnerName,
    matrix: FloatMatrix,
    parts: list[IndexVector],
    labels: Labels,
    protocol: ModelingProtocol,
) -> FittedModel:
    """Fit late fusion; settings of each part are tuned once, on all of the training rows."""
    tuned = [
        _tuned(feature_set, learner, matrix[:, part], labels, protocol)
        for feature_set, part in zip(STACKED, parts, strict=True)
    ]

    def fit_part(number: int, rows: FloatMatrix, known: Labels) -> Model:
        if protocol.oversampled:
            rows, known = oversample(rows, known, protocol.seed)
        return tuned[number].settings.fit(rows, known, protocol.seed)

    model = fit_stacked(learner, fit_part, matrix, parts, labels, protocol.seed)
    changes = {
        f"{feature_set}.{name}": value
        for feature_set, item in zip(STACKED, tuned, strict=True)
        for name, value in item.changes.items()
    }
    return FittedModel(STACKING, learner, model, changes)


def _tuned(
    feature_set: ModelFeatureSet,
    learner: LearnerName,
    matrix: FloatMatrix,
    labels: Labels,
    protocol: ModelingProtocol,
) -> Tuned:
    preset = preset_learner(
        learner,
        protocol.name,
        include_medication=protocol.include_medication and feature_set not in WITHOUT_MEDICATION,
        balanced=protocol.balanced,
    )
    return tune(learner, preset, matrix, labels, protocol.seed, protocol.tuning)


def _run_fold(
    blocks: FeatureBlocks,
    labels: Labels,
    split: _Split,
    protocol: ModelingProtocol,
    workers: int | None,
) -> tuple[list[pl.DataFrame], list[str]]:
    training, held_out = blocks.rows(split.training), blocks.rows(split.held_out)
    assert_disjoint(training.patient_ids.tolist(), held_out.patient_ids.tolist())
    known = labels[split.training]
    preprocessing, matrix = preprocess(training, protocol.preprocessing, known)
    fitted, warnings = fit_grid(matrix, known, preprocessing, protocol, workers)
    unseen = preprocessing.transform(held_out)
    with single_thread():
        frames = [
            _predictions(
                held_out.patient_ids,
                split.fold,
                item,
                predict(item, unseen, preprocessing),
                labels[split.held_out],
            )
            for item in fitted
        ]
    return frames, warnings


def _predictions(
    patient_ids: npt.NDArray[np.str_],
    fold: int,
    fitted: FittedModel,
    probability: FloatVector,
    labels: Labels,
) -> pl.DataFrame:
    return pl.DataFrame(
        {"patient_id": patient_ids.tolist(), "probability": probability, "label": labels}
    ).select(
        "patient_id",
        pl.lit(fold, pl.Int32).alias("fold"),
        pl.lit(fitted.feature_set).alias("feature_set"),
        pl.lit(fitted.learner).alias("learner"),
        pl.col("probability").cast(pl.Float64),
        pl.col("label").cast(pl.Int8),
    )


def _in_every_fold(frame: pl.DataFrame, folds: int) -> pl.DataFrame:
    """Drop a model that could not be fitted in some fold: every row compares the same patients."""
    complete = pl.col("fold").n_unique().over("feature_set", "learner") == folds
    return frame.filter(complete)


def _splits(folds: npt.NDArray[np.int32]) -> Iterator[_Split]:
    for fold in range(int(folds.max()) + 1):
        held_out = folds == fold
        yield _Split(
            fold,
            np.flatnonzero(~held_out).astype(np.int64),
            np.flatnonzero(held_out).astype(np.int64),
        )


def _silent(message: str) -> None:
    del message
