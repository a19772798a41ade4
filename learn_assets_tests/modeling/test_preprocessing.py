"""Preprocessing learns from training patients only, and keeps nothing rare."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from learn_assets.modeling.features import FeatureBlocks
from learn_assets.modeling.pipeline import build_cell
from learn_assets.modeling.preprocessing import (
    PreprocessingOptions,
    oversample,
    preprocess,
)
from learn_assets.study import WITHOUT_MEDICATION
from learn_assets_tests.modeling.site import SMALL, cell_tables

OPTIONS = PreprocessingOptions(minimum_patients=5)


@pytest.fixture(scope="module")
def blocks() -> FeatureBlocks:
    return build_cell(cell_tables(), SMALL).blocks


def test_training_columns_have_mean_zero_and_deviation_one(blocks: FeatureBlocks) -> None:
    matrix = preprocess(blocks, OPTIONS)[0].transform(blocks)
    assert matrix.dtype == np.float32
    assert np.isfinite(matrix).all()
    np.testing.assert_allclose(matrix.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(matrix.std(axis=0), 1, atol=1e-4)


def test_missing_values_get_the_training_median_and_a_flag(blocks: FeatureBlocks) -> None:
    fitted, _ = preprocess(blocks, OPTIONS)
    first = blocks.measurements[:, 0]
    assert fitted.measurement_fill[0] == pytest.approx(np.nanmedian(first))
    names = [column.name for column in fitted.columns]
    flag = names.index(f"missing|{blocks.reference.measurement_names[0]}")
    flagged = fitted.transform(blocks)[:, flag] > 0
    np.testing.assert_array_equal(flagged, np.isnan(first))


def test_a_missing_kind_gets_the_training_mean_vector(blocks: FeatureBlocks) -> None:
    fitted, _ = preprocess(blocks, OPTIONS)
    missing = blocks.embeddings[0].missing
    names = [column.name for column in fitted.columns]
    column = names.index("diagnosis|0")
    raw = fitted.transform(blocks)[missing, column] * fitted.scale[column] + fitted.center[column]
    np.testing.assert_allclose(raw, blocks.embeddings[0].vectors[~missing, 0].mean(), atol=1e-5)


def test_rare_features_and_constants_are_dropped(blocks: FeatureBlocks) -> None:
    seen = np.asarray((blocks.counts > 0).sum(axis=0)).ravel()
    threshold = int(np.median(seen)) + 1
    fitted, _ = preprocess(blocks, PreprocessingOptions(minimum_patients=threshold))
    kept = {column.name for column in fitted.columns if column.block == "counts"}
    expected = np.array(blocks.reference.count_names)[seen >= threshold]
    assert kept == set(expected)
    assert kept == set(fitted.reference.count_names)
    assert "sex|U" not in {column.name for column in fitted.columns}


def test_feature_sets_take_their_blocks(blocks: FeatureBlocks) -> None:
    fitted, _ = preprocess(blocks, OPTIONS)
    chosen = {
        name: set(fitted.columns_of(name).tolist()) for name in ("count", "embedding", "learn")
    }
    assert chosen["count"] | chosen["embedding"] == chosen["learn"]
    assert not chosen["count"] & chosen["embedding"]
    assert {fitted.columns[number].block for number in fitted.columns_of("age_sex")} == {
        "demographics"
    }


def test_without_medication_leaves_out_what_tells_of_medications(blocks: FeatureBlocks) -> None:
    fitted, _ = preprocess(blocks, OPTIONS)
    for without, whole in WITHOUT_MEDICATION.items():
        left_out = set(fitted.columns_of(whole)) - set(fitted.columns_of(without))
        assert set(fitted.columns_of(without)) < set(fitted.columns_of(whole))
        assert left_out == {
            number
            for number in fitted.columns_of(whole)
            if "medication" in fitted.columns[number].name
        }


def test_the_vector_of_a_kind_that_few_patients_have_is_not_learned(blocks: FeatureBlocks) -> None:
    block = blocks.embeddings[0]
    rare = np.ones(len(blocks), dtype=np.bool_)
    rare[:2] = False
    changed = replace(blocks, embeddings=(replace(block, missing=rare), *blocks.embeddings[1:]))
    fitted, _ = preprocess(changed, OPTIONS)
    kinds = [kind for kind, _ in fitted.reference.embedding_dimensions]
    assert kinds == [other.kind for other in blocks.embeddings[1:]]
    vectors = [column.name for column in fitted.columns if column.block == "embeddings"]
    assert vectors
    assert not any(block.kind in name for name in vectors)
    assert fitted.transform(changed).shape == (len(blocks), len(fitted.columns))


def test_a_held_out_value_changes_no_learned_number(blocks: FeatureBlocks) -> None:
    """Planted extremes in held-out rows leave everything learned from the others alone."""
    training = np.arange(60)
    changed = blocks.demographics.copy()
    changed[60:] = 1e6
    plain, _ = preprocess(blocks.rows(training), OPTIONS)
    perturbed, _ = preprocess(replace(blocks, demographics=changed).rows(training), OPTIONS)
    np.testing.assert_array_equal(plain.center, perturbed.center)
    np.testing.assert_array_equal(plain.scale, perturbed.scale)


def test_saving_and_loading_changes_nothing(blocks: FeatureBlocks, tmp_path: Path) -> None:
    fitted, _ = preprocess(blocks, OPTIONS)
    fitted.save(tmp_path / "fitted")
    loaded = type(fitted).load(tmp_path / "fitted")
    np.testing.assert_array_equal(loaded.transform(blocks), fitted.transform(blocks))
    assert loaded.columns == fitted.columns
    assert {path.suffix for path in (tmp_path / "fitted").iterdir()} == {".safetensors", ".json"}


def test_oversampling_balances_classes_and_keeps_the_real_rows(blocks: FeatureBlocks) -> None:
    generator = np.random.default_rng(0)
    matrix = generator.normal(size=(40, 3)).astype(np.float32)
    labels = np.repeat([0, 1], [34, 6]).astype(np.int8)
    grown, grown_labels = oversample(matrix, labels, seed=1)
    assert np.bincount(grown_labels).tolist() == [34, 34]
    assert grown.dtype == np.float32
    np.testing.assert_array_equal(grown[:40], matrix)


def test_one_case_cannot_be_oversampled() -> None:
    matrix, labels = np.eye(4, dtype=np.float32), np.array([1, 0, 0, 0], dtype=np.int8)
    assert oversample(matrix, labels, seed=1)[0] is matrix
