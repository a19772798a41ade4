"""Explanations: what models rely on, measured on held-out patients and told in aggregate only.

What belongs here: models fitted once more in each fold, mean contributions of features, the loss
from permuting blocks, and the change when past records are taken away.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
import polars as pl

from learn_assets.analyses.explanations.occlusion import CountOcclusion, Occlusion
from learn_assets.modeling.arrays import FloatMatrix, IndexVector, Labels
from learn_assets.modeling.contributions import EXPLAINED_LEARNERS, contributions
from learn_assets.modeling.cross_validation import (
    FittedModel,
    fit_grid,
    predict,
    stratified_folds,
    too_few,
)
from learn_assets.modeling.features import FeatureBlocks, ModelFeatureSet
from learn_assets.modeling.leakage import assert_disjoint
from learn_assets.modeling.preprocessing import Column, FittedPreprocessing, preprocess
from learn_assets.modeling.protocol import ModelingProtocol
from learn_assets.modeling.threads import single_thread
from learn_assets.schemas.registry import empty_frame
from learn_assets.statistics.discrimination import FloatVector, Interval, delong, limits_of, wald
from learn_assets.statistics.patient_draws import patient_weights, percentile_limits
from learn_assets.study import FeatureSet, LearnerName

_COUNTS: FeatureSet = "count"
_EXPLAINED: tuple[FeatureSet, ...] = ("count", "embedding", "learn")
_BLOCK_KINDS = {"demographics": "demographics", "measurements": "lab_result"}
_PERMUTATIONS = 5
_NO_WORDS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class ExplanationOptions:
    """How many features are shown, and how sure the intervals are."""

    features: int = 30
    resamples: int = 1000


@dataclass(frozen=True)
class Explanations:
    """What is told (table `explanations`) and what a reader must be told besides."""

    frame: pl.DataFrame
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Patients:
    """The labeled patients, a row each, and the fold that holds each out."""

    blocks: FeatureBlocks
    labels: Labels
    folds: npt.NDArray[np.int32]


@dataclass(frozen=True)
class _Fold:
    """One fold's models, and the preprocessed matrix of the patients it holds out."""

    number: int
    held_out: IndexVector
    preprocessing: FittedPreprocessing
    matrix: FloatMatrix
    models: tuple[FittedModel, ...]


@dataclass
class _Feature:
    """Standardized values and contributions of one feature, 0 where the fold had no column."""

    values: FloatVector
    contributions: FloatVector


@dataclass
class _Scores:
    """Out-of-fold probabilities of one model: as they are, permuted and without past records."""

    plain: FloatVector
    permuted: dict[tuple[str, str], FloatMatrix] = field(default_factory=dict)
    occluded: dict[int, FloatVector] = field(default_factory=dict)


_Name = tuple[ModelFeatureSet, LearnerName]


def explain(
    blocks: FeatureBlocks,
    labels: Labels,
    protocol: ModelingProtocol,
    occlusions: Sequence[Occlusion] = (),
    *,
    words: Mapping[str, str] = _NO_WORDS,
    options: ExplanationOptions | None = None,
    workers: int | None = None,
) -> Explanations:
    """Return what models rely on; every number is a mean over patients no fitted model has seen.

    Models are fitted once more in the training part of each fold of `cross_validation`.
    `shap`: mean absolute contribution of a count feature in log odds, the largest only, by elastic
    net and XGBoost where the study has them; `direction` is the correlation of value and
    contribution. `permutation`: AUROC lost when a block of columns is exchanged among the held-out
    patients of a fold, mean of five permutations (DeLong); first learner. `occlusion`: mean
    absolute change of the probability when past records are taken away, among patients who have
    such; `direction` is the mean change with its sign, divided by it. The other intervals:
    bootstrap over patients, models as they are.

    blocks and labels (1 = case) belong to the labeled patients. Features of fewer patients than
    `protocol.preprocessing.minimum_patients` are in no model. Too few cases or controls give an
    empty frame and a warning.
    """
    chosen = options or ExplanationOptions()
    reason = too_few(labels, protocol.folds)
    if reason is not None:
        return Explanations(empty_frame("explanations"), (reason,))
    folds = stratified_folds(blocks.patient_ids, labels, protocol.folds, protocol.seed)
    patients = _Patients(blocks, labels, folds)
    features: dict[_Name, dict[str, _Feature]] = {}
    scores: dict[_Name, _Scores] = {}
    for fold in _fitted_folds(patients, protocol, workers):
        with single_thread():
            for model in fold.models:
                name = (model.feature_set, model.learner)
                if model.feature_set == _COUNTS and model.learner in EXPLAINED_LEARNERS:
                    _add_contributions(features.setdefault(name, {}), model, fold, len(labels))
                if model.learner == protocol.learners[0]:
                    kept = scores.setdefault(name, _Scores(np.full(len(labels), np.nan)))
                    _add_scores(kept, model, fold, patients, occlusions, protocol.seed)
    rows: list[dict[str, object]] = []
    for name, of_model in features.items():
        rows += _shap_rows(name, of_model, words, chosen, protocol.seed)
    for name, of_scores in scores.items():
        rows += _permutation_rows(name, of_scores, patients)
        rows += _occlusion_rows(name, of_scores, occlusions, protocol, chosen)
    unexplained = () if features else ("no learner of the study has exact contributions of counts",)
    return Explanations(pl.DataFrame(rows, schema=empty_frame("explanations").schema), unexplained)


def _fitted_folds(
    patients: _Patients, protocol: ModelingProtocol, workers: int | None
) -> Iterator[_Fold]:
    exact = tuple(learner for learner in protocol.learners if learner in EXPLAINED_LEARNERS)
    first = protocol.learners[:1]
    usual = tuple(name for name in _EXPLAINED if name in protocol.feature_sets)
    shown = usual or protocol.feature_sets
    others = tuple(name for name in shown if name != _COUNTS)
    wanted = [replace(protocol, feature_sets=others, learners=first)] if others else []
    if _COUNTS in shown:
        learners = tuple(dict.fromkeys((*first, *exact)))
        wanted.append(replace(protocol, feature_sets=(_COUNTS,), learners=learners))
    # Representations of feature sets that are not explained need not be learned.
    learned = replace(protocol, feature_sets=shown).preprocessing
    for number in range(protocol.folds):
        training = np.flatnonzero(patients.folds != number).astype(np.int64)
        held_out = np.flatnonzero(patients.folds == number).astype(np.int64)
        known, unseen = patients.blocks.rows(training), patients.blocks.rows(held_out)
        assert_disjoint(known.patient_ids.tolist(), unseen.patient_ids.tolist())
        labels = patients.labels[training]
        preprocessing, matrix = preprocess(known, learned, labels)
        models = [
            model
            for part in wanted
            for model in fit_grid(matrix, labels, preprocessing, part, workers)[0]
            if model.feature_set in shown
        ]
        yield _Fold(number, held_out, preprocessing, preprocessing.transform(unseen), tuple(models))


def _add_contributions(
    features: dict[str, _Feature], model: FittedModel, fold: _Fold, patients: int
) -> None:
    columns = fold.preprocessing.columns_of(model.feature_set)
    values = fold.matrix[:, columns]
    moved = contributions(model.model, values).values
    for place in np.flatnonzero(np.abs(moved).max(axis=0, initial=0.0) > 0):
        name = fold.preprocessing.columns[columns[place]].name
        feature = features.setdefault(name, _Feature(np.zeros(patients), np.zeros(patients)))
        feature.values[fold.held_out] = values[:, place]
        feature.contributions[fold.held_out] = moved[:, place]


def _add_scores(
    scores: _Scores,
    model: FittedModel,
    fold: _Fold,
    patients: _Patients,
    occlusions: Sequence[Occlusion],
    seed: int,
) -> None:
    scores.plain[fold.held_out] = predict(model, fold.matrix, fold.preprocessing)
    generator = np.random.default_rng([seed, fold.number])
    for group, columns in _column_groups(fold.preprocessing, model.feature_set).items():
        unknown = np.full((_PERMUTATIONS, len(scores.plain)), np.nan)
        kept = scores.permuted.setdefault(group, unknown)
        for repeat in range(_PERMUTATIONS):
            order = generator.permutation(len(fold.held_out))
            exchanged = fold.matrix.copy()
            exchanged[:, columns] = fold.matrix[np.ix_(order, columns)]
            kept[repeat, fold.held_out] = predict(model, exchanged, fold.preprocessing)
    used = fold.preprocessing.columns_of(model.feature_set)
    for number, occlusion in enumerate(occlusions):
        altered = _without(occlusion, fold, patients, used)
        if altered is not None:
            without = scores.occluded.setdefault(number, np.full(len(scores.plain), np.nan))
            without[fold.held_out] = predict(model, altered, fold.preprocessing)


def _column_groups(
    preprocessing: FittedPreprocessing, feature_set: ModelFeatureSet
) -> dict[tuple[str, str], IndexVector]:
    """Return the columns of each block of a feature set, by kind and what the block is called."""
    groups: dict[tuple[str, str], list[int]] = {}
    for number in preprocessing.columns_of(feature_set).tolist():
        groups.setdefault(_group_of(preprocessing.columns[number]), []).append(number)
    return {group: np.array(columns, dtype=np.int64) for group, columns in groups.items()}


def _group_of(column: Column) -> tuple[str, str]:
    if column.block == "counts":
        return column.kind, "counts"
    kind = _BLOCK_KINDS.get(column.block)
    return (kind, "values") if kind else (column.kind, "text")


def _without(
    occlusion: Occlusion, fold: _Fold, patients: _Patients, used: IndexVector
) -> FloatMatrix | None:
    """Return the held-out matrix without some records; None when the model reads none of them."""
    fitted = fold.preprocessing
    reads = {fitted.columns[number].block for number in used.tolist()}
    if isinstance(occlusion, CountOcclusion):
        gone = [
            number
            for number in used.tolist()
            if fitted.columns[number].block == "counts"
            and fitted.columns[number].name in occlusion.features
        ]
        if not gone:
            return None
        altered = fold.matrix.copy()
        altered[:, gone] = (-fitted.center[gone] / fitted.scale[gone]).astype(np.float32)
        return altered
    if not reads - {"demographics", "counts", "measurements"}:
        return None
    return fitted.transform(occlusion.applied(patients.blocks).rows(fold.held_out))


def _shap_rows(
    name: _Name,
    features: dict[str, _Feature],
    words: Mapping[str, str],
    options: ExplanationOptions,
    seed: int,
) -> Iterator[dict[str, object]]:
    means = {
        subject: float(np.abs(item.contributions).mean()) for subject, item in features.items()
    }
    largest = sorted(means, key=lambda subject: (-means[subject], subject))[: options.features]
    if not largest:
        return
    moved = np.abs(np.stack([features[subject].contributions for subject in largest], axis=1))
    draws = np.concatenate(
        [
            weights @ moved / len(moved)
            for weights in patient_weights(len(moved), options.resamples, seed)
        ]
    )
    for place, subject in enumerate(largest):
        lower, upper = percentile_limits(draws[:, place])
        item = features[subject]
        column = subject.removeprefix("missing|")
        yield {
            **_place(name, "shap", _kind_of_feature(column), subject, words.get(column)),
            "metric": "mean_absolute_log_odds",
            **limits_of(Interval(means[subject], lower, upper)),
            "direction": _correlation(item.values, item.contributions),
            "reason": None,
        }


def _kind_of_feature(name: str) -> str:
    kind = name.split("|", maxsplit=1)[0]
    if kind in {"age_at_index", "sex"}:
        return "demographics"
    return "lab_result" if kind in {"lab", "supplied"} else kind


def _permutation_rows(
    name: _Name, scores: _Scores, patients: _Patients
) -> Iterator[dict[str, object]]:
    for (kind, subject), kept in sorted(scores.permuted.items()):
        # A fold whose training patients gave the block no column has nothing to exchange.
        permuted = np.where(np.isnan(kept), scores.plain, kept)
        yield {
            **_place(name, "permutation", kind, subject, None),
            "metric": "auroc_drop",
            **limits_of(_area_lost(scores.plain, permuted, patients)),
            "direction": None,
            "reason": None,
        }


def _area_lost(plain: FloatVector, permuted: FloatMatrix, patients: _Patients) -> Interval:
    """Return AUROC minus its mean over permutations (permutations, n), interval by DeLong."""
    areas = delong(np.vstack([plain, permuted]), patients.labels, patients.folds)
    contrast = np.array([1.0, *np.full(len(permuted), -1.0 / len(permuted))])
    lost = float(contrast @ areas.estimates)
    # Permutations that change no ranking leave a variance of rounding, which may be below zero.
    variance = max(float(contrast @ areas.covariance @ contrast), 0.0)
    return wald(lost, variance)


def _occlusion_rows(
    name: _Name,
    scores: _Scores,
    occlusions: Sequence[Occlusion],
    protocol: ModelingProtocol,
    options: ExplanationOptions,
) -> Iterator[dict[str, object]]:
    for number, occluded in sorted(scores.occluded.items()):
        occlusion = occlusions[number]
        place = _place(name, "occlusion", occlusion.kind, occlusion.subject, None)
        change = np.nan_to_num(scores.plain - occluded)[occlusion.affected]
        if len(change) < max(1, protocol.minimum_cell):
            yield {
                **place,
                "metric": "mean_absolute_change",
                **dict.fromkeys(("estimate", "lower", "upper", "direction")),
                "reason": f"fewer than {protocol.minimum_cell} patients have such records",
            }
            continue
        size = np.abs(change)
        draws = np.concatenate(
            [
                weights @ size / len(size)
                for weights in patient_weights(len(size), options.resamples, protocol.seed)
            ]
        )
        lower, upper = percentile_limits(draws)
        mean = float(size.mean())
        yield {
            **place,
            "metric": "mean_absolute_change",
            **limits_of(Interval(mean, lower, upper)),
            "direction": float(np.clip(change.mean() / mean, -1, 1)) if mean > 0 else None,
            "reason": None,
        }


def _place(
    name: _Name, method: str, kind: str, subject: str, words: str | None
) -> dict[str, object]:
    return {
        "feature_set": name[0],
        "learner": name[1],
        "method": method,
        "kind": kind,
        "subject": subject,
        "words": words,
    }


def _correlation(values: FloatVector, moved: FloatVector) -> float | None:
    if not values.std() or not moved.std():
        return None
    return float(np.clip(np.corrcoef(values, moved)[0, 1], -1.0, 1.0))
