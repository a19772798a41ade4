"""Treatments of rare cases: same folds, paired differences, and what SMOTE costs in calibration."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from learn_assets.analyses.imbalance import computation as module
from learn_assets.analyses.imbalance.computation import (
    TREATMENTS,
    imbalance_sensitivity,
    treated_predictions,
)
from learn_assets.modeling.arrays import Labels
from learn_assets.modeling.cross_validation import CrossValidation, cross_validate
from learn_assets.modeling.features import FeatureBlocks
from learn_assets.modeling.pipeline import build_cell
from learn_assets.modeling.protocol import ModelingProtocol
from learn_assets.schemas.registry import empty_frame
from learn_assets.statistics.paired import auroc_difference
from learn_assets.study import Imbalance, TuningOptions
from learn_assets_tests.modeling.site import SMALL, cell_tables

LINEAR = replace(SMALL, learners=("elastic_net",), feature_sets=("count",))


@pytest.fixture(scope="module")
def site() -> tuple[FeatureBlocks, Labels, pl.DataFrame]:
    cell = build_cell(cell_tables(labeled=240, signal=2.0), LINEAR)
    cases = np.flatnonzero(cell.labels == 1)
    # One case in eight or so, as after a rare outcome.
    kept = np.sort(np.append(np.flatnonzero(cell.labels == 0), cases[:25]))
    blocks = cell.blocks.rows(cell.labeled[kept])
    labels = cell.labels[kept]
    return blocks, labels, cross_validate(blocks, labels, LINEAR).frame


@pytest.fixture(scope="module")
def predictions(
    site: tuple[FeatureBlocks, Labels, pl.DataFrame],
) -> dict[Imbalance, pl.DataFrame]:
    blocks, labels, own = site
    return treated_predictions(blocks, labels, LINEAR, own)


def test_every_treatment_keeps_patients_and_folds(
    predictions: dict[Imbalance, pl.DataFrame],
) -> None:
    assert tuple(predictions) == TREATMENTS
    keys = ["feature_set", "learner", "patient_id", "fold", "label"]
    first = predictions["none"].select(keys).sort(keys)
    assert all(frame.select(keys).sort(keys).equals(first) for frame in predictions.values())


def test_smote_and_weights_rank_alike_and_smote_costs_calibration(
    predictions: dict[Imbalance, pl.DataFrame],
) -> None:
    table = imbalance_sensitivity(predictions, minimum_cell=5, resamples=20)
    assert table.schema == empty_frame("imbalance_sensitivity").schema
    counts = table.filter(pl.col("feature_set") == "count")
    found = {
        (treatment, metric): value
        for treatment, metric, value in counts.select("imbalance", "metric", "estimate").iter_rows()
    }
    assert abs(found["none", "calibration_intercept"]) < 0.4
    # Half of everyone a case: predictions are far too high.
    assert found["smote", "calibration_intercept"] < -0.8
    assert abs(found["weights", "calibration_intercept"]) < 0.4
    assert found["smote", "brier_minus_none"] > 0
    assert found["smote", "brier"] - found["none", "brier"] == pytest.approx(
        found["smote", "brier_minus_none"]
    )
    assert ("none", "auroc_minus_none") not in found


def test_differences_are_paired_on_patients(predictions: dict[Imbalance, pl.DataFrame]) -> None:
    shuffled = {
        name: frame.sample(fraction=1.0, shuffle=True, seed=3)
        for name, frame in predictions.items()
    }
    table = imbalance_sensitivity(shuffled, minimum_cell=5, resamples=20)
    row = table.filter(
        pl.col("imbalance") == "weights",
        pl.col("feature_set") == "count",
        pl.col("metric") == "auroc_minus_none",
    )
    first, second = (
        frame.filter(pl.col("feature_set") == "count").sort("patient_id")
        for frame in (predictions["weights"], predictions["none"])
    )
    expected = auroc_difference(
        *(frame["probability"].to_numpy() for frame in (first, second)),
        first["label"].to_numpy(),
        first["fold"].to_numpy(),
    )
    assert row["estimate"].item() == pytest.approx(expected.estimate)
    assert row["lower"].item() == pytest.approx(expected.lower)


@pytest.mark.parametrize("own_treatment", ["none", "smote"])
def test_the_studys_own_treatment_is_not_fitted_again_and_smote_is_not_tuned(
    site: tuple[FeatureBlocks, Labels, pl.DataFrame],
    monkeypatch: pytest.MonkeyPatch,
    own_treatment: Imbalance,
) -> None:
    blocks, labels, own = site
    asked: list[ModelingProtocol] = []

    def remembered(
        blocks: FeatureBlocks, labels: Labels, protocol: ModelingProtocol, *, workers: int | None
    ) -> CrossValidation:
        asked.append(protocol)
        return CrossValidation(own)

    monkeypatch.setattr(module, "cross_validate", remembered)
    tuned = replace(LINEAR, imbalance=own_treatment, tuning=TuningOptions(method="grid"))
    treated_predictions(blocks, labels, tuned, own)
    treatments = [protocol.treatment_of_imbalance for protocol in asked]
    assert treatments == [name for name in TREATMENTS if name != own_treatment]
    methods = {item.treatment_of_imbalance: item.tuning.method for item in asked}
    assert methods == {name: "none" if name == "smote" else "grid" for name in treatments}


def test_nothing_judged_is_no_table(site: tuple[FeatureBlocks, Labels, pl.DataFrame]) -> None:
    blocks, labels, own = site
    assert treated_predictions(blocks, labels, LINEAR, own.clear()) == {}
    assert imbalance_sensitivity({}, minimum_cell=5).is_empty()
