"""Learned representations recover what was planted, learn in the fold only, and travel."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.special import logit

from learn_assets.analyses.transfer.computation import transfer_predictions
from learn_assets.modeling import cross_validation as module
from learn_assets.modeling.arrays import FloatMatrix, Labels
from learn_assets.modeling.autoencoder import fit_autoencoder
from learn_assets.modeling.bundle import Provenance, read_bundle, score, write_bundle
from learn_assets.modeling.contrastive import contrastive_loss
from learn_assets.modeling.cross_validation import cross_validate
from learn_assets.modeling.elastic_net import ElasticNetSettings
from learn_assets.modeling.features import (
    REPRESENTATIONS,
    EmbeddingBlock,
    FeatureBlocks,
    RepresentationName,
)
from learn_assets.modeling.kind_encoders import forward
from learn_assets.modeling.network_training import TrainingSettings, scaling_of
from learn_assets.modeling.pipeline import build_cell, train_cell
from learn_assets.modeling.preprocessing import (
    FittedPreprocessing,
    PreprocessingOptions,
    preprocess,
)
from learn_assets.modeling.protocol import ModelingProtocol
from learn_assets.modeling.representations import RepresentationOptions
from learn_assets.modeling.time_to_event import (
    Population,
    _labels_by,
    cross_validate_time_to_event,
)
from learn_assets.statistics.discrimination import auroc
from learn_assets.statistics.survival_curves import CENSORED, DEATH, EVENT, FollowUp
from learn_assets.study import ModelingOptions, ReductionOptions
from learn_assets_tests.defs.made import tiny_study
from learn_assets_tests.modeling.site import ENCODER, SMALL, cell_tables, planted_blocks

QUICK = TrainingSettings(epochs=8)
LEARNED: ModelingProtocol = replace(
    SMALL,
    feature_sets=("embedding", *REPRESENTATIONS, "learn_without_medication"),
    learners=("elastic_net",),
    code_dimensions=4,
)


def options(
    *names: RepresentationName, dimensions: int = 8, training: TrainingSettings | None = None
) -> PreprocessingOptions:
    return PreprocessingOptions(
        5,
        representations=RepresentationOptions(
            learned=names, dimensions=dimensions, seed=3, training=training or TrainingSettings()
        ),
    )


def test_the_loss_is_the_published_sum_over_pairs() -> None:
    torch = pytest.importorskip("torch")
    generator = np.random.default_rng(0)
    views = generator.normal(size=(9, 4)).astype(np.float32)
    groups = np.array([0, 0, 1, 1, 1, 2, 3, 3, 0])
    weights = generator.uniform(0.5, 2, 9).astype(np.float32)
    unit = views / np.linalg.norm(views, axis=1, keepdims=True)
    similarity = unit @ unit.T / 0.3
    total = mass = 0.0
    for i in range(9):
        positives = [p for p in range(9) if p != i and groups[p] == groups[i]]
        if not positives:
            continue
        everyone = sum(np.exp(similarity[i, a]) for a in range(9) if a != i)
        asked = np.mean([np.log(np.exp(similarity[i, p]) / everyone) for p in positives])
        total -= weights[i] * asked
        mass += weights[i]
    tensors = [torch.from_numpy(array) for array in (views, groups, weights)]
    assert float(contrastive_loss(*tensors, 0.3)) == pytest.approx(total / mass, rel=1e-5)
    alone = contrastive_loss(tensors[0], torch.arange(9), tensors[2], 0.3)
    assert alone is None


def test_codes_of_an_autoencoder_tell_new_vectors_better_than_their_mean() -> None:
    blocks, _ = planted_blocks(500, missing=0.2)
    block = blocks.embeddings[0]
    known = EmbeddingBlock(block.kind, block.vectors[:350], block.missing[:350])
    encoder = fit_autoencoder(known, 4, TrainingSettings(), 0)
    old, new = known.vectors[~known.missing], block.vectors[350:][~block.missing[350:]]
    codes = [np.c_[forward(encoder, part), np.ones(len(part))] for part in (old, new)]
    decoder = np.linalg.lstsq(codes[0], old, rcond=None)[0]
    left = ((new - codes[1] @ decoder) ** 2).mean()
    assert left < 0.5 * ((new - scaling_of(known).center) ** 2).mean()


def nearest_center(codes: FloatMatrix, known: Labels, new: FloatMatrix, truth: Labels) -> float:
    """Return the AUROC, in new patients, of being nearer to the center of the cases."""
    cases, controls = codes[known == 1].mean(axis=0), codes[known == 0].mean(axis=0)
    distance = ((new - controls) ** 2).sum(axis=1) - ((new - cases) ** 2).sum(axis=1)
    return auroc(distance, truth).estimate


def test_supervised_views_separate_planted_classes_better_than_vectors() -> None:
    blocks, labels = planted_blocks(500, signal=1.0, missing=0.1)
    training, new = np.arange(350), np.arange(350, 500)
    fitted, matrix = preprocess(
        blocks.rows(training), options("contrastive_supervised"), labels[training]
    )
    unseen = fitted.transform(blocks.rows(new))
    own = [n for n, column in enumerate(fitted.columns) if column.block == "contrastive_supervised"]
    found = nearest_center(matrix[:, own], labels[training], unseen[:, own], labels[new])
    raw = np.hstack([block.vectors for block in blocks.embeddings])
    plain = nearest_center(raw[training], labels[training], raw[new], labels[new])
    assert found > plain + 0.05


def test_self_supervised_views_of_one_patient_lie_close_together() -> None:
    blocks, labels = planted_blocks(300)
    fitted, _ = preprocess(blocks.rows(np.arange(200)), options("contrastive_self"), labels[:200])
    new = fitted.representations[0].codes(blocks.rows(np.arange(200, 300)))
    codes = [code - code.mean(axis=0) for code in new[:2]]
    one, other = (code / np.linalg.norm(code, axis=1, keepdims=True) for code in codes)
    similarity = one @ other.T
    own = np.diag(similarity)
    others = similarity[~np.eye(100, dtype=np.bool_)]
    assert own.mean() > others.mean() + 2 * others.std() / np.sqrt(10)
    raw = [block.vectors[200:300] for block in blocks.embeddings[:2]]
    rank = (similarity > own[:, None]).mean()
    plain = raw[0] @ raw[1].T
    assert rank < (plain > np.diag(plain)[:, None]).mean()


@pytest.mark.parametrize("name", REPRESENTATIONS)
def test_equal_seed_and_patients_give_equal_bytes(name: RepresentationName) -> None:
    blocks, labels = planted_blocks(120, missing=0.2)
    runs = [preprocess(blocks, options(name, training=QUICK), labels) for _ in range(2)]
    np.testing.assert_array_equal(runs[0][1], runs[1][1])
    first, second = (run[0].representations[0].arrays() for run in runs)
    assert all((first[key] == second[key]).all() for key in first)


def test_a_missing_kind_is_flagged_and_stands_at_the_mean() -> None:
    blocks, labels = planted_blocks(150, missing=0.3)
    fitted, matrix = preprocess(blocks, options(*REPRESENTATIONS, training=QUICK), labels)
    assert np.isfinite(matrix).all()
    assert len(matrix) == 150
    names = [(column.block, column.name) for column in fitted.columns]
    for block in blocks.embeddings:
        flag = matrix[:, names.index(("missing_kinds", f"missing|{block.kind}"))] > 0
        np.testing.assert_array_equal(flag, block.missing)
        for name in ("autoencoder", "contrastive_self"):
            code = matrix[:, names.index((name, f"{block.kind}|0"))]
            np.testing.assert_allclose(code[block.missing], 0, atol=1e-3)
    for name in REPRESENTATIONS:
        flags = {fitted.columns[n].name for n in fitted.columns_of(name)}
        assert {f"missing|{block.kind}" for block in blocks.embeddings} < flags


def test_one_kind_has_no_views_and_leaves_the_feature_set_out() -> None:
    blocks, labels = planted_blocks(80, kinds=("diagnosis",), missing=0.3)
    protocol = replace(LEARNED, feature_sets=("autoencoder", "contrastive_self"), folds=2)
    result = cross_validate(blocks, labels, protocol)
    assert "autoencoder" in result.frame["feature_set"].unique()
    assert "contrastive_self" not in result.frame["feature_set"].unique()
    assert any("contrastive_self" in warning for warning in result.warnings)


SUPERVISED = replace(
    LEARNED,
    feature_sets=("contrastive_supervised", "embedding"),
    reduction=ReductionOptions(method="pls", dimensions=3),
)
FOLD = module._Split(0, np.arange(60), np.arange(60, 90))


def fold_probabilities(blocks: FeatureBlocks, labels: Labels) -> list[float]:
    frames, _ = module._run_fold(blocks, labels, FOLD, SUPERVISED, 1)
    return [value for frame in frames for value in frame["probability"].to_list()]


def disturbed(blocks: FeatureBlocks, held_out: np.ndarray) -> FeatureBlocks:
    """Return blocks in which the vectors of these patients are others."""
    changed = []
    for block in blocks.embeddings:
        vectors = block.vectors.copy()
        vectors[held_out] = np.random.default_rng(9).normal(size=vectors[held_out].shape) * 5
        changed.append(replace(block, vectors=vectors))
    return replace(blocks, embeddings=tuple(changed))


def test_labels_of_held_out_patients_change_no_prediction_of_their_fold() -> None:
    blocks, labels = planted_blocks(90, missing=0.1)
    turned = labels.copy()
    turned[FOLD.held_out] = 1 - turned[FOLD.held_out]
    assert fold_probabilities(blocks, turned) == fold_probabilities(blocks, labels)


def leak(monkeypatch: pytest.MonkeyPatch, blocks: FeatureBlocks, labels: Labels) -> None:
    """Plant the violation: representations fitted to everyone, held-out labels and all."""

    def leaky(
        training: FeatureBlocks, options: PreprocessingOptions, known: Labels
    ) -> tuple[FittedPreprocessing, FloatMatrix]:
        del known
        fitted, _ = preprocess(blocks, options, labels)
        return fitted, fitted.transform(training)

    monkeypatch.setattr(module, "preprocess", leaky)


def test_representations_fitted_with_held_out_labels_are_found_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    blocks, labels = planted_blocks(90, missing=0.1)
    turned = labels.copy()
    turned[FOLD.held_out] = 1 - turned[FOLD.held_out]
    leak(monkeypatch, blocks, labels)
    plain = fold_probabilities(blocks, labels)
    leak(monkeypatch, blocks, turned)
    assert fold_probabilities(blocks, turned) != plain


def fitted_arrays(blocks: FeatureBlocks, labels: Labels) -> dict[str, np.ndarray]:
    training = blocks.rows(FOLD.training)
    chosen = options(*REPRESENTATIONS, training=QUICK)
    fitted, matrix = preprocess(training, chosen, labels[FOLD.training])
    arrays = {"matrix": matrix, "center": fitted.center, "scale": fitted.scale}
    for item in fitted.representations:
        arrays |= item.arrays()
    return arrays


def test_vectors_of_held_out_patients_leave_the_representation_as_it_was() -> None:
    blocks, labels = planted_blocks(90, missing=0.1)
    plain = fitted_arrays(blocks, labels)
    other = fitted_arrays(disturbed(blocks, FOLD.held_out), labels)
    assert all(np.array_equal(plain[name], other[name]) for name in plain)
    moved = fitted_arrays(disturbed(blocks, FOLD.training[:5]), labels)
    assert any(not np.array_equal(plain[name], moved[name]) for name in plain)


def test_a_learner_is_surer_of_codes_that_saw_the_labels() -> None:
    """What cross-fitting keeps away: log odds of new patients spread far beyond what is known."""
    blocks, labels = planted_blocks(600, signal=0.5, dimensions=100, missing=0.2)
    training, new = blocks.rows(np.arange(400)), blocks.rows(np.arange(400, 600))
    chosen = options("contrastive_supervised", dimensions=32)
    fitted, crossed = preprocess(training, chosen, labels[:400])
    columns = fitted.columns_of("contrastive_supervised")
    spread = {}
    for name, matrix in (("crossed", crossed), ("naive", fitted.transform(training))):
        model = ElasticNetSettings().fit(matrix[:, columns], labels[:400], 0)
        risk = model.predict_probability(fitted.transform(new)[:, columns])
        spread[name] = float(np.std(logit(np.clip(risk, 1e-6, 1 - 1e-6))))
    assert spread["naive"] > 2 * spread["crossed"]


@pytest.mark.parametrize("method", ["none", "pls"])
def test_a_bundle_scores_as_the_models_in_memory(method: str, tmp_path: Path) -> None:
    reduction = ReductionOptions.model_validate({"method": method, "dimensions": 3})
    protocol = replace(LEARNED, reduction=reduction)
    cell = build_cell(cell_tables(), protocol)
    provenance = Provenance("made_up", "LIS-730_BP-180_FUP-1825", ENCODER)
    trained = train_cell(cell, protocol, provenance)
    assert {item.feature_set for item in trained.models} == {"age_sex", *protocol.feature_sets}
    write_bundle(trained, tmp_path / "bundle", scope="transfer")
    loaded = read_bundle(tmp_path / "bundle")
    assert score(loaded, cell.blocks).equals(score(trained, cell.blocks))
    # A site without medications still scores: the kind is missing for everyone there.
    elsewhere = build_cell(cell_tables(seed=1), replace(protocol, include_medication=False))
    scores = score(loaded, elsewhere.blocks)
    assert scores["probability"].is_between(0, 1).all()
    assert scores.height == len(elsewhere.blocks) * len(trained.models)


def test_an_unknown_outcome_is_no_label() -> None:
    follow_up = FollowUp(
        np.array([10.0, 10.0, 10.0, 400.0, 400.0, 365.0]),
        np.array([EVENT, DEATH, CENSORED, EVENT, CENSORED, EVENT]),
    )
    assert _labels_by(follow_up, 365.0).tolist() == [1, 0, -1, 0, 0, 1]
    blocks, labels = planted_blocks(120)
    labels[::3] = -1
    _, matrix = preprocess(blocks, options("contrastive_supervised", training=QUICK), labels)
    assert np.isfinite(matrix).all()
    assert len(matrix) == 120


def test_memory_of_training_does_not_grow_with_the_patients() -> None:
    generator = np.random.default_rng(0)
    vectors = generator.normal(size=(30_000, 64)).astype(np.float32)
    block = EmbeddingBlock("diagnosis", vectors, np.zeros(len(vectors), dtype=np.bool_))
    fit_autoencoder(block, 4, TrainingSettings(epochs=0), 0)
    tracemalloc.start()
    fit_autoencoder(block, 4, TrainingSettings(epochs=1, patience=1, hidden=8), 0)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 0.5 * vectors.nbytes


def test_time_to_event_learns_supervised_codes_and_leaves_fusion_out() -> None:
    blocks, labels = planted_blocks(120, signal=2.0, dimensions=10)
    days = np.where(labels == 1, 300.0, np.where(np.arange(120) % 4, 2000.0, 100.0))
    follow_up = FollowUp(days, np.where(labels == 1, EVENT, CENSORED).astype(np.int64))
    folds = np.arange(120, dtype=np.int64) % 2
    protocol = replace(LEARNED, feature_sets=("contrastive_supervised", "stacking"), folds=2)
    result = cross_validate_time_to_event(
        blocks, Population(blocks.patient_ids, follow_up, folds), protocol, ("cox",), horizon=1000.0
    )
    assert result.frame["feature_set"].unique().to_list() == ["contrastive_supervised"]
    assert any("stacking" in warning for warning in result.warnings)
    # What happened to held-out patients later changes nothing of their own risk.
    ended = np.where(folds == 0, EVENT, follow_up.status).astype(np.int64)
    other = cross_validate_time_to_event(
        blocks,
        Population(blocks.patient_ids, FollowUp(days, ended), folds),
        protocol,
        ("cox",),
        horizon=1000.0,
    )
    first, second = (item.frame.filter(fold=0)["probability"] for item in (result, other))
    assert first.equals(second)


def test_a_study_asks_for_what_its_feature_sets_need() -> None:
    models = ModelingOptions.model_validate(
        {
            "feature_sets": ["count", "contrastive_self", "stacking"],
            "reduction": {"method": "pls", "dimensions": 8},
            "code_dimensions": 16,
        }
    )
    wanted = ModelingProtocol.from_study(tiny_study(models=models.model_dump(mode="json")))
    asked = wanted.preprocessing.representations
    assert asked.learned == ("contrastive_self",)
    assert (asked.reduction.method, asked.reduction.dimensions, asked.dimensions) == ("pls", 8, 16)


def test_a_refit_at_another_site_learns_the_same_representations() -> None:
    protocol = replace(
        LEARNED,
        feature_sets=("embedding", "stacking"),
        reduction=ReductionOptions(method="pls", dimensions=2),
    )
    models = {"reduction": {"method": "pls", "dimensions": 2}, "protocol": "recommended"}
    origin = Provenance("there", "LIS-730_BP-180_FUP-1825", ENCODER, {"models": models})
    foreign = train_cell(build_cell(cell_tables(seed=1), protocol), protocol, origin)
    plain = replace(protocol, reduction=ReductionOptions())
    here = build_cell(cell_tables(seed=2), plain)
    own = cross_validate(here.blocks.rows(here.labeled), here.labels, plain).frame
    transfer = transfer_predictions(foreign, here, plain, own)
    refitted = transfer.predictions.filter(mode="refitted", feature_set="embedding")
    again = cross_validate(here.blocks.rows(here.labeled), here.labels, protocol).frame
    expected = again.filter(feature_set="embedding").sort("patient_id")["probability"]
    assert refitted.sort("patient_id")["probability"].equals(expected)
