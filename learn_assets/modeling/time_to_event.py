"""Time to event: out-of-fold risks of the outcome of everyone eligible, short follow-up censored.

What belongs here: the arm beside the classifiers, on the same features and inside the same folds.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt
import polars as pl

from learn_assets.modeling.arrays import Labels
from learn_assets.modeling.cross_validation import stratified_folds
from learn_assets.modeling.features import STACKING, FeatureBlocks
from learn_assets.modeling.leakage import assert_disjoint
from learn_assets.modeling.preprocessing import preprocess
from learn_assets.modeling.protocol import ModelingProtocol
from learn_assets.modeling.survival_models import (
    cumulative_incidence,
    fit_survival,
    is_installed,
)
from learn_assets.modeling.threads import single_thread
from learn_assets.schemas.registry import empty_frame
from learn_assets.statistics.survival_curves import (
    CENSORED,
    DEATH,
    EVENT,
    FollowUp,
    death_curve,
)
from learn_assets.study import SurvivalLearnerName


@dataclass(frozen=True)
class TimeToEvent:
    """Out-of-fold risks (table `time_to_event_scores`) and what a reader must be told."""

    frame: pl.DataFrame
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Population:
    """Everyone eligible at the index date, in order of id: follow-up and fold, row by row."""

    patient_ids: npt.NDArray[np.str_]
    follow_up: FollowUp
    folds: npt.NDArray[np.int64]


def time_to_event_population(
    cohort: pl.DataFrame,
    index_events: pl.DataFrame,
    cross_validation: pl.DataFrame,
    *,
    folds: int,
    seed: int,
) -> Population:
    """Return the follow-up of a cohort until outcome, death or last record, and its folds.

    A labeled patient keeps the fold of the classifiers; the others are dealt over the folds, those
    with an outcome apart, in an order that the seed decides.
    """
    died = index_events.select("patient_id", pl.col("death_date").is_not_null().alias("died"))
    joined = cohort.join(died, on="patient_id", how="left").sort("patient_id")
    observed = joined["event_observed"].to_numpy().astype(np.bool_)
    dead = joined["died"].fill_null(value=False).to_numpy().astype(np.bool_)
    status = np.where(observed, EVENT, np.where(dead, DEATH, CENSORED)).astype(np.int64)
    # Outcome or death on the index day itself still leaves a moment at risk.
    days = np.maximum(joined["time_to_event_days"].to_numpy().astype(np.float64), 0.5)
    patient_ids = np.array(joined["patient_id"].to_list(), dtype=np.str_)
    known = cross_validation.select("patient_id", "fold").unique()
    place = joined.join(known, on="patient_id", how="left", maintain_order="left")["fold"]
    fold = place.fill_null(-1).to_numpy().astype(np.int64)
    _deal(fold, patient_ids, status, folds, seed)
    return Population(patient_ids, FollowUp(days, status), fold)


def cross_validate_time_to_event(
    blocks: FeatureBlocks,
    population: Population,
    protocol: ModelingProtocol,
    learners: tuple[SurvivalLearnerName, ...],
    *,
    horizon: float,
) -> TimeToEvent:
    """Return each patient's risk of the outcome by the horizon (days), from models of other folds.

    blocks belong to the population, row by row. A learner whose package is absent is left out
    with a warning; too few outcomes give an empty frame and a warning.
    """
    warnings = [
        f"learner `{name}` needs the extra `survival`: left out"
        for name in learners
        if not is_installed(name)
    ]
    installed = tuple(name for name in learners if is_installed(name))
    empty = empty_frame("time_to_event_scores")
    if population.follow_up.events < protocol.folds:
        reason = f"fewer outcomes than the {protocol.folds} folds: no time to event was modeled"
        return TimeToEvent(empty, (reason,))
    pieces = [empty]
    for fold in range(protocol.folds):
        frames, told = _run_fold(blocks, population, fold, protocol, installed, horizon)
        pieces += frames
        warnings += [message for message in told if message not in warnings]
    frame = pl.concat(pieces).sort("feature_set", "learner", "fold", "patient_id")
    complete = pl.col("fold").n_unique().over("feature_set", "learner") == protocol.folds
    return TimeToEvent(frame.filter(complete), tuple(warnings))


def _run_fold(
    blocks: FeatureBlocks,
    population: Population,
    fold: int,
    protocol: ModelingProtocol,
    learners: tuple[SurvivalLearnerName, ...],
    horizon: float,
) -> tuple[list[pl.DataFrame], list[str]]:
    training = np.flatnonzero(population.folds != fold).astype(np.int64)
    held_out = np.flatnonzero(population.folds == fold).astype(np.int64)
    learned, unseen = blocks.rows(training), blocks.rows(held_out)
    assert_disjoint(learned.patient_ids.tolist(), unseen.patient_ids.tolist())
    follow_up = population.follow_up.rows(training)
    preprocessing, matrix = preprocess(
        learned, protocol.preprocessing, _labels_by(follow_up, horizon)
    )
    new = preprocessing.transform(unseen)
    days = follow_up.days[follow_up.status == EVENT]
    death = death_curve(follow_up)
    frames: list[pl.DataFrame] = []
    warnings: list[str] = []
    with single_thread():
        for (feature_set, _), learner in product(protocol.grid, learners):
            if feature_set == STACKING:
                warnings.append(f"feature set `{feature_set}` combines classifiers: left out")
                continue
            columns = preprocessing.columns_of(feature_set)
            if not len(columns):
                warnings.append(f"feature set `{feature_set}` has no usable column: left out")
                continue
            model = fit_survival(learner, matrix[:, columns], follow_up, protocol.seed)
            risk = cumulative_incidence(model, new[:, columns], days, death, horizon)
            outcome = population.follow_up.rows(held_out)
            frames.append(_frame(unseen.patient_ids, fold, feature_set, learner, risk, outcome))
    return frames, warnings


def _labels_by(follow_up: FollowUp, horizon: float) -> Labels:
    """Return 1 for an outcome by the horizon, 0 for none known by then, -1 for lost before it."""
    outcome = (follow_up.status == EVENT) & (follow_up.days <= horizon)
    free = (follow_up.days >= horizon) | (follow_up.status == DEATH)
    return np.where(outcome, 1, np.where(free, 0, -1)).astype(np.int8)


def _frame(
    patient_ids: npt.NDArray[np.str_],
    fold: int,
    feature_set: str,
    learner: str,
    risk: npt.NDArray[np.float64],
    outcome: FollowUp,
) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "patient_id": patient_ids.tolist(),
            "probability": risk,
            "days": outcome.days,
            "status": outcome.status,
        }
    ).select(
        "patient_id",
        pl.lit(fold, pl.Int32).alias("fold"),
        pl.lit(feature_set).alias("feature_set"),
        pl.lit(learner).alias("learner"),
        "probability",
        "days",
        pl.col("status").cast(pl.Int64),
    )


def _deal(
    fold: npt.NDArray[np.int64],
    patient_ids: npt.NDArray[np.str_],
    status: npt.NDArray[np.int64],
    folds: int,
    seed: int,
) -> None:
    """Fill in, where `fold` is -1, folds of equal size; outcomes are dealt on their own."""
    random = np.random.default_rng(seed)
    if (fold >= 0).any() or (status == EVENT).sum() < folds:
        for happened in (True, False):
            open_rows = np.flatnonzero((fold < 0) & ((status == EVENT) == happened))
            fold[open_rows] = random.permutation(len(open_rows)) % folds
        return
    fold[:] = stratified_folds(patient_ids, (status == EVENT).astype(np.int8), folds, seed)
