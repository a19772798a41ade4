"""Severe outcomes by score: planted effects found, null without them, small cells kept back."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import polars as pl
import pytest

from learn_assets.analyses.severe_outcomes.computation import (
    OutcomeOptions,
    SevereOutcomeTables,
    severe_outcome_estimates,
)
from learn_assets.evaluation.outcome_estimates import score_groups
from learn_assets.schemas.registry import empty_frame
from learn_assets.statistics.survival_curves import (
    CENSORED,
    DEATH,
    EVENT,
    FollowUp,
    cumulative_incidence,
)
from learn_assets.validation.contracts import check_table
from learn_assets_tests.evaluation.planted import planted_site

OPTIONS = OutcomeOptions(horizon_days=1825, minimum_cell=11)


def estimates(tables: SevereOutcomeTables, options: OutcomeOptions = OPTIONS) -> pl.DataFrame:
    frame = severe_outcome_estimates(tables, ["nephritis"], options)
    assert check_table(frame, "nephritis_evaluation").failures == ()
    return frame


def one(frame: pl.DataFrame, metric: str, population: str = "all", **more: Any) -> dict[str, Any]:
    return frame.filter(metric=metric, population=population, **more).row(0, named=True)


def shuffled_scores(tables: SevereOutcomeTables, seed: int) -> SevereOutcomeTables:
    """Return the tables with the truth switched off: scores dealt out at random."""
    order = np.random.default_rng(seed).permutation(tables.scores.height)
    probability = tables.scores["probability"][order.tolist()]
    return replace(tables, scores=tables.scores.with_columns(probability=probability))


@pytest.fixture(scope="module")
def large() -> pl.DataFrame:
    """Estimates of a site so large that they are the planted values, near enough."""
    return estimates(planted_site(40_000, 1).severe)


def test_small_sites_recover_the_planted_effects(large: pl.DataFrame) -> None:
    metrics = ("hazard_ratio_per_sd", "hazard_ratio_per_sd_adjusted", "hazard_ratio_per_decile")
    small = [estimates(planted_site(3_000, seed).severe) for seed in range(2, 22)]
    for metric, population in product(metrics, ("all", "progressed")):
        planted = one(large, metric, population)["estimate"]
        found = [one(frame, metric, population) for frame in small]
        assert planted > 1.3
        assert all(row["lower"] > 1 for row in found)
        # 95 % of 20: fewer than 16 would come about once in 400 times.
        assert sum(row["lower"] <= planted <= row["upper"] for row in found) >= 16
    odds = one(large, "odds_ratio_top_decile")["estimate"]
    found = [one(frame, "odds_ratio_top_decile") for frame in small]
    assert sum(row["lower"] <= odds <= row["upper"] for row in found) >= 16


def test_with_the_truth_switched_off_nothing_is_found() -> None:
    tables = planted_site(3_000, 5).severe
    inside = 0
    for seed in range(20):
        found = one(estimates(shuffled_scores(tables, seed)), "hazard_ratio_per_sd")
        inside += found["lower"] <= 1 <= found["upper"]
    assert inside >= 17


def test_incidence_rises_with_the_score_and_stands_against_death(large: pl.DataFrame) -> None:
    last = [
        one(large, "cumulative_incidence", group=group, horizon_days=1825) for group in (1, 2, 3, 4)
    ]
    values = [row["estimate"] for row in last]
    assert values == sorted(values)
    assert last[0]["upper"] < last[3]["lower"]


def small_tables(events: int, size: int = 400, *, prevalent: int = 0) -> SevereOutcomeTables:
    tables = planted_site(2_000, 6).severe
    ids = tables.cohort["patient_id"].sort()[:size]
    random = np.random.default_rng(7)
    status = np.array(["event"] * events + ["censored"] * (size - events))
    follow_up = pl.DataFrame(
        {
            "patient_id": ids,
            "outcome": "nephritis",
            "prevalent": [True] * prevalent + [False] * (size - prevalent),
            "days": random.integers(1, 3000, size).astype(np.int32),
            "status": random.permutation(status),
        }
    )
    return replace(tables, follow_up=follow_up)


@pytest.mark.parametrize("events", [3, 10])
def test_few_outcomes_give_reasons_and_no_number(events: int) -> None:
    frame = estimates(small_tables(events))
    told = frame.filter(pl.col("estimate").is_not_null())
    assert set(told["metric"]) <= {"patients", "prevalent", "deaths"}
    assert frame.filter(pl.col("estimate").is_null())["reason"].null_count() == 0
    assert one(frame, "events")["estimate"] is None


def test_prevalent_outcomes_are_left_out_and_counted() -> None:
    tables = small_tables(120, prevalent=60)
    frame = estimates(tables)
    assert one(frame, "prevalent")["estimate"] == 60
    assert one(frame, "patients")["estimate"] == 340
    few = estimates(small_tables(120, prevalent=4))
    assert one(few, "prevalent")["estimate"] is None
    # 400 scored patients are no secret, so what is left of them must not be told either.
    assert one(few, "patients")["estimate"] is None


def test_events_of_the_progressed_do_not_give_the_others_away() -> None:
    tables = planted_site(2_000, 8).severe
    events = tables.follow_up.filter(status="event")["patient_id"]
    progressed = tables.cohort["event_observed"] & ~tables.cohort["patient_id"].is_in(events[:3])
    frame = estimates(replace(tables, cohort=tables.cohort.with_columns(event_observed=progressed)))
    assert one(frame, "events")["estimate"] == len(events)
    assert one(frame, "events", "progressed")["estimate"] is None


def test_groups_are_cut_inside_the_population_and_shown_only_when_large() -> None:
    tables = planted_site(3_000, 9).severe
    frame = estimates(tables).filter(metric="cumulative_incidence", population="progressed")
    joined = (
        tables.scores.join(tables.cohort.filter("event_observed"), on="patient_id")
        .join(tables.follow_up, on="patient_id")
        .sort("probability")
    )
    size = joined.height
    for group in (1, 2, 3, 4):
        part = joined[round(size * (group - 1) / 4) : round(size * group / 4)]
        shown = frame.filter(group=group, horizon_days=1825)
        if shown.is_empty():
            continue
        codes = {"event": EVENT, "death": DEATH, "censored": CENSORED}
        status = np.array([codes[item] for item in part["status"]])
        follow_up = FollowUp(part["days"].to_numpy().astype(float), status)
        expected = cumulative_incidence(follow_up, [1825])[0].estimate
        assert shown["estimate"].item() == pytest.approx(expected, abs=0.005)
        assert follow_up.events >= 11


def test_score_groups_are_equal_and_keep_ties_together() -> None:
    assert np.bincount(score_groups(np.arange(100.0), 4)).tolist() == [0, 25, 25, 25, 25]
    tied = score_groups(np.array([0.0, 0.0, 0.0, 1.0]), 2)
    assert len(set(tied[:3])) == 1
    assert score_groups(np.zeros(0), 4).size == 0


def test_without_scores_or_outcomes_the_table_is_empty_and_valid() -> None:
    tables = planted_site(500, 10).severe
    assert estimates(replace(tables, scores=tables.scores.clear())).is_empty()
    assert (
        severe_outcome_estimates(tables, [], OPTIONS).schema
        == empty_frame("severe_outcome_evaluation").schema
    )
