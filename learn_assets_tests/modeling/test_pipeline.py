"""The steps of a cell: who is labeled, who is scored by what, and what stops a run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from learn_assets.modeling.bundle import Provenance, read_bundle, write_bundle
from learn_assets.modeling.leakage import LeakError
from learn_assets.modeling.pipeline import (
    build_cell,
    cross_validate_cell,
    risk_scores,
    train_cell,
)
from learn_assets.schemas.registry import empty_frame
from learn_assets_tests.modeling.site import ENCODER, SMALL, cell_tables

PROTOCOL = replace(SMALL, learners=("elastic_net",))
PROVENANCE = Provenance("made_up", "LIS-730_BP-180_FUP-1825", ENCODER)
OUTCOME = pl.DataFrame({"code_system": ["ICD-10-CM"], "code": ["A03"], "match": ["prefix"]})


def test_labeled_are_scored_out_of_fold_and_everyone_else_by_the_final_model() -> None:
    tables = cell_tables()
    censored = tables.cohort["patient_id"][:3].to_list()
    cohort = tables.cohort.with_columns(
        pl.when(pl.col("patient_id").is_in(censored)).then(None).otherwise("label").alias("label")
    )
    # The first two can still become cases; the third left the follow-up with an early outcome.
    still_free = cohort.filter(pl.col("patient_id").is_in(censored[:2]))
    scoring = pl.concat(
        [tables.scoring_population, still_free.select(tables.scoring_population.columns)]
    )
    cell = build_cell(replace(tables, cohort=cohort, scoring_population=scoring), PROTOCOL)
    judged = cross_validate_cell(cell, PROTOCOL).frame
    scores = risk_scores(cell, judged, train_cell(cell, PROTOCOL, PROVENANCE))
    assert scores.schema == empty_frame("risk_scores").schema
    final = set(scores.filter(basis="final_model")["patient_id"])
    assert final == {*censored[:2], *tables.scoring_population["patient_id"]}
    assert set(scores.filter(basis="out_of_fold")["patient_id"]) == set(cohort["patient_id"]) - set(
        censored
    )
    assert not scores.select("patient_id", "feature_set", "learner").is_duplicated().any()
    assert scores["patient_id"].n_unique() == 99


def test_a_patient_lacking_a_kind_stays() -> None:
    tables = cell_tables()
    bare = tables.cohort["patient_id"][0]
    vectors = tables.patient_embeddings.filter(pl.col("patient_id") != bare)
    cell = build_cell(replace(tables, patient_embeddings=vectors), PROTOCOL)
    frame = cross_validate_cell(cell, PROTOCOL).frame
    assert set(frame.filter(patient_id=bare)["feature_set"]) == {
        "age_sex",
        "count",
        "embedding",
        "learn",
    }


def test_outcome_code_among_the_features_stops_the_cell() -> None:
    with pytest.raises(LeakError, match="A03"):
        build_cell(replace(cell_tables(), outcome_codes=OUTCOME), PROTOCOL)


def test_a_labeled_patient_in_the_scoring_population_stops_the_cell() -> None:
    tables = cell_tables()
    both = pl.concat([tables.scoring_population, tables.cohort[:1].drop("label")])
    with pytest.raises(LeakError):
        build_cell(replace(tables, scoring_population=both), PROTOCOL)


def test_an_empty_cohort_goes_through_every_step(tmp_path: Path) -> None:
    tables = cell_tables()
    cell = build_cell(replace(tables, cohort=tables.cohort.clear()), PROTOCOL)
    judged = cross_validate_cell(cell, PROTOCOL)
    trained = train_cell(cell, PROTOCOL, PROVENANCE)
    assert judged.frame.is_empty()
    assert trained.models == ()
    assert judged.warnings == trained.warnings
    write_bundle(trained, tmp_path / "bundle", scope="transfer")
    loaded = read_bundle(tmp_path / "bundle")
    assert risk_scores(cell, judged.frame, loaded).schema == empty_frame("risk_scores").schema


def test_an_empty_site_goes_through_every_step() -> None:
    tables = cell_tables()
    emptied = replace(
        tables,
        cohort=tables.cohort.clear(),
        scoring_population=tables.scoring_population.clear(),
        event_counts=tables.event_counts.clear(),
        latest_measurement=tables.latest_measurement.clear(),
        patient_embeddings=tables.patient_embeddings.clear(),
    )
    cell = build_cell(emptied, PROTOCOL)
    judged = cross_validate_cell(cell, PROTOCOL)
    assert risk_scores(cell, judged.frame, train_cell(cell, PROTOCOL, PROVENANCE)).is_empty()
