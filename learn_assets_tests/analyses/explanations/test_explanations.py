"""Explanations: planted causes are found, noise is not, and no rare record is named."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from scipy import sparse

from learn_assets.analyses.explanations.computation import (
    ExplanationOptions,
    explain,
)
from learn_assets.analyses.explanations.occlusion import (
    ALL_RECORDS,
    CountOcclusion,
    TextOcclusion,
    count_occlusions,
)
from learn_assets.modeling.cross_validation import (
    cross_validate,
    fit_grid,
    predict,
    stratified_folds,
)
from learn_assets.modeling.features import FeatureBlocks
from learn_assets.modeling.pipeline import Cell, CellTables, build_cell
from learn_assets.modeling.preprocessing import preprocess
from learn_assets.modeling.protocol import ModelingProtocol
from learn_assets.schemas.registry import empty_frame
from learn_assets_tests.modeling.site import cell_tables

PROTOCOL = ModelingProtocol(
    feature_sets=("count", "embedding", "learn"),
    learners=("elastic_net", "xgboost"),
    folds=3,
    seed=7,
    minimum_patients=5,
    minimum_cell=5,
)
FAST = ExplanationOptions(features=100, resamples=100)


def made(tables: CellTables) -> tuple[FeatureBlocks, np.ndarray]:
    cell: Cell = build_cell(tables, PROTOCOL)
    return cell.blocks.rows(cell.labeled), cell.labels


def rows(frame: pl.DataFrame, **wanted: str) -> pl.DataFrame:
    return frame.filter(**wanted).sort("estimate", descending=True)


def test_planted_counts_lead_and_raise_the_risk() -> None:
    blocks, labels = made(cell_tables(labeled=400))
    frame = explain(blocks, labels, PROTOCOL, options=FAST).frame
    assert frame.schema == empty_frame("explanations").schema
    planted = {f"diagnosis|ICD-10-CM|A{n:02d}" for n in (0, 4, 8)}
    planted |= {f"medication|ICD-10-CM|A{n:02d}" for n in (0, 4, 8)}
    for learner in ("elastic_net", "xgboost"):
        found = rows(frame, method="shap", learner=learner)
        # Two laboratory values hold the planted risk as well.
        counts = found.filter(pl.col("kind").is_in(["diagnosis", "medication"]))
        assert len(planted & set(counts["subject"][:6])) >= 5
        assert (counts.filter(pl.col("subject").is_in(planted))["direction"] > 0.5).all()
        assert (found["lower"] <= found["estimate"]).all()
        assert (found["estimate"] <= found["upper"]).all()


def test_contributions_of_an_elastic_net_are_those_of_a_slow_loop() -> None:
    blocks, labels = made(cell_tables(labeled=150))
    frame = explain(blocks, labels, PROTOCOL, options=FAST).frame
    folds = stratified_folds(blocks.patient_ids, labels, 3, 7)
    total: dict[str, float] = {}
    only = replace(PROTOCOL, feature_sets=("count",), learners=("elastic_net",))
    for fold in range(3):
        known, unseen = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        fitted, matrix = preprocess(blocks.rows(known), only.preprocessing, labels[known])
        model = fit_grid(matrix, labels[known], fitted, only)[0][1]
        assert model.feature_set == "count"
        held_out = fitted.transform(blocks.rows(unseen))
        for place, column in enumerate(fitted.columns_of("count")):
            slope = model.model.coefficients[place] * model.model.platt.slope
            name = fitted.columns[column].name
            total[name] = total.get(name, 0) + float(np.abs(held_out[:, column] * slope).sum())
    found = rows(frame, method="shap", learner="elastic_net")
    assert found.height
    for subject, estimate in found.select("subject", "estimate").iter_rows():
        assert estimate == pytest.approx(total[subject] / len(labels), rel=1e-4)


def test_the_planted_block_is_missed_and_noise_is_not() -> None:
    tables = cell_tables(labeled=400)
    noise = tables.patient_embeddings.filter(pl.col("kind") != "diagnosis")
    generator = np.random.default_rng(3)
    vectors = generator.normal(size=(noise.height, 6)).astype(np.float32)
    noise = noise.with_columns(pl.Series("vector", vectors, dtype=pl.Array(pl.Float32, 6)))
    signal = tables.patient_embeddings.filter(kind="diagnosis")
    blocks, labels = made(replace(tables, patient_embeddings=pl.concat([signal, noise])))
    frame = explain(blocks, labels, PROTOCOL, options=FAST).frame
    found = {
        row["kind"]: row
        for row in rows(frame, method="permutation", feature_set="embedding").to_dicts()
    }
    assert set(found) == {"diagnosis", "procedure", "medication"}
    assert found["diagnosis"]["lower"] > 0.1
    for kind in ("procedure", "medication"):
        assert abs(found[kind]["estimate"]) < 0.05
    blocks_of_learn = rows(frame, method="permutation", feature_set="learn")
    assert {"counts", "text", "values"} == set(blocks_of_learn["subject"])


def test_without_signal_no_block_is_important() -> None:
    blocks, labels = made(cell_tables(labeled=300, signal=0.0))
    frame = explain(blocks, labels, PROTOCOL, options=FAST).frame
    found = frame.filter(method="permutation")
    assert found.height >= 8
    assert (found["estimate"].abs() < 0.09).all()
    assert (found["lower"] > 0).sum() <= 2


def without_counts(blocks: FeatureBlocks, features: frozenset[str]) -> FeatureBlocks:
    names = blocks.reference.count_names
    kept = np.array([name not in features for name in names], dtype=np.float32)
    return replace(blocks, counts=sparse.csr_array(blocks.counts @ sparse.diags_array(kept)))


def naive_change(
    blocks: FeatureBlocks, altered: FeatureBlocks, labels: np.ndarray, feature_set: str
) -> np.ndarray:
    """Return p - p without the records, by models fitted as cross-validation fits them."""
    folds = stratified_folds(blocks.patient_ids, labels, 3, 7)
    only = replace(PROTOCOL, feature_sets=(feature_set,), learners=("elastic_net",))
    judged = cross_validate(blocks, labels, only).frame.filter(feature_set=feature_set)
    change = judged.sort("patient_id")["probability"].to_numpy().copy()
    for fold in range(3):
        known, unseen = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        fitted, matrix = preprocess(blocks.rows(known), only.preprocessing, labels[known])
        model = fit_grid(matrix, labels[known], fitted, only)[0][1]
        change[unseen] -= predict(model, fitted.transform(altered.rows(unseen)), fitted)
    return change


def test_taking_records_away_is_predicting_from_tables_without_them() -> None:
    blocks, labels = made(cell_tables(labeled=150))
    (whole,) = (item for item in count_occlusions(blocks) if item.kind == "medication")
    assert whole.subject == ALL_RECORDS
    frame = explain(blocks, labels, PROTOCOL, [whole], options=FAST).frame
    for feature_set in ("count", "learn"):
        altered = without_counts(blocks, whole.features)
        change = naive_change(blocks, altered, labels, feature_set)[whole.affected]
        (row,) = rows(frame, method="occlusion", feature_set=feature_set).to_dicts()
        assert row["estimate"] == pytest.approx(np.abs(change).mean(), abs=1e-5)
        assert row["direction"] == pytest.approx(change.mean() / np.abs(change).mean(), abs=1e-3)
    assert rows(frame, method="occlusion", feature_set="embedding").is_empty()


def test_vectors_without_records_take_the_place_of_those_with_them() -> None:
    blocks, labels = made(cell_tables(labeled=150))
    affected = np.arange(150) % 2 == 0
    emptied = np.arange(75) % 3 == 0
    vectors = np.random.default_rng(0).normal(size=(75, 6)).astype(np.float32)
    gone = TextOcclusion("diagnosis", "newest half of the text", vectors, emptied, affected)
    altered = gone.applied(blocks)
    block = next(block for block in altered.embeddings if block.kind == "diagnosis")
    before = next(block for block in blocks.embeddings if block.kind == "diagnosis")
    assert np.array_equal(block.vectors[~affected], before.vectors[~affected])
    assert np.array_equal(block.vectors[affected][~emptied], vectors[~emptied])
    assert block.missing[affected].tolist() == emptied.tolist()
    frame = explain(blocks, labels, PROTOCOL, [gone], options=FAST).frame
    change = naive_change(blocks, altered, labels, "embedding")[affected]
    (row,) = rows(frame, method="occlusion", feature_set="embedding").to_dicts()
    assert row["estimate"] == pytest.approx(np.abs(change).mean(), abs=1e-5)


def test_a_record_of_five_patients_is_never_named_although_it_tells_all() -> None:
    tables = cell_tables(labeled=200)
    cases = tables.cohort.filter(label=1)["patient_id"][:5]
    rare = pl.DataFrame(
        {"patient_id": cases, "feature": "diagnosis|ICD-10-CM|Z999", "count": [9.0] * 5}
    )
    blocks, labels = made(replace(tables, event_counts=pl.concat([tables.event_counts, rare])))
    strict = replace(PROTOCOL, minimum_cell=11)
    small = CountOcclusion(
        "diagnosis",
        "rare",
        frozenset(["diagnosis|ICD-10-CM|Z999", "diagnosis|ICD-10-CM|A00"]),
        np.isin(blocks.patient_ids, cases.to_list()),
    )
    frame = explain(blocks, labels, strict, [small], options=FAST).frame
    assert not frame["subject"].str.contains("Z999").any()
    told = frame.filter(method="occlusion")
    assert told.height == 2
    assert told["estimate"].null_count() == 2
    assert set(told["reason"]) == {"fewer than 11 patients have such records"}


def test_the_same_input_gives_the_same_table_with_any_number_of_workers() -> None:
    blocks, labels = made(cell_tables(labeled=120))
    first = explain(blocks, labels, PROTOCOL, options=FAST).frame
    second = explain(blocks, labels, PROTOCOL, options=FAST, workers=1).frame
    assert first.equals(second)


def test_too_few_cases_are_a_warning_and_unexplained_learners_another() -> None:
    blocks, labels = made(cell_tables(labeled=60))
    none = explain(blocks, np.zeros_like(labels), PROTOCOL, options=FAST)
    assert none.frame.is_empty()
    assert "fewer cases" in none.warnings[0]
    forest = replace(PROTOCOL, learners=("random_forest",), feature_sets=("count",))
    found = explain(blocks, labels, forest, options=FAST)
    assert set(found.frame["method"]) == {"permutation"}
    assert "no learner" in found.warnings[0]
