"""Challenges: what is planted decides, and nobody is judged by a model that saw the outcome."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from learn_assets.modeling.bundle import Provenance, TrainedModels
from learn_assets.modeling.challenge import (
    ChallengeRule,
    Evidence,
    Verdict,
    judge,
    paired_evidence,
    verdict,
)
from learn_assets.modeling.champion import Champion
from learn_assets.modeling.pipeline import Cell, build_cell, cross_validate_cell, train_cell
from learn_assets.statistics.discrimination import Interval
from learn_assets_tests.modeling.site import ENCODER, SMALL, cell_tables

PROTOCOL = replace(SMALL, feature_sets=("count", "learn"), learners=("elastic_net",))
RULE = ChallengeRule("learn", "elastic_net", margin=0.02, minimum_cell=5)
ORIGIN = Provenance("made_up", "LIS-1_BP-0_FUP-9", ENCODER, {"counts": {"roll_up_icd": True}})
TABLES = cell_tables(260, 10, seed=3, signal=2.0)


def cell_of(patients: int) -> Cell:
    """Return the cell when only the first so many patients had been followed up."""
    return build_cell(replace(TABLES, cohort=TABLES.cohort[:patients]), PROTOCOL)


def champion_of(cell: Cell) -> Champion:
    models = train_cell(cell, PROTOCOL, ORIGIN)
    return Champion("a" * 64, models, cross_validate_cell(cell, PROTOCOL).frame)


@pytest.fixture(scope="module")
def champion() -> Champion:
    return champion_of(cell_of(160))


@pytest.fixture(scope="module")
def newest() -> Cell:
    return cell_of(260)


@pytest.fixture(scope="module")
def out_of_fold(newest: Cell) -> pl.DataFrame:
    return cross_validate_cell(newest, PROTOCOL).frame


def evidence_of(champion: Champion, out_of_fold: pl.DataFrame, cell: Cell) -> Evidence:
    found = paired_evidence(champion, out_of_fold, cell.blocks.rows(cell.labeled), RULE)
    assert isinstance(found, Evidence)
    return found


def with_scores(frame: pl.DataFrame, values: np.ndarray) -> pl.DataFrame:
    return frame.with_columns(pl.Series("probability", values))


def test_everybody_is_judged_once(
    champion: Champion, out_of_fold: pl.DataFrame, newest: Cell
) -> None:
    found = evidence_of(champion, out_of_fold, newest)
    assert (found.seen, found.unseen) == (160, 100)
    assert found.cases == int(newest.labels.sum())


def test_models_that_know_the_answers_of_their_patients_win_nothing(
    champion: Champion, out_of_fold: pl.DataFrame, newest: Cell
) -> None:
    """A champion whose frozen models repeat the outcomes they saw must not profit from it."""
    frozen = champion.models
    honest = evidence_of(champion, out_of_fold, newest)
    training = newest.blocks.rows(newest.labeled)
    seen = training.positions(champion.out_of_fold["patient_id"].unique().to_list())
    # Whoever the champion learned from gets other features: only its stored scores may count.
    training.demographics[seen] *= -100
    training.counts[seen] = 0
    for block in training.embeddings:
        block.vectors[seen] *= -9
    again = paired_evidence(replace(champion, models=frozen), out_of_fold, training, RULE)
    assert again == honest


def test_new_pseudonyms_leave_no_evidence(
    champion: Champion, out_of_fold: pl.DataFrame, newest: Cell
) -> None:
    renamed = champion.out_of_fold.with_columns(pl.col("patient_id") + "x")
    stranger = replace(champion, out_of_fold=renamed)
    found = paired_evidence(stranger, out_of_fold, newest.blocks.rows(newest.labeled), RULE)
    assert isinstance(found, str)
    assert not judge(
        stranger,
        train_cell(newest, PROTOCOL, ORIGIN),
        out_of_fold,
        newest.blocks.rows(newest.labeled),
        RULE,
    ).promoted


@pytest.fixture(scope="module")
def challenger(newest: Cell) -> TrainedModels:
    return train_cell(newest, PROTOCOL, ORIGIN)


def judged(
    champion: Champion | None, challenger: TrainedModels, scores: pl.DataFrame, cell: Cell
) -> Verdict:
    return judge(champion, challenger, scores, cell.blocks.rows(cell.labeled), RULE)


def test_a_challenger_that_is_as_good_takes_over(
    champion: Champion, challenger: TrainedModels, out_of_fold: pl.DataFrame, newest: Cell
) -> None:
    result = judged(champion, challenger, out_of_fold, newest)
    assert result.promoted
    assert "not shown to be worse" in result.reason


def test_a_planted_worse_challenger_stays_out(
    champion: Champion, challenger: TrainedModels, out_of_fold: pl.DataFrame, newest: Cell
) -> None:
    noise = np.random.default_rng(0).random(out_of_fold.height)
    result = judged(champion, challenger, with_scores(out_of_fold, noise), newest)
    assert not result.promoted
    assert "worse" in result.reason


def test_right_ranks_with_wrong_probabilities_stay_out(
    champion: Champion, challenger: TrainedModels, out_of_fold: pl.DataFrame, newest: Cell
) -> None:
    squeezed = 0.99 + out_of_fold["probability"].to_numpy() / 100
    result = judged(champion, challenger, with_scores(out_of_fold, squeezed), newest)
    assert not result.promoted
    assert "probabilities" in result.reason


def test_without_a_champion_the_first_models_take_over(
    challenger: TrainedModels, out_of_fold: pl.DataFrame, newest: Cell
) -> None:
    assert judged(None, challenger, out_of_fold, newest).promoted


def test_models_that_are_missing_decide_by_whose_they_are(
    champion: Champion, challenger: TrainedModels, out_of_fold: pl.DataFrame, newest: Cell
) -> None:
    nothing = replace(challenger, models=())
    assert not judged(champion, nothing, out_of_fold, newest).promoted
    empty = replace(champion, models=replace(champion.models, models=()))
    assert judged(empty, challenger, out_of_fold, newest).promoted


def test_a_champion_that_misreads_the_data_goes(
    champion: Champion, challenger: TrainedModels, out_of_fold: pl.DataFrame, newest: Cell
) -> None:
    options = {"counts": {"roll_up_icd": False}}
    other = replace(champion.models.provenance, options=options)
    stale = replace(champion, models=replace(champion.models, provenance=other))
    result = judged(stale, challenger, out_of_fold, newest)
    assert result.promoted
    assert "roll_up_icd" in result.reason


SAME = Interval(0.0, -0.01, 0.01)


@pytest.mark.parametrize(
    ("auroc", "brier", "promoted"),
    [
        (SAME, SAME, True),
        (Interval(-0.019, -0.05, 0.012), SAME, True),
        (Interval(-0.021, -0.05, 0.008), SAME, False),
        (Interval(-0.01, -0.015, -0.005), SAME, False),
        (Interval(0.05, 0.01, 0.09), Interval(0.01, 0.005, 0.015), False),
        (Interval(0.05, 0.01, 0.09), Interval(-0.01, -0.015, -0.005), True),
        (Interval(0.05, float("nan"), float("nan")), SAME, False),
    ],
)
def test_the_rule(auroc: Interval, brier: Interval, promoted: bool) -> None:
    assert verdict(Evidence(50, 50, 30, auroc, brier), RULE).promoted is promoted
