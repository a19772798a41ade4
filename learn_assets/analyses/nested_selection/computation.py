"""Nested selection: scores by which a cell can be chosen without the patients that judge it.

What belongs here: for each part of a study's patients, how a cell does among the other parts alone,
and what models of the other parts say of its patients. Who wins is in the analysis `leaderboards`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import polars as pl

from learn_assets.modeling.arrays import FloatVector, IndexVector, Labels
from learn_assets.modeling.cross_validation import predict_split, too_few
from learn_assets.modeling.features import FeatureBlocks, ModelFeatureSet
from learn_assets.modeling.platt import inner_folds
from learn_assets.modeling.protocol import ModelingProtocol
from learn_assets.modeling.sensitivity import side_by_side
from learn_assets.schemas.registry import empty_frame
from learn_assets.statistics.discrimination import OneClassError, auroc
from learn_assets.study import LearnerName

INNER_FOLDS = 3


def nested_selection(
    blocks: FeatureBlocks,
    labels: Labels,
    parts: pl.DataFrame,
    protocol: ModelingProtocol,
    model: tuple[ModelFeatureSet, LearnerName],
    *,
    workers: int | None = None,
) -> pl.DataFrame:
    """Return scores of one model of a cell's labeled patients (table `nested_selection`).

    blocks and labels (1 = case) belong to the labeled patients; parts: `study_parts`. KeyError when
    a patient has no part.
    """
    feature_set, learner = model
    alone = replace(protocol, feature_sets=(feature_set,), learners=(learner,))
    wanted = (pl.col("feature_set") == feature_set) & (pl.col("learner") == learner)

    def predict(training: IndexVector, held_out: IndexVector) -> FloatVector:
        judged = predict_split(blocks, labels, training, held_out, alone, workers=1).frame
        found = judged.filter(wanted)
        if found.is_empty():
            return np.full(len(held_out), np.nan)
        order = blocks.patient_ids[held_out].tolist()
        placed = pl.DataFrame({"patient_id": order}).join(
            found, on="patient_id", how="left", maintain_order="left"
        )
        return placed["probability"].to_numpy()

    place = dict(parts.iter_rows())
    part = np.array([place[patient] for patient in blocks.patient_ids.tolist()], dtype=np.int32)

    def at_once(tasks: Sequence[tuple[IndexVector, IndexVector]]) -> list[FloatVector]:
        return side_by_side(lambda task: predict(*task), tasks, alone, workers)

    return nested_scores(blocks.patient_ids, labels, part, at_once, protocol.seed)


def nested_scores(
    patient_ids: npt.NDArray[np.str_],
    labels: Labels,
    part: npt.NDArray[np.int32],
    predict_all: Callable[[Sequence[tuple[IndexVector, IndexVector]]], list[FloatVector]],
    seed: int,
) -> pl.DataFrame:
    """Return, for each part, the AUROC among the others alone and their models' scores of it.

    predict_all: gives for each (rows learned from, rows judged) the probabilities of the judged. No
    label of a part reaches the choice for it, not even through a model that judges others:
    predictions of an ordinary cross-validation would not do, since each of them learned from the
    part. A part whose others hold too few cases or controls is left out.
    """
    splits: list[tuple[IndexVector, IndexVector]] = []
    shares: list[tuple[int, IndexVector, list[tuple[IndexVector, IndexVector]]]] = []
    for number in np.unique(part):
        here = np.flatnonzero(part == number).astype(np.int64)
        others = np.flatnonzero(part != number).astype(np.int64)
        if too_few(labels[others], INNER_FOLDS) is not None:
            continue
        inner = [
            (others[training], others[held_out])
            for training, held_out in inner_folds(labels[others], INNER_FOLDS, seed)
        ]
        shares.append((int(number), here, inner))
        splits += [*inner, (others, here)]
    found = iter(predict_all(splits))
    frames = [empty_frame("nested_selection")]
    for number, here, inner in shares:
        area = _inner_auroc(labels, inner, [next(found) for _ in inner])
        probability = next(found)
        if not np.isfinite(probability).all():
            continue
        frames.append(
            pl.DataFrame(
                {
                    "patient_id": patient_ids[here].tolist(),
                    "probability": probability,
                    "label": labels[here],
                }
            ).select(
                "patient_id",
                pl.lit(number, pl.Int32).alias("part"),
                pl.lit(area, pl.Float64).alias("inner_auroc"),
                pl.col("probability").cast(pl.Float64),
                pl.col("label").cast(pl.Int8),
            )
        )
    return pl.concat(frames).sort("patient_id")


def _inner_auroc(
    labels: Labels,
    splits: Sequence[tuple[IndexVector, IndexVector]],
    scores: Sequence[FloatVector],
) -> float | None:
    rows = np.concatenate([held_out for _, held_out in splits])
    folds = np.repeat(np.arange(len(splits)), [len(held_out) for _, held_out in splits])
    pooled = np.concatenate(scores)
    if not np.isfinite(pooled).all():
        return None
    try:
        return auroc(pooled, labels[rows], folds=folds).estimate
    except OneClassError:
        return None
