"""Repeated cross-validation: corrected interval, spread between repeats, one fold each."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import polars as pl
import pytest
from scipy import stats

from learn_assets.analyses.repeats import computation as module
from learn_assets.analyses.repeats.computation import (
    corrected_resampled_interval,
    repeat_cross_validation,
    repeated_auroc,
)
from learn_assets.lake import Lake
from learn_assets.modeling.arrays import Labels
from learn_assets.modeling.cross_validation import CrossValidation, cross_validate
from learn_assets.modeling.features import FeatureBlocks
from learn_assets.modeling.kept_predictions import KeptPredictions
from learn_assets.modeling.leakage import LeakError
from learn_assets.modeling.pipeline import build_cell
from learn_assets.modeling.protocol import ModelingProtocol
from learn_assets_tests.modeling.site import SMALL, cell_tables

LINEAR = replace(SMALL, learners=("elastic_net",), feature_sets=("count",))


@pytest.fixture(scope="module")
def repeats() -> tuple[pl.DataFrame, ...]:
    cell = build_cell(cell_tables(signal=2.0), LINEAR)
    blocks = cell.blocks.rows(cell.labeled)
    first = cross_validate(blocks, cell.labels, LINEAR).frame
    return repeat_cross_validation(blocks, cell.labels, LINEAR, first, 3)


def naive_area(group: pl.DataFrame) -> float:
    cases = group.filter(pl.col("label") == 1)["probability"].to_list()
    controls = group.filter(pl.col("label") == 0)["probability"].to_list()
    wins = [
        (case > control) + 0.5 * (case == control) for case, control in product(cases, controls)
    ]
    return float(np.mean(wins))


def test_without_overlap_the_interval_is_that_of_a_mean() -> None:
    values = np.array([0.61, 0.7, 0.66, 0.72, 0.58, 0.69])
    plain = corrected_resampled_interval(values, 0.0)
    limits = stats.t.interval(0.95, 5, loc=values.mean(), scale=stats.sem(values))
    assert (plain.lower, plain.upper) == pytest.approx(limits)
    # Ten-fold: 1 / 6 + 1 / 9 of the variance in place of 1 / 6.
    wider = corrected_resampled_interval(values, 1 / 9)
    # The same as Bouckaert and Frank write it for one repeat of ten folds: 1 + 10 / 9 over 10.
    repeated = corrected_resampled_interval(np.tile(values, 10)[:10], 1 / 9)
    spread = np.std(np.tile(values, 10)[:10], ddof=1)
    factor = (1 + 10 / 9) / 10
    assert repeated.upper - repeated.estimate == pytest.approx(
        stats.t.ppf(0.975, 9) * spread * np.sqrt(factor)
    )
    ratio = (wider.upper - wider.lower) / (plain.upper - plain.lower)
    assert ratio == pytest.approx(np.sqrt((1 / 6 + 1 / 9) * 6))
    assert np.isnan(corrected_resampled_interval(values[:1], 1.0).lower)


def test_the_corrected_interval_covers_where_the_plain_one_does_not() -> None:
    """Held-out means of folds around one training mean each: they share most of their patients."""
    hits = {0.0: 0, 0.25: 0}
    runs = 400
    for seed in range(runs):
        values = np.random.default_rng(seed).normal(size=50)
        folds = np.arange(50) % 5
        errors = np.array(
            [
                ((values[folds == fold] - values[folds != fold].mean()) ** 2).mean()
                for fold in range(5)
            ]
        )
        # Expected squared error of a mean of 40 on a new value.
        truth = 1 + 1 / 40
        for overlap in hits:
            interval = _unclipped(errors, overlap)
            hits[overlap] += interval[0] <= truth <= interval[1]
    assert hits[0.25] / runs > 0.95
    assert hits[0.25] > hits[0.0]


def _unclipped(values: np.ndarray, overlap: float) -> tuple[float, float]:
    # Scaled into 0 to 1, where limits are not cut off.
    scaled = corrected_resampled_interval(0.4 + values / 100, overlap)
    return (scaled.lower - 0.4) * 100, (scaled.upper - 0.4) * 100


def test_every_repeat_holds_each_patient_out_once_in_folds_of_its_own(
    repeats: tuple[pl.DataFrame, ...],
) -> None:
    assert len(repeats) == 3
    model = pl.col("feature_set") == "count"
    folds = [
        frame.filter(model).sort("patient_id").select("patient_id", "fold") for frame in repeats
    ]
    assert all(frame["patient_id"].is_unique().all() for frame in folds)
    assert all(frame["patient_id"].equals(folds[0]["patient_id"]) for frame in folds)
    assert len({tuple(frame["fold"].to_list()) for frame in folds}) == 3


def test_a_killed_run_repeats_only_what_was_not_finished(
    lake: Lake, repeats: tuple[pl.DataFrame, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    cell = build_cell(cell_tables(signal=2.0), LINEAR)
    blocks = cell.blocks.rows(cell.labeled)
    asked: list[int] = []

    def dies_at(seed: int | None) -> None:
        def fit(
            blocks: FeatureBlocks,
            labels: Labels,
            protocol: ModelingProtocol,
            *,
            workers: int | None,
        ) -> CrossValidation:
            if protocol.seed == seed:
                raise KeyboardInterrupt
            asked.append(protocol.seed)
            return CrossValidation(repeats[protocol.seed - LINEAR.seed])

        monkeypatch.setattr(module, "cross_validate", fit)

    def run(kept: KeptPredictions) -> tuple[pl.DataFrame, ...]:
        return repeat_cross_validation(blocks, cell.labels, LINEAR, repeats[0], 3, kept=kept)

    kept = KeptPredictions(lake, lake.folder("repeats"), "inputs")
    dies_at(LINEAR.seed + 2)
    with pytest.raises(KeyboardInterrupt):
        run(kept)
    dies_at(None)
    again = run(kept)
    assert asked == [LINEAR.seed + 1, LINEAR.seed + 2]
    assert all(one.equals(other) for one, other in zip(again, repeats, strict=True))
    # Of other inputs nothing is found, and a finished analysis leaves nothing behind.
    assert KeptPredictions(lake, kept.folder, "others").find(LINEAR.seed + 1) is None
    kept.clear()
    assert list(kept.folder.iterdir()) == []


def test_numbers_are_those_of_a_loop_over_pairs(repeats: tuple[pl.DataFrame, ...]) -> None:
    table = repeated_auroc(repeats)
    rows = table.filter(pl.col("feature_set") == "count")
    model = pl.col("feature_set") == "count"
    areas = [
        [naive_area(group) for _, group in frame.filter(model).group_by("fold")]
        for frame in repeats
    ]
    overall = rows.filter(pl.col("repeat").is_null())
    assert overall["auroc"].item() == pytest.approx(np.mean(areas))
    single = rows.drop_nulls("repeat").sort("repeat")["auroc"].to_list()
    assert overall["standard_deviation"].item() == pytest.approx(np.std(single, ddof=1))
    assert overall["lower"].item() < overall["auroc"].item() < overall["upper"].item()
    assert rows.height == 4


def test_one_repeat_has_no_spread(repeats: tuple[pl.DataFrame, ...]) -> None:
    overall = repeated_auroc(repeats[:1]).filter(pl.col("repeat").is_null())
    assert overall["standard_deviation"].null_count() == overall.height == 2
    assert repeated_auroc([repeats[0].clear()]).is_empty()


def test_a_patient_in_two_folds_of_a_repeat_is_found_out(
    repeats: tuple[pl.DataFrame, ...],
) -> None:
    second = repeats[1]
    twice = second[:1].with_columns((pl.col("fold") + 1).cast(pl.Int32))
    with pytest.raises(LeakError, match="more than one fold"):
        repeated_auroc([repeats[0], pl.concat([second, twice])])
