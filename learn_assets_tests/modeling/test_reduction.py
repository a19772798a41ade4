"""Reduction finds planted directions, agrees with the libraries, and learns in the fold only."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.cross_decomposition import PLSRegression
from sklearn.decomposition import PCA

from learn_assets.modeling.arrays import Labels
from learn_assets.modeling.features import EmbeddingBlock
from learn_assets.modeling.kind_encoders import forward
from learn_assets.modeling.preprocessing import PreprocessingOptions, preprocess
from learn_assets.modeling.reduction import partial_least_squares, principal_components
from learn_assets.modeling.representations import RepresentationOptions
from learn_assets.statistics.discrimination import auroc
from learn_assets.study import ReductionOptions
from learn_assets_tests.modeling.site import planted_blocks


def options(method: str, dimensions: int = 4) -> PreprocessingOptions:
    reduction = ReductionOptions.model_validate({"method": method, "dimensions": dimensions})
    return PreprocessingOptions(5, representations=RepresentationOptions(reduction, seed=3))


def one_kind(patients: int = 300) -> tuple[EmbeddingBlock, Labels]:
    blocks, labels = planted_blocks(patients, missing=0.2)
    return blocks.embeddings[0], labels


def test_pls_agrees_with_scikit_learn_and_leaves_unknown_labels_out() -> None:
    block, labels = one_kind()
    labels[::7] = -1
    known = ~block.missing & (labels >= 0)
    oracle = PLSRegression(4, scale=False).fit(block.vectors[known], labels[known])
    expected = oracle.transform(block.vectors[known])
    expected /= expected.std(axis=0)
    layer = partial_least_squares(block, labels, 4)
    scores = forward((layer,), block.vectors[known])
    signs = np.sign((scores * expected).sum(axis=0))
    np.testing.assert_allclose(scores * signs, expected, atol=2e-2)
    np.testing.assert_allclose(scores.std(axis=0), 1, atol=1e-2)


def test_pls_stops_where_nothing_is_left_and_refuses_one_class() -> None:
    vectors = np.repeat(np.eye(2, dtype=np.float32), 20, axis=0)
    block = EmbeddingBlock("diagnosis", vectors, np.zeros(40, dtype=np.bool_))
    labels = np.repeat([0, 1], 20).astype(np.int8)
    assert partial_least_squares(block, labels, 2).weight.shape == (2, 1)
    with pytest.raises(ValueError, match="cases and controls"):
        partial_least_squares(block, np.zeros(40, dtype=np.int8), 2)


def test_principal_components_are_those_of_scikit_learn() -> None:
    block, _ = one_kind()
    present = block.vectors[~block.missing]
    scores = forward((principal_components(block, 3, seed=0),), present)
    expected = PCA(3, svd_solver="full").fit_transform(present)
    for own, oracle in zip(scores.T, expected.T, strict=True):
        assert abs(np.corrcoef(own, oracle)[0, 1]) > 0.99


def test_reduced_vectors_take_the_place_of_the_vectors() -> None:
    blocks, labels = planted_blocks(200, missing=0.2)
    fitted, matrix = preprocess(blocks, options("pca"), labels)
    names = [fitted.columns[number].name for number in fitted.columns_of("embedding")]
    kinds = [kind for kind, _ in blocks.reference.embedding_dimensions]
    assert set(names) == {
        *(f"{kind}|{number}" for kind in kinds for number in range(4)),
        *(f"missing|{kind}" for kind in kinds),
    }
    np.testing.assert_allclose(fitted.transform(blocks), matrix, atol=1e-5)
    # Whoever lacks the kind stands at the mean of those who have it, and is flagged.
    column = [column.name for column in fitted.columns].index(f"{kinds[0]}|0")
    np.testing.assert_allclose(matrix[blocks.embeddings[0].missing, column], 0, atol=1e-4)


def fold_auroc(method: str, *, signal: float, seed: int) -> tuple[float, float]:
    """Return the AUROC of the sum of all components in training and in new patients.

    PLS turns every component towards the cases, so their sum is a score.
    """
    blocks, labels = planted_blocks(400, signal=signal, seed=seed, dimensions=100)
    training, new = np.arange(250), np.arange(250, 400)
    fitted, matrix = preprocess(blocks.rows(training), options(method), labels[training])
    unseen = fitted.transform(blocks.rows(new))
    return (
        auroc(matrix.sum(axis=1), labels[training]).estimate,
        auroc(unseen.sum(axis=1), labels[new]).estimate,
    )


def test_pls_finds_a_planted_direction_that_pca_does_not_see() -> None:
    _, supervised = fold_auroc("pls", signal=1.5, seed=1)
    _, unsupervised = fold_auroc("pca", signal=1.5, seed=1)
    assert supervised > 0.75
    assert max(unsupervised, 1 - unsupervised) < supervised - 0.1


def test_codes_to_train_on_do_not_know_the_label_they_predict() -> None:
    """With nothing planted, PLS of 250 patients by 100 columns would separate them in training."""
    trained, unseen = np.mean([fold_auroc("pls", signal=0.0, seed=seed) for seed in range(4)], 0)
    assert abs(trained - 0.5) < 0.1
    assert abs(unseen - 0.5) < 0.1
    blocks, labels = planted_blocks(250, signal=0.0, dimensions=100)
    layer = partial_least_squares(blocks.embeddings[0], labels, 4)
    naive = forward((layer,), blocks.embeddings[0].vectors).sum(axis=1)
    assert auroc(naive, labels).estimate > 0.75


def test_a_label_that_is_needed_and_not_given_is_named() -> None:
    blocks, _ = planted_blocks(60)
    with pytest.raises(ValueError, match="pls"):
        preprocess(blocks, options("pls"))
