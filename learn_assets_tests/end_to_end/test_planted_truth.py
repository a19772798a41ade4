"""Planted truth, from raw files to results: found where it is, not where it is switched off."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from scipy.special import logit
from scipy.stats import norm

from learn_assets.analyses.genetics.computation import genetic_stratification
from learn_assets.analyses.severe_outcomes.computation import (
    OutcomeOptions,
    SevereOutcomeTables,
    severe_outcome_estimates,
)
from learn_assets.analyses.transfer.computation import transfer_predictions
from learn_assets.evaluation.comparison import (
    Contrast,
    ModelName,
    compare_models,
    delong_test,
    paired_scores,
)
from learn_assets.modeling.pipeline import Cell, cross_validate_cell, train_cell
from learn_assets.statistics.discrimination import Interval, auroc
from learn_assets.study import LearnerName
from learn_assets.synthetic.patients import GENETIC_WEIGHT, Effects
from learn_assets.synthetic.site import GENETIC_CORRELATION
from learn_assets_tests.end_to_end.planted_site import (
    FIVE_YEARS,
    THREE_YEARS,
    PlantedLake,
    planted_lake,
)
from learn_assets_tests.evaluation.planted import planted_site

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

LABORATORY = 1.2
# What text cannot tell stands in the laboratory; what single codes cannot tell, in a meaning that
# many rare ones share.
RARE_CODES = {"laboratory_effect": LABORATORY, "shared_synonyms": 1.0}
# Two such sites describe the same illness without a diagnosis or procedure code in common.
CODES_APART = {"laboratory_effect": LABORATORY, "shared_synonyms": 0.0}
LEARNER: LearnerName = "elastic_net"
SETS = ("count", "embedding")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> PlantedLake:
    """The site where models are trained."""
    folder = tmp_path_factory.mktemp("home")
    return planted_lake(folder, FIVE_YEARS, patients=2500, seed=11, **RARE_CODES)


@pytest.fixture(scope="module")
def predictions(home: PlantedLake) -> pl.DataFrame:
    """Out-of-fold predictions of the home site."""
    return home.cross_validated(LEARNER).frame


def area(predictions: pl.DataFrame, feature_set: str, learner: str = LEARNER) -> Interval:
    """Return the AUROC of one model."""
    rows = predictions.filter(feature_set=feature_set, learner=learner)
    return auroc(
        rows["probability"].to_numpy(),
        rows["label"].to_numpy().astype(np.int64),
        folds=rows["fold"].to_numpy().astype(np.int64),
    )


def test_learn_beats_both_of_its_parts(predictions: pl.DataFrame) -> None:
    planned = [
        Contrast("LEARN beyond", ModelName("learn", LEARNER), ModelName(part, LEARNER))
        for part in SETS
    ]
    found = compare_models(predictions, planned, resamples=300).frame.filter(metric="auroc")
    for part in SETS:
        for method in ("delong", "bootstrap"):
            row = found.filter(second_feature_set=part, method=method).row(0, named=True)
            assert row["lower"] > 0, row
    assert found.filter(method="delong")["p_value_holm"].max() < 0.05


def test_with_the_truth_switched_off_no_feature_set_is_better_than_chance(
    home: PlantedLake, tmp_path_factory: pytest.TempPathFactory
) -> None:
    off = planted_lake(
        tmp_path_factory.mktemp("off"),
        THREE_YEARS,
        vectors=home.lake,
        patients=1500,
        seed=13,
        planted_effect=0.0,
        **RARE_CODES,
    )
    found = off.cross_validated(LEARNER, "random_forest").frame
    models = found.select("feature_set", "learner").unique()
    for feature_set, learner in models.iter_rows():
        interval = area(found, feature_set, learner)
        error = (logit(interval.estimate) - logit(interval.lower)) / norm.ppf(0.975)
        # So many intervals together miss chance in one of 20 sites.
        lower = logit(interval.estimate) - norm.ppf(1 - 0.025 / models.height) * error
        assert lower <= 0, (feature_set, learner, interval)


def planted_scores(home: PlantedLake, *, genetics: bool) -> pl.DataFrame:
    """Return the planted log hazard of the cohort as if a model had predicted it."""
    term = 0.0 if genetics else GENETIC_WEIGHT
    hazard = pl.col("log_hazard") - term * pl.col("genetic")
    return (
        home.lake.read("cohort", home.window)
        .join(home.truth(), on="patient_id", how="inner")
        .sort("patient_id")
        .select(
            "patient_id",
            (pl.int_range(pl.len()) % 5).cast(pl.Int32).alias("fold"),
            pl.lit("learn").alias("feature_set"),
            pl.lit("cox").alias("learner"),
            (1 / (1 + (2 - hazard).exp())).alias("probability"),
        )
    )


def cohort_with_deaths(home: PlantedLake) -> pl.DataFrame:
    """Return the cohort as the genetic asset sees it."""
    died = home.lake.read("index_events").select(
        "patient_id", pl.col("death_date").is_not_null().alias("died")
    )
    return home.lake.read("cohort", home.window).join(died, on="patient_id", how="left")


def test_nephritis_rises_with_the_risk_as_planted(home: PlantedLake) -> None:
    options = OutcomeOptions(horizon_days=1825, minimum_cell=11)
    tables = SevereOutcomeTables(
        follow_up=home.lake.read("severe_outcome_follow_up"),
        cohort=home.lake.read("cohort", home.window),
        scores=planted_scores(home, genetics=True),
        charlson=home.lake.read("charlson_index").select(
            "patient_id", pl.col("charlson_2011").alias("index")
        ),
    )
    found = severe_outcome_estimates(tables, ["lupus_nephritis"], options)
    # So many patients that their estimate is the planted value, near enough; no record is read.
    truth = planted_site(40_000, 1, effects=Effects(laboratory=LABORATORY))
    planted = severe_outcome_estimates(truth.severe, ["nephritis"], options)
    for metric in ("hazard_ratio_per_sd", "hazard_ratio_per_decile"):
        row = found.filter(metric=metric, population="all").row(0, named=True)
        value = planted.filter(metric=metric, population="all")["estimate"].item()
        assert 1 < row["lower"] <= value <= row["upper"], (metric, row, value)


def test_the_genetic_effect_is_the_planted_one(home: PlantedLake) -> None:
    found = genetic_stratification(
        home.lake.read("genetic_score"),
        planted_scores(home, genetics=False),
        cohort_with_deaths(home),
        minimum_cell=11,
    ).frame
    row = found.filter(metric="hazard_ratio_per_sd_given_score").row(0, named=True)
    # The score in the extract is the planted term with noise.
    assert row["lower"] <= np.exp(GENETIC_WEIGHT * GENETIC_CORRELATION) <= row["upper"], row
    assert row["lower"] > 1


def coded(cell: Cell) -> Cell:
    """Return the cell without laboratory results, which mean the same at every site."""
    blocks = cell.blocks
    without = replace(
        blocks,
        measurements=blocks.measurements[:, :0],
        reference=replace(blocks.reference, measurement_names=()),
    )
    return replace(cell, blocks=without)


def test_codes_lose_at_a_site_that_codes_otherwise_and_text_does_not(
    home: PlantedLake, tmp_path_factory: pytest.TempPathFactory
) -> None:
    there = planted_lake(
        tmp_path_factory.mktemp("there"),
        FIVE_YEARS,
        vectors=home.lake,
        patients=2500,
        seed=11,
        **CODES_APART,
    )
    away = planted_lake(
        tmp_path_factory.mktemp("away"),
        FIVE_YEARS,
        vectors=home.lake,
        patients=1500,
        seed=12,
        coding_habit="transfer",
        **CODES_APART,
    )
    protocol = replace(there.protocol, feature_sets=("count", "embedding"))
    foreign = train_cell(coded(there.cell), protocol, there.origin)
    here = coded(away.cell)
    own = cross_validate_cell(here, protocol).frame
    moved = transfer_predictions(foreign, here, protocol, own, refit=False).predictions
    as_is = moved.filter(mode="as_is").drop("mode")
    stayed = cross_validate_cell(coded(there.cell), protocol).frame

    lost = {name: area(stayed, name).estimate - area(as_is, name).estimate for name in SETS}
    assert lost["count"] > lost["embedding"] + 0.05, lost
    assert area(as_is, "embedding").lower > 0.6
    paired = paired_scores(as_is)
    text, codes = (paired.of(ModelName(name, LEARNER)) for name in reversed(SETS))
    gap = delong_test(text, codes, paired.labels, paired.folds).difference
    assert gap.lower > 0, gap
