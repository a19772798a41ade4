"""Learning curves: subsets grow into each other, the end is the study's own result."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from learn_assets.analyses.learning_curve import computation as module
from learn_assets.analyses.learning_curve.computation import (
    curve_sizes,
    draws_of,
    learning_curve,
    mean_auroc,
    nested_subset,
)
from learn_assets.modeling.arrays import IndexVector, Labels
from learn_assets.modeling.cross_validation import (
    CrossValidation,
    cross_validate,
    predict_split,
)
from learn_assets.modeling.features import FeatureBlocks
from learn_assets.modeling.leakage import LeakError
from learn_assets.modeling.pipeline import build_cell
from learn_assets.modeling.protocol import ModelingProtocol
from learn_assets.statistics.discrimination import auroc, delong
from learn_assets.study import ReductionOptions
from learn_assets_tests.modeling.site import SMALL, cell_tables

LINEAR = replace(SMALL, learners=("elastic_net",), feature_sets=("count", "embedding"))


@given(
    seed=st.integers(0, 1000),
    cases=st.integers(2, 40),
    controls=st.integers(2, 200),
    smaller=st.integers(8, 60),
)
def test_subsets_are_nested_stratified_and_hold_two_of_each(
    seed: int, cases: int, controls: int, smaller: int
) -> None:
    labels = np.repeat([1, 0], [cases, controls]).astype(np.int8)
    size = min(smaller, len(labels) - 1)
    larger = min(2 * size, len(labels) - 1)
    order = np.random.default_rng(seed).permutation(len(labels))
    few, many = (set(nested_subset(labels, order, wanted).tolist()) for wanted in (size, larger))
    assert len(few) == size
    assert few <= many
    taken = int(labels[sorted(many)].sum())
    assert taken >= 2
    assert larger - taken >= 2 or size < 4
    assert abs(taken - larger * cases / len(labels)) <= 2


def test_sizes_double_and_large_sets_are_drawn_once() -> None:
    assert curve_sizes(8, 100) == (8, 16, 32, 64)
    assert curve_sizes(8, 64) == (8, 16, 32)
    # 64 of 90 would be much the same as all of them.
    assert curve_sizes(8, 90) == (8, 16, 32)
    assert curve_sizes(8, 8) == ()
    assert [draws_of(size, 100, 3) for size in (8, 33, 34, 51, 64)] == [3, 3, 2, 1, 1]


def test_the_mean_of_draws_has_the_variance_of_patients_and_of_training_sets() -> None:
    random = np.random.default_rng(0)
    labels = np.repeat([1, 0], [30, 70])
    folds = np.arange(100) % 2
    scores = random.normal(size=(3, 100)) + labels
    found = mean_auroc(scores, labels, folds)
    single = [auroc(row, labels, folds=folds).estimate for row in scores]
    assert found.estimate == pytest.approx(np.mean(single))
    covariance = delong(scores, labels, folds).covariance
    variance = np.ones(3) @ covariance @ np.ones(3) / 9 + np.var(single, ddof=1) / 3
    logit = np.log(found.estimate / (1 - found.estimate))
    error = np.sqrt(variance) / (found.estimate * (1 - found.estimate))
    assert found.lower == pytest.approx(1 / (1 + np.exp(-(logit - 1.959964 * error))), abs=1e-6)
    alone = mean_auroc(scores[:1], labels, folds)
    assert alone == pytest.approx(auroc(scores[0], labels, folds=folds))


def test_a_curve_rises_to_the_result_of_the_study_itself() -> None:
    cell = build_cell(cell_tables(labeled=240, signal=3.0), LINEAR)
    blocks = cell.blocks.rows(cell.labeled)
    whole = cross_validate(blocks, cell.labels, LINEAR).frame
    curve = learning_curve(blocks, cell.labels, LINEAR, whole, smallest=8, draws=2)
    models = {*curve.select("feature_set", "learner").iter_rows()}
    assert models == {
        ("age_sex", "elastic_net"),
        ("count", "elastic_net"),
        ("embedding", "elastic_net"),
    }
    sizes = curve.filter(pl.col("feature_set") == "embedding")["training_patients"].to_list()
    assert sizes == [8, 16, 32, 64, 160]
    for (feature_set, learner), points in curve.group_by("feature_set", "learner"):
        own = whole.filter(pl.col("feature_set") == feature_set, pl.col("learner") == learner)
        scores, labels, folds = (own[name].to_numpy() for name in ("probability", "label", "fold"))
        last = points.sort("training_patients")[-1]
        expected = auroc(scores, labels, folds=folds)
        assert last["auroc"].item() == pytest.approx(expected.estimate)
        assert last["upper"].item() == pytest.approx(expected.upper)
    counts = curve.filter(pl.col("feature_set") == "count").sort("training_patients")
    # Eight patients have no count that eleven share, yet their curve starts above nothing.
    assert counts["auroc"][0] != 0.5
    assert counts["auroc"][-1] > counts["auroc"][0] + 0.05


def test_every_point_learns_from_patients_of_the_other_folds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cell = build_cell(cell_tables(signal=2.0), LINEAR)
    blocks, labels = cell.blocks.rows(cell.labeled), cell.labels
    whole = cross_validate(blocks, labels, LINEAR).frame
    held_out_in = dict(whole.select("patient_id", "fold").unique().iter_rows())
    sizes = []

    def watched(
        blocks: FeatureBlocks,
        labels: Labels,
        training: IndexVector,
        held_out: IndexVector,
        protocol: ModelingProtocol,
        *,
        fold: int,
        workers: int,
    ) -> CrossValidation:
        learned, judged = blocks.patient_ids[training], blocks.patient_ids[held_out]
        assert {held_out_in[patient] for patient in judged} == {fold}
        assert fold not in {held_out_in[patient] for patient in learned}
        sizes.append(len(set(learned)))
        return predict_split(
            blocks, labels, training, held_out, protocol, fold=fold, workers=workers
        )

    monkeypatch.setattr(module, "predict_split", watched)
    learning_curve(blocks, labels, LINEAR, whole, smallest=16, draws=2)
    assert sorted(sizes) == [16] * 6 + [32] * 3


def test_a_held_out_patient_among_those_learned_from_is_found_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cell = build_cell(cell_tables(), LINEAR)
    blocks, labels = cell.blocks.rows(cell.labeled), cell.labels
    whole = cross_validate(blocks, labels, LINEAR).frame
    real = module._tasks

    def leaking(*arguments: Any) -> list[Any]:
        first, *others = real(*arguments)
        both = np.append(first.training, first.held_out[0])
        return [replace(first, training=both), *others]

    monkeypatch.setattr(module, "_tasks", leaking)
    with pytest.raises(LeakError, match="both learned from and predicted"):
        learning_curve(blocks, labels, LINEAR, whole, smallest=16, draws=1)


@pytest.mark.parametrize("method", ["pca", "pls"])
def test_few_patients_are_enough_for_a_reduction_of_their_vectors(
    method: Literal["pca", "pls"],
) -> None:
    reduced = replace(LINEAR, reduction=ReductionOptions(method=method, dimensions=4))
    cell = build_cell(cell_tables(), reduced)
    blocks = cell.blocks.rows(cell.labeled)
    whole = cross_validate(blocks, cell.labels, reduced).frame
    curve = learning_curve(blocks, cell.labels, reduced, whole, smallest=8, draws=1)
    sizes = curve.filter(pl.col("feature_set") == "embedding")["training_patients"].to_list()
    assert sizes == [8, 16, 32, 60]


def test_nothing_judged_is_no_curve() -> None:
    cell = build_cell(cell_tables(), LINEAR)
    blocks = cell.blocks.rows(cell.labeled)
    whole = cross_validate(blocks, cell.labels, LINEAR).frame.clear()
    assert learning_curve(blocks, cell.labels, LINEAR, whole, smallest=8, draws=1).is_empty()
