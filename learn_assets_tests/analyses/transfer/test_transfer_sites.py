"""Two synthetic sites of one risk and two coding habits: codes lose what meanings keep."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from scipy.special import logit

from learn_assets.analyses.transfer.site_differences import site_differences
from learn_assets.modeling.bundle import Provenance, TrainedModels, score
from learn_assets.modeling.pipeline import Cell, train_cell
from learn_assets.synthetic.codebook import Habit, codebook
from learn_assets.synthetic.patients import draw_block
from learn_assets.synthetic.records import code_records
from learn_assets.synthetic.truth import REPORTED_WINDOWS, labels, patient_truth
from learn_assets_tests.evaluation.coded_sites import coded_cell
from learn_assets_tests.modeling.site import ENCODER, SMALL

PROTOCOL = replace(
    SMALL, feature_sets=("count", "embedding"), learners=("elastic_net",), folds=4, seed=1
)
ORIGIN = Provenance("home", REPORTED_WINDOWS[0].key, ENCODER)


def site(habit: Habit, seed: int, patients: int = 3500) -> Cell:
    """Return a site's labeled patients."""
    generator = np.random.default_rng(seed)
    block = draw_block(0, patients, generator)
    return coded_cell(block, code_records(block, codebook(habit), generator), PROTOCOL)


def planted_risk(patients: int = 3500, seed: int = 2) -> pl.DataFrame:
    """Return patient_id and log_hazard of the labeled patients of `site(..., seed)`."""
    block = draw_block(0, patients, np.random.default_rng(seed))
    return labels(patient_truth(block), REPORTED_WINDOWS[0]).sort("patient_id")


def paired_loss(
    bundle: TrainedModels, before: Cell, after: Cell, feature_set: str
) -> tuple[float, float]:
    """Return the 95 % limits of how the correlation with the planted risk changes.

    The same patients, written with other codes; limits over resampled patients.
    """
    hazard = planted_risk()["log_hazard"].to_numpy()
    scores = []
    for cell in (before, after):
        predicted = score(bundle, cell.blocks.rows(cell.labeled)).filter(feature_set=feature_set)
        scores.append(logit(predicted.sort("patient_id")["probability"].to_numpy()))
    generator = np.random.default_rng(0)
    draws = []
    for _ in range(300):
        drawn = generator.integers(0, len(hazard), len(hazard))
        old, new = (np.corrcoef(values[drawn], hazard[drawn])[0, 1] for values in scores)
        draws.append(new - old)
    lower, upper = np.quantile(draws, [0.025, 0.975])
    return float(lower), float(upper)


@pytest.mark.slow
def test_counts_lose_when_the_same_patients_are_written_with_other_codes() -> None:
    bundle = train_cell(site("home", 1), PROTOCOL, ORIGIN)
    at_home, elsewhere = site("home", 2), site("transfer", 2)
    assert at_home.labels.tolist() == elsewhere.labels.tolist()
    lost = paired_loss(bundle, at_home, elsewhere, "count")
    kept = paired_loss(bundle, at_home, elsewhere, "embedding")
    assert lost[1] < 0
    assert kept[0] > lost[1]
    # One population, two habits: people agree, codes are used more and less.
    shift = site_differences("home", bundle, elsewhere, minimum_cell=11)
    people = shift.filter(pl.col("aspect") == "case_mix")["standardized_difference"]
    assert people.abs().max() < 0.15  # type: ignore[operator]
    codes = shift.filter(pl.col("aspect") == "count_feature")["standardized_difference"]
    assert codes.abs().min() > 0.2  # type: ignore[operator]
    found = shift.filter(pl.col("name") == "medication NDC", pl.col("aspect") == "features_found")
    assert found["here"].to_list() == [0]
    assert found["source"].item() > 100
