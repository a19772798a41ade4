"""Repeats: cross-validations that differ in their folds, and how much that moves the AUROC."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import polars as pl
from scipy.special import stdtrit

from learn_assets.modeling.arrays import Labels
from learn_assets.modeling.cross_validation import cross_validate
from learn_assets.modeling.features import FeatureBlocks
from learn_assets.modeling.kept_predictions import KeptPredictions
from learn_assets.modeling.leakage import assert_one_fold_per_patient
from learn_assets.modeling.protocol import ModelingProtocol
from learn_assets.schemas.registry import empty_frame
from learn_assets.statistics.discrimination import (
    FloatVector,
    Interval,
    OneClassError,
    auroc,
    limits_of,
)

_MODEL = ["feature_set", "learner"]


def repeat_cross_validation(
    blocks: FeatureBlocks,
    labels: Labels,
    protocol: ModelingProtocol,
    first: pl.DataFrame,
    repeats: int,
    *,
    kept: KeptPredictions | None = None,
    workers: int | None = None,
) -> tuple[pl.DataFrame, ...]:
    """Return out-of-fold predictions of each repeat; `first` is the study's own cross-validation.

    Repeat r has the seed of the study + r - 1, for folds and learners alike. kept: where finished
    repeats are found again after a run was killed.
    """
    judged = [first]
    for seed in range(protocol.seed + 1, protocol.seed + repeats):
        found = kept.find(seed) if kept else None
        if found is None:
            again = replace(protocol, seed=seed)
            found = cross_validate(blocks, labels, again, workers=workers).frame
            if kept:
                kept.keep(seed, found)
        judged.append(found)
    return tuple(judged)


def repeated_auroc(repeats: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Return AUROC of every model by repeat and over all (table `repeated_cross_validation`).

    repeats: tables `cross_validation` of the same patients. By repeat: AUROC within folds with its
    DeLong interval. Over all (`repeat` empty): mean over folds and repeats with the interval of
    `corrected_resampled_interval`, and the standard deviation between repeats. LeakError when a
    patient of a repeat was held out in two folds.
    """
    rows: list[dict[str, object]] = []
    by_model: dict[tuple[str, str], list[tuple[Interval, FloatVector]]] = {}
    for predictions in repeats:
        assert_one_fold_per_patient(predictions)
        for (feature_set, learner), group in predictions.group_by(_MODEL, maintain_order=True):
            name = (str(feature_set), str(learner))
            by_model.setdefault(name, []).append(_areas(group.sort("patient_id")))
    for (feature_set, learner), areas in sorted(by_model.items()):
        model = {"feature_set": feature_set, "learner": learner}
        rows += [
            {**model, "repeat": number, **limits_of(area, "auroc")}
            for number, (area, _) in enumerate(areas, start=1)
        ]
        rows.append({**model, **_over_all(areas)})
    return pl.DataFrame(rows, schema=empty_frame("repeated_cross_validation").schema)


def corrected_resampled_interval(values: FloatVector, test_to_train: float) -> Interval:
    """Return the mean of a measure over folds and repeats with limits that know of their overlap.

    values: one a fold and repeat. test_to_train: held-out patients a training patient,
    1 / (folds - 1). The plain variance of the mean takes folds for independent; training sets that
    share most patients are not, so (1 / n + test_to_train) * variance stands for it, with
    n - 1 degrees of freedom. One value has no limits (NaN). Method: Nadeau & Bengio 2003; repeated
    folds: Bouckaert & Frank 2004.
    """
    count, mean = len(values), float(np.mean(values))
    if count < 2:
        return Interval(mean, float("nan"), float("nan"))
    variance = (1 / count + test_to_train) * float(np.var(values, ddof=1))
    width = float(stdtrit(count - 1, 0.975)) * float(np.sqrt(variance))
    return Interval(mean, max(0.0, mean - width), min(1.0, mean + width))


def _areas(group: pl.DataFrame) -> tuple[Interval, FloatVector]:
    """Return AUROC within folds, and that of each fold which holds a case and a control."""
    scores, labels, folds = (group[name].to_numpy() for name in ("probability", "label", "fold"))
    of_folds = []
    for fold in np.unique(folds):
        members = folds == fold
        try:
            of_folds.append(auroc(scores[members], labels[members]).estimate)
        except OneClassError:
            continue
    return auroc(scores, labels, folds=folds), np.array(of_folds)


def _over_all(areas: Sequence[tuple[Interval, FloatVector]]) -> dict[str, float | None]:
    folds = len(areas[0][1])
    values = np.concatenate([of_folds for _, of_folds in areas])
    overall = corrected_resampled_interval(values, 1 / max(1, folds - 1))
    between = [area.estimate for area, _ in areas]
    spread = float(np.std(between, ddof=1)) if len(between) > 1 else None
    return {**limits_of(overall, "auroc"), "standard_deviation": spread}
