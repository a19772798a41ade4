"""Pipeline: the three steps of one window x encoder cell, from lake tables to scores."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from learn_assets.modeling.arrays import IndexVector, Labels
from learn_assets.modeling.bundle import Provenance, TrainedModels, score
from learn_assets.modeling.case_mix import describe_case_mix
from learn_assets.modeling.cross_validation import (
    CrossValidation,
    Progress,
    cross_validate,
    fit_grid,
    too_few,
)
from learn_assets.modeling.features import EncoderIdentity, FeatureBlocks, build_feature_blocks
from learn_assets.modeling.leakage import assert_disjoint, assert_no_outcome_feature
from learn_assets.modeling.preprocessing import preprocess
from learn_assets.modeling.protocol import ModelingProtocol
from learn_assets.schemas.registry import empty_frame


@dataclass(frozen=True)
class CellTables:
    """Lake tables of one cell, as the contracts of `schemas` describe them.

    outcome_codes: rows of `code_list` of the outcome (code_system, code, match), None in supplied
    mode, where the extract's own table already counted.
    """

    cohort: pl.DataFrame
    scoring_population: pl.DataFrame
    event_counts: pl.DataFrame
    latest_measurement: pl.DataFrame
    patient_embeddings: pl.DataFrame
    encoder: EncoderIdentity
    outcome_codes: pl.DataFrame | None = None


@dataclass(frozen=True)
class Cell:
    """Features of everyone in a cell; which rows are labeled (1 = case), which are eligible now."""

    blocks: FeatureBlocks
    labeled: IndexVector
    labels: Labels
    eligible_now: IndexVector


def build_cell(tables: CellTables, protocol: ModelingProtocol) -> Cell:
    """Align the tables of a cell into features of cohort and scoring population.

    A censored patient may stand in both and has one row of features. LeakError when a feature
    counts an outcome code or a labeled patient is also to be scored by the final model;
    DuplicatePatientError when a patient stands twice in the cohort or in the scoring population.
    """
    known = tables.cohort.filter(pl.col("label").is_not_null()).sort("patient_id")
    eligible_now = tables.scoring_population.sort("patient_id")["patient_id"].to_list()
    assert_disjoint(known["patient_id"].to_list(), eligible_now)
    newcomers = tables.scoring_population.join(tables.cohort, on="patient_id", how="anti")
    roster = pl.concat(
        [
            frame.select("patient_id", pl.col("age_at_index").cast(pl.Float64), "sex")
            for frame in (tables.cohort, newcomers)
        ]
    )
    blocks = build_feature_blocks(
        roster,
        tables.event_counts,
        tables.latest_measurement,
        tables.patient_embeddings,
        include_medication=protocol.include_medication,
        encoder=tables.encoder,
    )
    if tables.outcome_codes is not None:
        names = (*blocks.reference.count_names, *blocks.reference.measurement_names)
        assert_no_outcome_feature(names, tables.outcome_codes)
    return Cell(
        blocks=blocks,
        labeled=blocks.positions(known["patient_id"].to_list()),
        labels=known["label"].cast(pl.Int8).to_numpy().astype(np.int8),
        eligible_now=blocks.positions(eligible_now),
    )


def cross_validate_cell(
    cell: Cell,
    protocol: ModelingProtocol,
    *,
    workers: int | None = None,
    progress: Progress | None = None,
) -> CrossValidation:
    """Return out-of-fold predictions of the labeled patients of a cell."""
    return cross_validate(
        cell.blocks.rows(cell.labeled), cell.labels, protocol, workers=workers, progress=progress
    )


def train_cell(
    cell: Cell, protocol: ModelingProtocol, provenance: Provenance, *, workers: int | None = None
) -> TrainedModels:
    """Fit the final models on all labeled patients; none, with a warning, when too few."""
    reason = too_few(cell.labels, protocol.folds)
    if reason is not None:
        return TrainedModels(provenance, None, (), (reason,))
    training = cell.blocks.rows(cell.labeled)
    preprocessing, matrix = preprocess(training, protocol.preprocessing, cell.labels)
    models, warnings = fit_grid(matrix, cell.labels, preprocessing, protocol, workers)
    case_mix = describe_case_mix(training, cell.labels, minimum_cell=protocol.minimum_cell)
    return TrainedModels(provenance, preprocessing, tuple(models), tuple(warnings), case_mix)


def risk_scores(
    cell: Cell,
    cross_validation: pl.DataFrame,
    trained: TrainedModels,
    learned_from: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Return one score a patient and model (table `risk_scores`).

    Labeled patients get their out-of-fold probability, those eligible now that of the final models,
    so no score comes from a model that saw the patient's outcome. learned_from: rows of
    `cross_validation` of the patients the final models learned from, when that is another table: a
    patient who is eligible now although the models know an outcome keeps that probability.
    """
    known = cross_validation.clear() if learned_from is None else learned_from
    eligible = cell.blocks.patient_ids[cell.eligible_now].tolist()
    relabeled = known.filter(pl.col("patient_id").is_in(eligible))
    judged = pl.concat([cross_validation, relabeled.select(cross_validation.columns)]).select(
        "patient_id",
        "feature_set",
        "learner",
        pl.lit("out_of_fold").alias("basis"),
        pl.col("probability").cast(pl.Float64),
    )
    seen = set(relabeled["patient_id"].to_list())
    unseen = cell.blocks.positions([patient for patient in eligible if patient not in seen])
    predicted = score(trained, cell.blocks.rows(unseen)).select(
        "patient_id",
        "feature_set",
        "learner",
        pl.lit("final_model").alias("basis"),
        "probability",
    )
    scores = pl.concat([judged, predicted])
    return scores.select(empty_frame("risk_scores").columns).sort(
        "feature_set", "learner", "patient_id"
    )
