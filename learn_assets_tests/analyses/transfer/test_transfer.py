"""Transfer between two made-up sites: what was planted is lost, and no label leaks into a mode."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from scipy.special import expit, logit

from learn_assets.analyses.transfer.computation import (
    Transfer,
    external_validation,
    transfer_predictions,
)
from learn_assets.analyses.transfer.site_differences import site_differences
from learn_assets.modeling.bundle import Provenance, TrainedModels
from learn_assets.modeling.pipeline import (
    Cell,
    CellTables,
    build_cell,
    cross_validate_cell,
    train_cell,
)
from learn_assets.schemas.registry import empty_frame
from learn_assets_tests.modeling.site import ENCODER, SMALL, cell_tables

PROTOCOL = replace(SMALL, learners=("elastic_net",), folds=4)
RECALIBRATED = ("recalibrated_intercept", "recalibrated_slope")
ORIGIN = Provenance("there", "LIS-1_BP-0_FUP-9", ENCODER, {"models": {"protocol": "recommended"}})


def without_laboratory(tables: CellTables) -> CellTables:
    """Return a site whose risk stands in codes and texts alone."""
    return replace(tables, latest_measurement=tables.latest_measurement.clear())


def other_codes(tables: CellTables) -> CellTables:
    """Return the same patients as a site that writes other codes for what carries the risk."""
    renamed = tables.event_counts.with_columns(pl.col("feature").str.replace(r"\|A", "|B"))
    return replace(tables, event_counts=renamed)


@pytest.fixture(scope="module")
def here() -> Cell:
    return build_cell(
        other_codes(without_laboratory(cell_tables(600, 10, seed=5, signal=2.0))), PROTOCOL
    )


@pytest.fixture(scope="module")
def own(here: Cell) -> pl.DataFrame:
    return cross_validate_cell(here, PROTOCOL).frame


@pytest.fixture(scope="module")
def foreign() -> TrainedModels:
    tables = without_laboratory(cell_tables(600, 10, seed=1, signal=2.0))
    there = build_cell(tables, PROTOCOL)
    return train_cell(there, PROTOCOL, ORIGIN)


@pytest.fixture(scope="module")
def transfer(foreign: TrainedModels, here: Cell, own: pl.DataFrame) -> Transfer:
    return transfer_predictions(foreign, here, PROTOCOL, own)


def numbers(frame: pl.DataFrame, mode: str, feature_set: str, metric: str) -> dict[str, float]:
    rows = frame.filter(mode=mode, feature_set=feature_set, metric=metric)
    assert rows.height == 1
    return rows.row(0, named=True)


def test_unknown_codes_cost_counts_what_vectors_keep(transfer: Transfer) -> None:
    found = external_validation("there", transfer, minimum_cell=5, resamples=50)
    assert found.frame.schema == empty_frame("external_validation").schema
    lost = numbers(found.frame, "as_is", "count", "auroc_minus_own")
    assert lost["upper"] < 0
    kept = numbers(found.frame, "as_is", "embedding", "auroc_minus_own")
    assert kept["lower"] > -0.02
    assert kept["lower"] > lost["upper"]


def test_every_mode_predicts_the_same_patients_in_the_same_folds(
    transfer: Transfer, own: pl.DataFrame
) -> None:
    model = pl.col("feature_set") == "learn"
    wanted = own.filter(model).select("patient_id", "fold", "label").sort("patient_id")
    modes = transfer.predictions.filter(model).partition_by("mode", as_dict=True)
    assert {mode for (mode,) in modes} == {
        *("own", "as_is", "recalibrated_intercept", "recalibrated_slope", "refitted")
    }
    for frame in modes.values():
        assert frame.select("patient_id", "fold", "label").sort("patient_id").equals(wanted)


def miscalibrated(labels: np.ndarray, folds: np.ndarray, seed: int = 2) -> pl.DataFrame:
    """Return predictions whose log odds are 2 too high and twice too steep."""
    generator = np.random.default_rng(seed)
    risk = generator.normal(size=len(labels)) + labels
    return pl.DataFrame(
        {
            "patient_id": [f"P{number:04d}" for number in range(len(labels))],
            "fold": folds.astype(np.int32),
            "feature_set": "count",
            "learner": "elastic_net",
            "probability": expit(2 * (risk - 1.3) + 2),
            "label": labels.astype(np.int8),
        }
    )


def test_recalibration_mends_a_planted_miscalibration() -> None:
    from learn_assets.analyses.transfer.computation import _in_mode, _recalibrated
    from learn_assets.statistics.logistic_line import fit_intercept, fit_line

    labels = (np.random.default_rng(1).random(1200) < 0.3).astype(np.int64)
    raw = miscalibrated(labels, np.arange(1200) % 5)
    pieces = [
        _in_mode("own", raw),
        _in_mode("as_is", raw),
        _in_mode("recalibrated_intercept", _recalibrated(raw, fit_intercept)),
        _in_mode("recalibrated_slope", _recalibrated(raw, fit_line)),
    ]
    found = external_validation("m", Transfer(pl.concat(pieces)), minimum_cell=5, resamples=50)
    off = numbers(found.frame, "as_is", "count", "calibration_intercept")
    assert off["upper"] < -1
    centered = numbers(found.frame, "recalibrated_intercept", "count", "calibration_intercept")
    assert centered["lower"] <= 0 <= centered["upper"]
    assert numbers(found.frame, "recalibrated_intercept", "count", "calibration_slope")["upper"] < 1
    slope = numbers(found.frame, "recalibrated_slope", "count", "calibration_slope")
    assert slope["lower"] <= 1 <= slope["upper"]
    better = numbers(found.frame, "recalibrated_slope", "count", "brier_minus_own")
    assert better["upper"] < 0
    # A rising line within a fold moves no patient past another.
    ranks = numbers(found.frame, "recalibrated_slope", "count", "auroc_minus_own")
    assert ranks["estimate"] == pytest.approx(0, abs=1e-9)


def test_a_fold_learns_nothing_from_its_own_labels() -> None:
    from learn_assets.analyses.transfer.computation import _recalibrated
    from learn_assets.statistics.logistic_line import fit_line

    labels = (np.random.default_rng(1).random(300) < 0.3).astype(np.int64)
    folds = np.arange(300) % 3
    raw = miscalibrated(labels, folds)
    turned = raw.with_columns(
        pl.when(pl.col("fold") == 0).then(1 - pl.col("label")).otherwise("label").alias("label")
    )
    first, second = _recalibrated(raw, fit_line), _recalibrated(turned, fit_line)
    held_out = pl.col("fold") == 0
    assert first.filter(held_out)["probability"].equals(second.filter(held_out)["probability"])
    others = first.filter(~held_out)["probability"], second.filter(~held_out)["probability"]
    assert not others[0].equals(others[1])
    line = fit_line(
        logit(raw.filter(~held_out)["probability"].to_numpy()), labels[folds != 0] * 1.0
    )
    expected = line.predict(logit(raw.filter(held_out)["probability"].to_numpy()))
    np.testing.assert_allclose(first.filter(held_out)["probability"].to_numpy(), expected)


def test_too_few_patients_here_give_an_empty_table_and_a_warning(
    foreign: TrainedModels, here: Cell, own: pl.DataFrame
) -> None:
    nothing = transfer_predictions(foreign, here, PROTOCOL, own.clear())
    found = external_validation("there", nothing, minimum_cell=5)
    assert found.frame.is_empty()
    assert found.frame.schema == empty_frame("external_validation").schema
    assert any("too few" in warning for warning in found.warnings)


def test_differences_of_sites_count_the_codes_that_are_absent(
    foreign: TrainedModels, here: Cell
) -> None:
    shift = site_differences("there", foreign, here, minimum_cell=5)
    found = shift.filter(pl.col("aspect") == "features_found")
    by_name = {row["name"]: (row["source"], row["here"]) for row in found.iter_rows(named=True)}
    assert by_name["diagnosis ICD-10-CM"] == (12, 0)
    assert by_name["medication ICD-10-CM"] == (12, 0)
    only_here = shift.filter(pl.col("aspect") == "features_not_in_model")
    assert only_here["here"].sum() == 24


def test_a_planted_shift_of_case_mix_is_measured() -> None:
    tables = cell_tables(300, 10, seed=3)
    older = tables.cohort.with_columns(pl.col("age_at_index") + 10)
    more = tables.event_counts.with_columns(
        pl.when(pl.col("feature") == "diagnosis|ICD-10-CM|A01")
        .then(pl.col("count") * 20)
        .otherwise("count")
        .alias("count")
    )
    source = train_cell(build_cell(tables, PROTOCOL), PROTOCOL, ORIGIN)
    shifted = build_cell(replace(tables, cohort=older, event_counts=more), PROTOCOL)
    frame = site_differences("m", source, shifted, minimum_cell=5)
    gaps = {row["name"]: row["standardized_difference"] for row in frame.iter_rows(named=True)}
    spread = tables.cohort["age_at_index"].std()
    assert isinstance(spread, float)
    assert gaps["age_at_index"] == pytest.approx(10 / spread, rel=1e-3)
    assert gaps["sex|F"] == pytest.approx(0)
    moved = frame.filter(pl.col("aspect") == "count_feature")
    assert moved["name"][0] == "diagnosis|ICD-10-CM|A01"
    rest = moved["standardized_difference"][1:]
    assert rest.abs().max() < 0.01  # type: ignore[operator]


def test_the_calibration_curve_of_a_mode_holds_every_patient_once(transfer: Transfer) -> None:
    found = external_validation("there", transfer, minimum_cell=5, resamples=20).frame
    points = found.filter(pl.col("bin").is_not_null(), feature_set="embedding")
    assert set(points["mode"]) == {"own", "as_is", *RECALIBRATED, "refitted"}
    for (mode,), of_mode in points.group_by("mode"):
        predicted = of_mode.filter(metric="predicted_risk").sort("bin")["estimate"]
        observed = of_mode.filter(metric="observed_share").sort("bin")
        assert predicted.is_sorted()
        assert len(predicted) == observed.height > 1
        assert (observed["lower"] <= observed["estimate"]).all()
        assert (observed["upper"] >= observed["estimate"]).all()
        # Recalibrated on average: predicted and observed risk agree over all groups.
        if mode == "recalibrated_slope":
            assert predicted.mean() == pytest.approx(observed["estimate"].mean(), abs=0.03)
