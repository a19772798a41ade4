"""Cross-validation: held-out patients teach nothing, runs repeat, small cohorts are told apart."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from learn_assets.modeling import cross_validation as module
from learn_assets.modeling.arrays import Labels
from learn_assets.modeling.cross_validation import (
    cross_validate,
    stratified_folds,
)
from learn_assets.modeling.features import DuplicatePatientError, FeatureBlocks
from learn_assets.modeling.leakage import LeakError
from learn_assets.modeling.pipeline import build_cell
from learn_assets.schemas.registry import empty_frame
from learn_assets.statistics.discrimination import auroc
from learn_assets.study import LearnerName
from learn_assets_tests.modeling.site import SMALL, cell_tables, fit_preprocessing_on_everyone

LINEAR = replace(SMALL, learners=("elastic_net",))


def labeled(signal: float = 1.0) -> tuple[FeatureBlocks, Labels]:
    cell = build_cell(cell_tables(signal=signal), SMALL)
    return cell.blocks.rows(cell.labeled), cell.labels


@given(seed=st.integers(0, 1000), folds=st.integers(2, 6), cases=st.integers(6, 30))
def test_folds_are_stratified_and_do_not_depend_on_row_order(
    seed: int, folds: int, cases: int
) -> None:
    labels = np.repeat([1, 0], [cases, 40]).astype(np.int8)
    ids = np.array([f"P{number:03d}" for number in range(len(labels))])
    assigned = stratified_folds(ids, labels, folds, seed)
    per_fold = [int(labels[assigned == fold].sum()) for fold in range(folds)]
    assert max(per_fold) - min(per_fold) <= 1
    order = np.random.default_rng(seed).permutation(len(ids))
    np.testing.assert_array_equal(
        stratified_folds(ids[order], labels[order], folds, seed), assigned[order]
    )


def test_a_repeated_patient_gets_no_folds() -> None:
    ids = np.array(["a", "b", "a", "c"])
    with pytest.raises(DuplicatePatientError, match="1 of 4"):
        stratified_folds(ids, np.array([0, 1, 0, 1], dtype=np.int8), 2, 0)


def test_every_patient_is_held_out_once_by_every_model() -> None:
    blocks, labels = labeled()
    result = cross_validate(blocks, labels, SMALL)
    assert result.warnings == ()
    assert result.frame.schema == empty_frame("cross_validation").schema
    models = result.frame.group_by("feature_set", "learner").agg(
        pl.len(), pl.col("patient_id").n_unique().alias("patients")
    )
    assert set(models.select("feature_set", "learner").iter_rows()) == {
        ("age_sex", "elastic_net"),
        *((name, learner) for name in SMALL.feature_sets for learner in SMALL.learners),
    }
    assert models["len"].unique().to_list() == [len(blocks)]
    assert models["patients"].unique().to_list() == [len(blocks)]
    truth = dict(zip(blocks.patient_ids.tolist(), labels.tolist(), strict=True))
    assert all(truth[row[0]] == row[1] for row in result.frame.select("patient_id", "label").rows())
    assert result.frame["fold"].n_unique() == SMALL.folds


def test_cases_get_the_higher_probabilities() -> None:
    result = cross_validate(*labeled(signal=3.0), LINEAR)
    learn = result.frame.filter(pl.col("feature_set") == "learn")
    assert auroc(learn["probability"].to_numpy(), learn["label"].to_numpy()).estimate > 0.7


@pytest.mark.slow
def test_two_runs_with_one_seed_are_identical() -> None:
    learners: tuple[LearnerName, ...] = ("svm", "random_forest", "xgboost", "mlp", "elastic_net")
    protocol = replace(SMALL, learners=learners, feature_sets=("learn",), folds=2)
    blocks, labels = labeled()
    first = cross_validate(blocks, labels, protocol, workers=1)
    second = cross_validate(blocks, labels, protocol, workers=3)
    assert first.frame.equals(second.frame)


def probe_moves(blocks: FeatureBlocks, labels: Labels) -> bool:
    """Return whether changing others of its fold moves a held-out patient's probability."""
    folds = stratified_folds(blocks.patient_ids, labels, LINEAR.folds, LINEAR.seed)
    probe, *others = np.flatnonzero(folds == 0)
    changed = blocks.demographics.copy()
    changed[others, 0] *= 50
    counts = blocks.counts.tolil()
    counts[others, :] = 40
    vectors = [replace(block, vectors=block.vectors.copy()) for block in blocks.embeddings]
    for block in vectors:
        block.vectors[others] = 9
    disturbed = replace(
        blocks, demographics=changed, counts=counts.tocsr(), embeddings=tuple(vectors)
    )
    mine = pl.col("patient_id") == str(blocks.patient_ids[probe])
    plain = cross_validate(blocks, labels, LINEAR).frame.filter(mine)
    moved = cross_validate(disturbed, labels, LINEAR).frame.filter(mine)
    return not np.array_equal(plain["probability"], moved["probability"])


def test_held_out_patients_teach_nothing() -> None:
    assert not probe_moves(*labeled())


def test_a_scaler_fitted_on_everyone_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The planted leak of the research code: the test above must notice it."""
    blocks, labels = labeled()
    fit_preprocessing_on_everyone(monkeypatch)
    assert probe_moves(blocks, labels)


def test_overlapping_folds_stop_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def overlapping(folds: np.ndarray) -> list[object]:
        everyone = np.arange(len(folds))
        return [module._Split(0, everyone, everyone[:5])]

    monkeypatch.setattr(module, "_splits", overlapping)
    with pytest.raises(LeakError, match="5 patients"):
        cross_validate(*labeled(), LINEAR)


@pytest.mark.parametrize(("cases", "controls"), [(0, 0), (2, 50), (50, 2), (0, 30)])
def test_too_few_patients_give_an_empty_table_and_a_reason(cases: int, controls: int) -> None:
    blocks, _ = labeled()
    chosen = blocks.rows(np.arange(cases + controls))
    labels = np.repeat([1, 0], [cases, controls]).astype(np.int8)
    result = cross_validate(chosen, labels, LINEAR)
    assert result.frame.is_empty()
    assert result.frame.schema == empty_frame("cross_validation").schema
    assert len(result.warnings) == 1


def test_as_many_cases_as_folds_is_enough() -> None:
    blocks, _ = labeled()
    labels = np.zeros(len(blocks), dtype=np.int8)
    labels[:3] = 1
    assert cross_validate(blocks, labels, LINEAR).frame.height > 0


def test_a_feature_set_without_columns_is_left_out_with_a_warning() -> None:
    blocks, labels = labeled()
    reference = replace(blocks.reference, embedding_dimensions=())
    result = cross_validate(blocks.aligned(reference), labels, LINEAR)
    assert "embedding" not in result.frame["feature_set"].unique()
    assert any("embedding" in warning for warning in result.warnings)


def test_published_protocol_runs_with_oversampling() -> None:
    protocol = replace(SMALL, name="published", learners=("svm", "elastic_net"))
    result = cross_validate(*labeled(), protocol)
    # SMOTE makes both classes equal, so the mean prediction is pulled towards one half.
    share = result.frame["label"].mean()
    probability = result.frame.filter(pl.col("learner") == "elastic_net")["probability"].mean()
    assert isinstance(share, float)
    assert isinstance(probability, float)
    assert probability > share + 0.05


@pytest.mark.slow
@pytest.mark.parametrize("learner", ["elastic_net", "svm", "random_forest", "xgboost", "mlp"])
def test_permuted_labels_of_few_cases_have_an_area_of_one_half(learner: LearnerName) -> None:
    """Twelve cases in five folds, where pairs of different folds would pull the area below 0.5."""
    protocol = replace(SMALL, folds=5, learners=(learner,), feature_sets=("embedding",))
    areas = []
    for seed in range(8):
        cell = build_cell(cell_tables(labeled=100, seed=seed), protocol)
        labels = np.zeros(100, dtype=np.int8)
        labels[np.random.default_rng(seed).choice(100, 12, replace=False)] = 1
        blocks = cell.blocks.rows(cell.labeled)
        frame = cross_validate(blocks, labels, replace(protocol, seed=seed)).frame
        model = frame.filter(pl.col("feature_set") == "embedding")
        scores, truth, folds = (model[name].to_numpy() for name in ("probability", "label", "fold"))
        areas.append(auroc(scores, truth, folds=folds).estimate)
    assert abs(np.mean(areas) - 0.5) < 2.5 * np.std(areas) / np.sqrt(len(areas))
