"""Imbalance: what weights and SMOTE do to ranks and probabilities, on the same folds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import polars as pl

from learn_assets.evaluation.performance import performance
from learn_assets.modeling.arrays import Labels
from learn_assets.modeling.cross_validation import cross_validate
from learn_assets.modeling.features import FeatureBlocks
from learn_assets.modeling.protocol import ModelingProtocol
from learn_assets.schemas.registry import empty_frame
from learn_assets.statistics.discrimination import OneClassError, limits_of
from learn_assets.statistics.paired import auroc_difference, brier_difference
from learn_assets.study import Imbalance, TuningOptions

TREATMENTS: tuple[Imbalance, ...] = ("none", "weights", "smote")
_MODEL = ["feature_set", "learner"]


def treated_predictions(
    blocks: FeatureBlocks,
    labels: Labels,
    protocol: ModelingProtocol,
    own: pl.DataFrame,
    *,
    workers: int | None = None,
) -> dict[Imbalance, pl.DataFrame]:
    """Return out-of-fold predictions under each treatment of rare cases, on the same folds.

    own: the cell's table `cross_validation`, made under the study's own treatment, which is not
    fitted again; empty (too few cases or controls) gives none. SMOTE is never tuned: relatives of
    one patient would stand on both sides of an inner fold.
    """
    if own.is_empty():
        return {}
    names = [(name, learner) for name, learners in protocol.grid for learner in learners]
    kept = pl.DataFrame(names, schema=_MODEL, orient="row")
    predictions: dict[Imbalance, pl.DataFrame] = {}
    for treatment in TREATMENTS:
        if treatment == protocol.treatment_of_imbalance:
            predictions[treatment] = own.join(kept, on=_MODEL, how="semi")
            continue
        tuning = TuningOptions() if treatment == "smote" else protocol.tuning
        other = replace(protocol, imbalance=treatment, tuning=tuning)
        predictions[treatment] = cross_validate(blocks, labels, other, workers=workers).frame
    return predictions


def imbalance_sensitivity(
    predictions: Mapping[Imbalance, pl.DataFrame],
    *,
    minimum_cell: int,
    resamples: int = 1000,
    seed: int = 0,
) -> pl.DataFrame:
    """Return the performance of each treatment (table `imbalance_sensitivity`).

    Metrics are those of `performance`, and for every treatment but `none` the paired differences
    `auroc_minus_none` (DeLong, pairs within folds; above 0 the treatment ranks better) and
    `brier_minus_none` (below 0 its probabilities are better).
    """
    empty = empty_frame("imbalance_sensitivity")
    frames = [empty]
    for treatment in TREATMENTS:
        judged = predictions.get(treatment)
        if judged is None or judged.is_empty():
            continue
        measured = performance(
            judged, minimum_cell=minimum_cell, resamples=resamples, seed=seed
        ).frame
        pieces = [measured]
        if treatment != "none" and "none" in predictions:
            pieces.append(_differences(judged, predictions["none"]))
        told = pl.concat(pieces).with_columns(pl.lit(treatment).alias("imbalance"))
        frames.append(told.select(empty.columns))
    return pl.concat(frames)


def _differences(treated: pl.DataFrame, plain: pl.DataFrame) -> pl.DataFrame:
    keys = [*_MODEL, "patient_id"]
    paired = treated.join(plain.select(*keys, "probability"), on=keys, suffix="_none").sort(keys)
    rows: list[tuple[object, ...]] = []
    for (feature_set, learner), group in paired.group_by(_MODEL, maintain_order=True):
        first, second, labels, folds = (
            group[name].to_numpy() for name in ("probability", "probability_none", "label", "fold")
        )
        try:
            differences = {
                "auroc_minus_none": auroc_difference(first, second, labels, folds),
                "brier_minus_none": brier_difference(first, second, labels),
            }
        except OneClassError:
            continue
        rows += [
            (feature_set, learner, metric, *limits_of(difference).values())
            for metric, difference in differences.items()
        ]
    schema = empty_frame("imbalance_sensitivity").drop("imbalance").schema
    return pl.DataFrame(rows, schema=schema, orient="row")
