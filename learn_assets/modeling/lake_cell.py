"""Lake cell: the tables of one window x encoder cell, read from the lake for the pipeline."""

from __future__ import annotations

import polars as pl

from learn_assets.embedding.encoders import find_encoder
from learn_assets.lake import Lake
from learn_assets.modeling.bundle import Provenance
from learn_assets.modeling.champion import Champion, ChampionError, ChampionHistory
from learn_assets.modeling.compatibility import origin_of
from learn_assets.modeling.features import EncoderIdentity
from learn_assets.modeling.pipeline import Cell, CellTables, build_cell
from learn_assets.modeling.protocol import ModelingProtocol
from learn_assets.study import EncoderChoice, Study
from learn_assets.study.windows import Window


def encoder_identity(choice: EncoderChoice) -> EncoderIdentity:
    """Return the id and revision that vectors of an encoder are known by."""
    return EncoderIdentity(choice.id, find_encoder(choice).revision)


def load_cell(study: Study, lake: Lake, window: Window, choice: EncoderChoice) -> Cell:
    """Return a cell's features and labels. MissingTableError names the asset that is not there."""
    tables = CellTables(
        cohort=lake.read("cohort", window),
        scoring_population=lake.read("scoring_population", window),
        event_counts=lake.read("event_counts", window),
        latest_measurement=lake.read("latest_measurement", window),
        patient_embeddings=lake.read("patient_embeddings", window, choice.id),
        encoder=encoder_identity(choice),
        outcome_codes=_outcome_codes(study, lake),
    )
    return build_cell(tables, ModelingProtocol.from_study(study))


def cell_origin(study: Study, lake: Lake, window: Window, choice: EncoderChoice) -> Provenance:
    """Return what a bundle of this cell says about its origin."""
    encoder = encoder_identity(choice)
    patients = lake.stamp("patient")
    extract = patients.fingerprint if patients else None
    return origin_of(study, window.key, encoder, choice, lake.read("code_list"), extract)


def champion_history(lake: Lake, window: Window, choice: EncoderChoice) -> ChampionHistory:
    """Return the champions of a cell, those in force and those before."""
    return ChampionHistory(lake.folder("champion", window, choice.id))


def current_champion(lake: Lake, window: Window, choice: EncoderChoice) -> Champion:
    """Return the champion of a cell, verified. ChampionError when it has none yet."""
    found = champion_history(lake, window, choice).current()
    if found is None:
        raise ChampionError("this cell has no champion yet; materialize `champion` first")
    return found


def out_of_fold_scores(lake: Lake, window: Window, choice: EncoderChoice) -> pl.DataFrame:
    """Return the scores of classifiers and survival learners; no model saw its own patient."""
    columns = ("patient_id", "fold", "feature_set", "learner", "probability")
    tables = ("cross_validation", "time_to_event_scores")
    return pl.concat([lake.read(table, window, choice.id).select(columns) for table in tables])


def _outcome_codes(study: Study, lake: Lake) -> pl.DataFrame | None:
    if study.cohort.outcome is None:
        return None
    name = study.cohort.outcome.code_list
    return lake.read("code_list").filter(pl.col("list") == name)
