"""Every learner: separates, repeats itself, survives a round trip, and tells what it carries."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC

from learn_assets.modeling import neural_network as network_module
from learn_assets.modeling.arrays import balanced_weights
from learn_assets.modeling.boosted_trees import BoostedTreesSettings
from learn_assets.modeling.elastic_net import fit_path
from learn_assets.modeling.learners import load_model, preset_learner
from learn_assets.modeling.neural_network import NeuralNetworkSettings, published_network
from learn_assets.modeling.platt import fit_platt, inner_folds
from learn_assets.modeling.random_forest import RandomForestSettings, bin_columns
from learn_assets.modeling.support_vector import SupportVectorSettings, radial_kernel
from learn_assets.statistics.discrimination import auroc
from learn_assets.study import LearnerName

LEARNERS: tuple[LearnerName, ...] = ("svm", "random_forest", "xgboost", "mlp", "elastic_net")


def rows(patients: int = 150, columns: int = 8, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    matrix = generator.normal(size=(patients, columns)).astype(np.float32)
    strength = matrix[:, 0] * 1.5 + matrix[:, 1] + generator.normal(size=patients)
    return matrix, (strength > 0.8).astype(np.int8)


@pytest.mark.parametrize("name", LEARNERS)
def test_learner_separates_repeats_and_round_trips(name: LearnerName, tmp_path: Path) -> None:
    matrix, labels = rows()
    unseen, unseen_labels = rows(seed=1)
    first, second = (preset_learner(name, "recommended").fit(matrix, labels, 3) for _ in range(2))
    probabilities = first.predict_probability(unseen)
    assert probabilities.dtype == np.float64
    assert ((probabilities > 0) & (probabilities < 1)).all()
    assert auroc(probabilities, unseen_labels).estimate > 0.75
    assert abs(probabilities.mean() - unseen_labels.mean()) < 0.15
    np.testing.assert_array_equal(probabilities, second.predict_probability(unseen))
    first.save(tmp_path / "model")
    loaded = load_model(name, tmp_path / "model")
    np.testing.assert_array_equal(probabilities, loaded.predict_probability(unseen))
    assert {path.suffix for path in (tmp_path / "model").iterdir()} <= {
        ".safetensors",
        ".json",
        ".ubj",
    }
    assert first.carries_patient_rows == (name == "svm")
    assert len(first.predict_probability(unseen[:0])) == 0


@pytest.mark.parametrize("name", ["svm", "random_forest", "xgboost", "elastic_net"])
def test_published_preset_fits(name: LearnerName) -> None:
    matrix, labels = rows()
    model = preset_learner(name, "published").fit(matrix, labels, 3)
    assert auroc(model.predict_probability(matrix), labels).estimate > 0.8


def test_published_network_is_the_one_described() -> None:
    wide, narrow = published_network(True), published_network(False)
    assert wide.hidden == (4096, 1024, 256, 64, 16, 4)
    assert narrow.hidden == (2048, 512, 128, 16, 4)
    assert (wide.dropout, wide.epochs, wide.batch, wide.clip_norm) == ((0.8, 0.6), 60, 64, 3.0)
    matrix, labels = rows()
    single = NeuralNetworkSettings(hidden=(8,), epochs=30, ensemble_folds=0).fit(matrix, labels, 1)
    assert len(single.networks) == 1
    assert auroc(single.predict_probability(matrix), labels).estimate > 0.75


def test_products_in_bfloat16_rank_as_those_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    matrix, labels = rows(patients=400)
    unseen, unseen_labels = rows(patients=400, seed=1)
    wide = NeuralNetworkSettings(hidden=(512, 256), epochs=4, batch=64, ensemble_folds=0)
    full = wide.fit(matrix, labels, 1)
    # On a processor without bfloat16 torch emulates it: the same weights, only slower.
    monkeypatch.setattr(network_module, "multiplies_bfloat16", lambda: True)
    first, second = (replace(wide, bfloat16=True).fit(matrix, labels, 1) for _ in range(2))
    np.testing.assert_array_equal(first.decision(unseen), second.decision(unseen))
    assert np.corrcoef(first.decision(unseen), full.decision(unseen))[0, 1] > 0.95
    gap = auroc(first.decision(unseen), unseen_labels).estimate
    gap -= auroc(full.decision(unseen), unseen_labels).estimate
    assert abs(gap) < 0.02
    assert not np.array_equal(first.decision(unseen), full.decision(unseen))
    assert all(layer.weight.dtype == np.float32 for layer in first.networks[0])


def test_without_bfloat16_the_published_network_stays_in_float32(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    matrix, labels = rows(patients=70)
    monkeypatch.setattr(network_module, "multiplies_bfloat16", lambda: False)
    settings = NeuralNetworkSettings(hidden=(512, 256), epochs=1, ensemble_folds=0)
    plain, asked = (
        item.fit(matrix, labels, 1) for item in (settings, replace(settings, bfloat16=True))
    )
    np.testing.assert_array_equal(plain.decision(matrix), asked.decision(matrix))


@pytest.mark.parametrize("name", LEARNERS)
def test_one_case_still_gives_a_model(name: LearnerName) -> None:
    matrix, labels = rows(patients=20)
    labels[:] = 0
    labels[0] = 1
    probabilities = (
        preset_learner(name, "recommended").fit(matrix, labels, 1).predict_probability(matrix)
    )
    assert np.isfinite(probabilities).all()


def test_path_equals_an_independent_elastic_net() -> None:
    matrix, labels = rows(patients=80, columns=30, seed=4)
    penalties = np.array([0.2, 0.1, 0.05])
    for (coefficients, intercept), penalty in zip(
        fit_path(matrix, labels, penalties, 0.5), penalties, strict=True
    ):
        oracle = LogisticRegression(
            solver="saga", l1_ratio=0.5, C=1 / (penalty * len(labels)), tol=1e-7, max_iter=50_000
        ).fit(matrix.astype(np.float64), labels)
        np.testing.assert_allclose(coefficients, oracle.coef_[0], atol=2e-3)
        assert intercept == pytest.approx(oracle.intercept_[0], abs=2e-3)
        assert 0 < np.count_nonzero(coefficients) < 30


def test_kernel_machine_equals_the_library_one() -> None:
    matrix, labels = rows()
    unseen, _ = rows(seed=1)
    ours = SupportVectorSettings().fit(matrix, labels, 3).decision(unseen)
    oracle = SVC(C=1.0, gamma="auto").fit(matrix.astype(np.float64), labels)
    np.testing.assert_allclose(ours, oracle.decision_function(unseen), atol=2e-2)
    assert np.corrcoef(ours, oracle.decision_function(unseen))[0, 1] > 0.9999


def test_kernel_of_a_row_with_itself_is_one() -> None:
    matrix, _ = rows(patients=10)
    np.testing.assert_allclose(np.diag(radial_kernel(matrix, matrix, 0.1)), 1.0, atol=1e-5)


def test_forest_arrays_vote_as_the_library_forest() -> None:
    from sklearn.ensemble import RandomForestClassifier

    matrix, labels = rows()
    unseen, _ = rows(seed=1)
    settings = RandomForestSettings(trees=20, row_share=1.0, bins=None, calibrated=False)
    ours = settings.fit(matrix, labels, 3)
    oracle = RandomForestClassifier(20, min_samples_leaf=5, random_state=3).fit(matrix, labels)
    np.testing.assert_allclose(
        ours.predict_probability(unseen), oracle.predict_proba(unseen)[:, 1], atol=1e-12
    )


@pytest.mark.parametrize("bins", [4, 16])
def test_binned_columns_split_as_their_codes_do(bins: int) -> None:
    generator = np.random.default_rng(5)
    matrix = generator.normal(size=(200, 6)).astype(np.float32)
    matrix[:, 3:] = generator.poisson(0.4, size=(200, 3))
    binned = bin_columns(matrix, bins)
    assert binned.codes.max() < bins
    for column, codes, cuts in zip(matrix.T, binned.codes.T, binned.cuts, strict=True):
        for code, cut in enumerate(cuts):
            np.testing.assert_array_equal(codes <= code, column <= cut)


def test_forest_on_binned_columns_equals_the_library_forest_on_codes() -> None:
    from sklearn.ensemble import RandomForestClassifier

    matrix, labels = rows()
    binned = bin_columns(matrix, 16)
    settings = RandomForestSettings(trees=20, row_share=1.0, calibrated=False)
    ours = settings.fit(matrix, labels, 3).predict_probability(matrix)
    oracle = RandomForestClassifier(20, min_samples_leaf=5, random_state=3)
    oracle.fit(binned.codes, labels)
    np.testing.assert_allclose(ours, oracle.predict_proba(binned.codes)[:, 1], atol=1e-12)


def test_boosting_stops_where_the_held_out_loss_no_longer_falls() -> None:
    matrix, labels = rows()
    noise = np.random.default_rng(1).permutation(labels)
    stopped = BoostedTreesSettings(rounds=100, patience=10).fit(matrix, noise, 3)
    full = BoostedTreesSettings(rounds=30, patience=None, calibration_folds=0)
    assert stopped.booster.num_boosted_rounds() < 100
    assert full.fit(matrix, noise, 3).booster.num_boosted_rounds() == 30


def test_calibration_never_turns_a_ranking_round() -> None:
    labels = np.repeat([0, 1], 30).astype(np.int8)
    backwards = np.linspace(1, -1, 60)
    probabilities = fit_platt(backwards, labels).probability(backwards)
    assert (np.diff(probabilities) < 0).all()
    assert probabilities.mean() == pytest.approx(0.5, abs=0.01)


def test_calibration_of_separated_classes_is_finite_and_of_a_constant_is_the_share() -> None:
    labels = np.repeat([0, 1], [30, 10]).astype(np.int8)
    separated = fit_platt(np.linspace(-1, 1, 40), labels)
    assert np.isfinite(separated.slope)
    assert fit_platt(np.zeros(40), labels).probability(np.zeros(1))[0] == pytest.approx(
        0.26, abs=0.02
    )


def test_inner_folds_shrink_with_the_rarer_class() -> None:
    assert len(inner_folds(np.array([0] * 9 + [1] * 2, dtype=np.int8), 5, 0)) == 2
    assert inner_folds(np.array([0] * 9 + [1], dtype=np.int8), 5, 0) == []


def test_unknown_learner_names_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(KeyError, match="random_forest"):
        load_model(cast("LearnerName", "perceptron"), tmp_path)


@pytest.mark.parametrize("name", LEARNERS)
def test_balanced_learners_change_and_stay_calibrated(name: LearnerName) -> None:
    matrix, labels = rows(400)
    unseen, unseen_labels = rows(400, seed=1)
    assert labels.mean() < 0.4
    plain = preset_learner(name, "recommended").fit(matrix, labels, 3)
    balanced = preset_learner(name, "recommended", balanced=True).fit(matrix, labels, 3)
    probabilities = balanced.predict_probability(unseen)
    assert not np.array_equal(probabilities, plain.predict_probability(unseen))
    assert auroc(probabilities, unseen_labels).estimate > 0.75
    assert abs(probabilities.mean() - unseen_labels.mean()) < 0.1


def test_a_weighted_path_is_that_of_repeated_rows() -> None:
    matrix, labels = rows(120)
    times = np.where(labels == 1, 3, 1)
    repeated = np.repeat(np.arange(len(labels)), times)
    penalties = np.array([0.1, 0.03])
    weighted = fit_path(matrix, labels, penalties, 0.5, times / times.mean())
    plain = fit_path(matrix[repeated], labels[repeated], penalties, 0.5)
    for (ours, intercept), (theirs, other) in zip(weighted, plain, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=2e-3)
        assert intercept == pytest.approx(other, abs=2e-3)


def test_balanced_weights_count_both_classes_the_same() -> None:
    labels = np.array([1, 0, 0, 0, 0], dtype=np.int8)
    weights = balanced_weights(labels)
    assert weights[labels == 1].sum() == pytest.approx(weights[labels == 0].sum())
    assert weights.mean() == pytest.approx(1)
    assert balanced_weights(labels[1:]).tolist() == [1, 1, 1, 1]
