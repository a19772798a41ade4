"""Late fusion: weights that fit best, from inner folds only, and models that travel."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import polars as pl
import pytest
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from learn_assets.modeling import cross_validation as module
from learn_assets.modeling.arrays import FloatMatrix, FloatVector, Labels
from learn_assets.modeling.bundle import Provenance, read_bundle, score, write_bundle
from learn_assets.modeling.cross_validation import cross_validate, predict_split
from learn_assets.modeling.elastic_net import ElasticNet, ElasticNetSettings
from learn_assets.modeling.pipeline import build_cell, train_cell
from learn_assets.modeling.stacking import combine, fit_stacked
from learn_assets.statistics.discrimination import auroc
from learn_assets_tests.modeling.site import ENCODER, SMALL, cell_tables

STACKED = replace(
    SMALL, feature_sets=("count", "embedding", "stacking"), learners=("elastic_net", "svm")
)
LINEAR = replace(STACKED, learners=("elastic_net",))


def two_parts(patients: int, second: float, seed: int = 0) -> tuple[FloatVector, Labels]:
    generator = np.random.default_rng(seed)
    decision = generator.normal(size=(patients, 2))
    labels = generator.random(patients) < expit(decision @ [1.0, second] - 0.5)
    return decision, labels.astype(np.int8)


def test_with_many_patients_weights_are_those_of_logistic_regression() -> None:
    decision, labels = two_parts(4000, 0.5)
    found = combine(decision, labels)
    oracle = LogisticRegression(C=np.inf, tol=1e-10).fit(decision, labels)
    np.testing.assert_allclose(found.weights, oracle.coef_[0], atol=0.005)
    assert found.intercept == pytest.approx(oracle.intercept_[0], abs=0.005)


def test_a_part_that_misleads_gets_no_weight_and_few_patients_a_plain_mean() -> None:
    decision, labels = two_parts(400, -0.8)
    assert combine(decision, labels).weights[1] == 0.0
    few = np.array([[0.3, 0.1], [-0.2, 0.1]])
    found = combine(few, np.array([1, 0], dtype=np.int8))
    np.testing.assert_allclose(found.weights, 0.5, atol=0.3)


def test_separated_classes_still_give_finite_weights() -> None:
    decision = np.repeat([[-5.0, -5.0], [5.0, 5.0]], 10, axis=0)
    found = combine(decision, np.repeat([0, 1], 10).astype(np.int8))
    assert np.isfinite([*found.weights, found.intercept]).all()


@dataclass(frozen=True)
class ByHeart:
    """Remembers the label of each row it trained on, by the row's number, and nothing else."""

    known: dict[float, int]
    carries_patient_rows: ClassVar[bool] = True

    def predict_probability(self, matrix: FloatMatrix) -> FloatVector:
        """Return what is remembered, and 0.4 for others."""
        return np.array([abs(self.known.get(float(row[0]), 0.4) - 0.01) for row in matrix])

    def save(self, folder: Path) -> None:
        """Refuse: it never leaves the test."""
        raise NotImplementedError

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Refuse: it never leaves the test."""
        raise NotImplementedError


def test_parts_are_judged_by_rows_they_did_not_train_on() -> None:
    """A part that learns its training rows by heart and knows nothing of others gets no weight."""
    generator = np.random.default_rng(1)
    labels = (generator.random(200) < 0.4).astype(np.int8)
    matrix = np.column_stack([labels + generator.normal(size=200), np.arange(200)])
    matrix = matrix.astype(np.float32)

    def fit(number: int, rows: FloatMatrix, known: Labels) -> ElasticNet | ByHeart:
        if number == 0:
            return ElasticNetSettings().fit(rows, known, 0)
        return ByHeart(dict(zip(rows[:, 0].tolist(), known.tolist(), strict=True)))

    parts = [np.array([0]), np.array([1])]
    stacked = fit_stacked("elastic_net", fit, matrix, parts, labels, 0)
    # Its log odds are the same for everyone held out, so only the shrinkage keeps a weight.
    assert auroc(stacked.models[1].predict_probability(matrix[:, [1]]), labels).estimate == 1.0
    assert stacked.combination.weights[0] > 0.6


def test_stacking_stands_beside_its_parts() -> None:
    cell = build_cell(cell_tables(labeled=150, signal=2.0), STACKED)
    frame = cross_validate(cell.blocks.rows(cell.labeled), cell.labels, LINEAR).frame
    areas = {
        str(name): auroc(group["probability"].to_numpy(), group["label"].to_numpy()).estimate
        for (name,), group in frame.group_by("feature_set")
    }
    assert areas["stacking"] > max(areas["count"], areas["embedding"]) - 0.02
    stacked = frame.filter(pl.col("feature_set") == "stacking")["probability"]
    assert abs(float(stacked.to_numpy().mean()) - cell.labels.mean()) < 0.05


def test_labels_of_held_out_patients_change_no_stacked_prediction() -> None:
    cell = build_cell(cell_tables(), STACKED)
    blocks, labels = cell.blocks.rows(cell.labeled), cell.labels
    training, held_out = np.arange(60), np.arange(60, 90)
    turned = labels.copy()
    turned[held_out] = 1 - turned[held_out]
    plain, other = (
        predict_split(blocks, known, training, held_out, LINEAR).frame["probability"]
        for known in (labels, turned)
    )
    assert plain.equals(other)
    turned = labels.copy()
    turned[training] = 1 - turned[training]
    moved = predict_split(blocks, turned, training, held_out, LINEAR).frame["probability"]
    assert not plain.equals(moved)


def test_inner_folds_hold_no_resampled_relatives(monkeypatch: pytest.MonkeyPatch) -> None:
    """Under SMOTE each inner training part is resampled on its own, never before it is split."""
    sizes = []
    real = module.oversample

    def counted(matrix: FloatMatrix, labels: Labels, seed: int) -> tuple[FloatMatrix, Labels]:
        sizes.append(len(labels))
        return real(matrix, labels, seed)

    monkeypatch.setattr(module, "oversample", counted)
    cell = build_cell(cell_tables(), STACKED)
    protocol = replace(LINEAR, name="published", feature_sets=("stacking",), folds=2)
    train_cell(cell, protocol, Provenance("made_up", "LIS-730_BP-180_FUP-1825", ENCODER))
    everyone = len(cell.labels)
    assert max(sizes) == everyone
    # The baseline and the final model of each part see everyone, ten inner fits four fifths.
    assert sorted(sizes)[:10] == [everyone * 4 // 5] * 10
    assert len(sizes) == 13


def test_a_stacked_bundle_scores_as_in_memory_and_keeps_patient_rows_at_home(
    tmp_path: Path,
) -> None:
    cell = build_cell(cell_tables(), STACKED)
    provenance = Provenance("made_up", "LIS-730_BP-180_FUP-1825", ENCODER)
    trained = train_cell(cell, STACKED, provenance)
    write_bundle(trained, tmp_path / "site", scope="site")
    loaded = read_bundle(tmp_path / "site")
    assert score(loaded, cell.blocks).equals(score(trained, cell.blocks))
    travels = write_bundle(trained, tmp_path / "transfer", scope="transfer")
    assert "stacking/svm" in travels.left_out
    assert "stacking/elastic_net" in travels.models


def test_without_vectors_there_is_nothing_to_fuse() -> None:
    cell = build_cell(cell_tables(), STACKED)
    blocks = cell.blocks.rows(cell.labeled)
    bare = blocks.aligned(replace(blocks.reference, embedding_dimensions=()))
    result = cross_validate(bare, cell.labels, LINEAR)
    assert "stacking" not in result.frame["feature_set"].unique()
    assert any("stacking" in warning for warning in result.warnings)
