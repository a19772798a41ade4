"""Tuning: the better settings are found, and the labels of the held-out fold decide nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from learn_assets.modeling import tuning as module
from learn_assets.modeling.arrays import weighted_log_loss
from learn_assets.modeling.cross_validation import cross_validate, stratified_folds
from learn_assets.modeling.elastic_net import ElasticNetSettings
from learn_assets.modeling.learners import LearnerSettings, preset_learner
from learn_assets.modeling.pipeline import build_cell
from learn_assets.modeling.preprocessing import preprocess
from learn_assets.modeling.support_vector import SupportVectorSettings
from learn_assets.modeling.tuning import tune
from learn_assets.study import LearnerName, TuningOptions
from learn_assets_tests.defs.made import tiny_study
from learn_assets_tests.modeling.site import SMALL, cell_tables
from learn_assets_tests.modeling.test_learners import LEARNERS, rows

GRID = TuningOptions(method="grid")
OPTUNA = TuningOptions(method="optuna", trials=3)


@pytest.mark.parametrize("options", [GRID, OPTUNA], ids=["grid", "optuna"])
def test_a_hopeless_preset_is_left(options: TuningOptions) -> None:
    matrix, labels = rows(200)
    hopeless = SupportVectorSettings(cost=1e-6)
    found = tune("svm", hopeless, matrix, labels, 1, options)
    assert found.changes["cost"] >= 0.1
    assert found.settings == replace(hopeless, **found.changes)
    again = tune("svm", hopeless, matrix, labels, 1, options)
    assert again == found


def test_the_preset_stays_when_nothing_is_better(monkeypatch: pytest.MonkeyPatch) -> None:
    matrix, labels = rows(120)
    same = {"elastic_net": (module.Choice("mixing", (0.5,)),)}
    monkeypatch.setattr(module, "_SPACES", same)
    preset = ElasticNetSettings()
    for options in (GRID, OPTUNA):
        assert tune("elastic_net", preset, matrix, labels, 1, options).changes == {}


def test_too_few_cases_leave_the_preset() -> None:
    matrix, labels = rows(40)
    labels[:] = 0
    labels[0] = 1
    preset = ElasticNetSettings()
    assert tune("elastic_net", preset, matrix, labels, 1, GRID).settings == preset


@pytest.mark.parametrize("name", LEARNERS)
def test_every_space_names_settings_of_its_learner(name: LearnerName) -> None:
    preset = preset_learner(name, "recommended")
    candidates = list(module._grid(name))
    assert len(candidates) == len({str(candidate) for candidate in candidates}) > 1
    for candidate in candidates:
        assert replace(preset, **candidate) is not None


def chosen_in_folds(labels: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return what tuning chose in each outer fold of a small cell with these labels."""
    protocol = replace(SMALL, feature_sets=("count",), learners=("svm",), tuning=GRID)
    cell = build_cell(cell_tables(signal=2.0), SMALL)
    told: list[str] = []
    real = module.tune

    def record(*arguments: object, **options: object) -> module.Tuned:
        found = real(*arguments, **options)  # type: ignore[arg-type]
        told.append(f"{arguments[0]} {found.changes}")
        return found

    monkeypatch.setattr("learn_assets.modeling.cross_validation.tune", record)
    blocks = cell.blocks.rows(cell.labeled)
    folds = stratified_folds(blocks.patient_ids, cell.labels, SMALL.folds, SMALL.seed)
    monkeypatch.setattr("learn_assets.modeling.cross_validation.stratified_folds", lambda *_: folds)
    cross_validate(blocks, labels, protocol, workers=1)
    return [line for line in told if line.startswith("svm")]


def test_labels_of_the_held_out_fold_do_not_change_what_is_tuned(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cell = build_cell(cell_tables(signal=2.0), SMALL)
    blocks = cell.blocks.rows(cell.labeled)
    folds = stratified_folds(blocks.patient_ids, cell.labels, SMALL.folds, SMALL.seed)
    plain = chosen_in_folds(cell.labels, monkeypatch)
    turned = np.where(folds == 0, 1 - cell.labels, cell.labels).astype(np.int8)
    planted = chosen_in_folds(turned, monkeypatch)
    assert len(plain) == len(planted) == SMALL.folds
    assert plain[0] == planted[0]


def test_losses_of_inner_folds_ignore_the_outer_fold(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every row that tuning of fold 0 sees is a training row of fold 0."""
    cell = build_cell(cell_tables(), SMALL)
    blocks = cell.blocks.rows(cell.labeled)
    folds = stratified_folds(blocks.patient_ids, cell.labels, SMALL.folds, SMALL.seed)
    seen: list[int] = []

    def record(
        name: str, preset: ElasticNetSettings, matrix: np.ndarray, *_: object
    ) -> module.Tuned:
        seen.append(len(matrix))
        return module.Tuned(preset, {})

    monkeypatch.setattr("learn_assets.modeling.cross_validation.tune", record)
    protocol = replace(SMALL, feature_sets=("count",), learners=("elastic_net",), tuning=GRID)
    cross_validate(blocks, cell.labels, protocol, workers=1)
    training = [int((folds != fold).sum()) for fold in range(SMALL.folds)]
    assert sorted(seen) == sorted(training * 2)


def losses_of_the_first_fold(
    labels: np.ndarray, monkeypatch: pytest.MonkeyPatch, *, leaky: bool = False
) -> list[float]:
    """Return every loss that tuning compares in outer fold 0 of a small cell with these labels.

    leaky plants the fault of tuning on all patients before the folds are made.
    """
    cell = build_cell(cell_tables(signal=2.0), SMALL)
    blocks = cell.blocks.rows(cell.labeled)
    folds = stratified_folds(blocks.patient_ids, cell.labels, SMALL.folds, SMALL.seed)
    everyone = preprocess(blocks, SMALL.preprocessing)[0].transform(blocks)
    told: list[list[float]] = []

    def record(name: LearnerName, preset: LearnerSettings, *rest: Any) -> module.Tuned:
        told.append([])
        columns = everyone[:, : rest[0].shape[1]]
        seen = (columns, labels, *rest[2:]) if leaky else rest
        return tune(name, preset, *seen)

    def loss(*arguments: Any) -> float:
        found = weighted_log_loss(*arguments)
        told[-1].append(found)
        return found

    with monkeypatch.context() as patch:
        patch.setattr("learn_assets.modeling.cross_validation.tune", record)
        patch.setattr("learn_assets.modeling.cross_validation.stratified_folds", lambda *_: folds)
        patch.setattr(module, "weighted_log_loss", loss)
        protocol = replace(SMALL, feature_sets=("count",), learners=("svm",), tuning=GRID)
        cross_validate(blocks, labels, protocol, workers=1)
    of_svm = [losses for losses in told if losses][:: len(protocol.grid)]
    return of_svm[0]


def test_no_loss_that_tuning_compares_knows_a_held_out_patient(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cell = build_cell(cell_tables(signal=2.0), SMALL)
    blocks = cell.blocks.rows(cell.labeled)
    folds = stratified_folds(blocks.patient_ids, cell.labels, SMALL.folds, SMALL.seed)
    turned = np.where(folds == 0, 1 - cell.labels, cell.labels).astype(np.int8)
    plain, planted = (
        losses_of_the_first_fold(labels, monkeypatch) for labels in (cell.labels, turned)
    )
    assert len(plain) > 3
    assert plain == planted
    plain, planted = (
        losses_of_the_first_fold(labels, monkeypatch, leaky=True)
        for labels in (cell.labels, turned)
    )
    assert plain != planted


def test_smote_and_tuning_are_refused_together() -> None:
    for models in ({"protocol": "published"}, {"imbalance": "smote"}):
        with pytest.raises(ValidationError, match="inner fold"):
            tiny_study(models={**models, "tuning": {"method": "grid"}})
    assert tiny_study(models={"imbalance": "weights", "tuning": {"method": "grid"}})
