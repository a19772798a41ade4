"""Survival learners and their cross-validation: lifelines as oracle, planted risk, no leaks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from learn_assets.modeling import survival_models
from learn_assets.modeling.features import FeatureBlocks, build_feature_blocks
from learn_assets.modeling.protocol import ModelingProtocol
from learn_assets.modeling.survival_models import (
    cumulative_incidence,
    fit_ridge_cox,
    fit_survival,
)
from learn_assets.modeling.time_to_event import (
    Population,
    cross_validate_time_to_event,
    time_to_event_population,
)
from learn_assets.statistics.concordance import uno_c
from learn_assets.statistics.survival_curves import (
    CENSORED,
    DEATH,
    EVENT,
    FollowUp,
    StepCurve,
    death_curve,
)

HORIZON = 1000.0
PROTOCOL = ModelingProtocol(feature_sets=("count",), folds=3, minimum_patients=5, minimum_cell=5)


def planted(seed: int, size: int = 400, columns: int = 6) -> tuple[np.ndarray, FollowUp]:
    """Return a standardized matrix whose first column raises the hazard, and the follow-up."""
    random = np.random.default_rng(seed)
    matrix = random.normal(size=(size, columns)).astype(np.float32)
    ends = np.stack(
        [
            random.exponential(1500 * np.exp(-1.0 * matrix[:, 0])),
            random.exponential(4000, size),
            random.uniform(200, 3000, size),
        ]
    )
    status = np.array([EVENT, DEATH, CENSORED])[ends.argmin(axis=0)]
    return matrix, FollowUp(np.ceil(ends.min(axis=0)), status)


@pytest.mark.parametrize("penalty", [0.01, 0.5])
def test_ridge_cox_agrees_with_lifelines(penalty: float) -> None:
    import pandas as pd
    from lifelines import CoxPHFitter

    matrix, follow_up = planted(1)
    matrix = ((matrix - matrix.mean(axis=0)) / matrix.std(axis=0)).astype(np.float32)
    # Efron's and Breslow's ties agree where there are none.
    follow_up = replace(follow_up, days=follow_up.days + np.linspace(0, 0.5, len(matrix)))
    ours = fit_ridge_cox(matrix, follow_up, 0, (penalty,))
    frame = pd.DataFrame(matrix.astype(float)).assign(
        days=follow_up.days, event=follow_up.status == EVENT
    )
    frame.columns = frame.columns.astype(str)
    # lifelines scales columns by the standard deviation with n - 1.
    oracle = CoxPHFitter(penalizer=penalty).fit(frame, "days", "event")
    assert ours.coefficients == pytest.approx(oracle.params_.to_numpy(), abs=0.005)
    expected = oracle.predict_survival_function(frame[:20], times=[HORIZON]).to_numpy()[0]
    found = ours.survival(matrix[:20], np.array([HORIZON]))[:, 0]
    assert found == pytest.approx(expected, abs=0.01)


def test_more_noise_columns_ask_for_a_stronger_penalty() -> None:
    few, follow_up = planted(2, 200, 2)
    random = np.random.default_rng(0)
    many = np.column_stack([few, random.normal(size=(200, 300))]).astype(np.float32)
    assert fit_ridge_cox(many, follow_up, 0).penalty > fit_ridge_cox(few, follow_up, 0).penalty


@pytest.mark.parametrize("learner", ["cox", "survival_forest"])
def test_a_learner_finds_planted_risk_and_calibrates_it_with_death(learner: str) -> None:
    if learner == "survival_forest":
        pytest.importorskip("sksurv")
    matrix, follow_up = planted(3, 600)
    new, outcome = planted(4, 600)
    model = fit_survival(learner, matrix, follow_up, 0)  # type: ignore[arg-type]
    days = follow_up.days[follow_up.status == EVENT]
    risk = cumulative_incidence(model, new, days, death_curve(follow_up), HORIZON)
    assert uno_c(risk, outcome, HORIZON).lower > 0.65
    # Truth with a constant hazard of death: integrate both exponentials.
    rate = np.exp(1.0 * new[:, 0]) / 1500
    total = rate + 1 / 4000
    truth = rate / total * (1 - np.exp(-total * HORIZON))
    assert risk.mean() == pytest.approx(truth.mean(), abs=0.04)
    again = fit_survival(learner, matrix, follow_up, 0)  # type: ignore[arg-type]
    repeated = cumulative_incidence(again, new, days, death_curve(follow_up), HORIZON)
    assert np.array_equal(risk, repeated)


def test_incidence_sums_each_step_among_the_living() -> None:
    class Fixed:
        def survival(self, matrix: np.ndarray, times: np.ndarray) -> np.ndarray:
            return np.tile(np.where(times >= 20, 0.5, np.where(times >= 10, 0.8, 1.0)), (1, 1))

    death = StepCurve(np.array([15.0]), np.array([0.6]))
    found = cumulative_incidence(
        Fixed(), np.zeros((1, 1), dtype=np.float32), np.array([10.0, 20.0]), death, 30
    )
    assert found[0] == pytest.approx(0.2 * 1.0 + 0.3 * 0.6)


def cohort_tables(size: int = 240) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Return cohort, index_events and cross_validation; two thirds of the cohort are labeled."""
    random = np.random.default_rng(5)
    ids = [f"{number:04d}" for number in range(size)]
    observed = random.random(size) < 0.3
    labels = [None if n % 3 == 0 else int(observed[n]) for n in range(size)]
    cohort = pl.DataFrame(
        {
            "patient_id": ids,
            "label": pl.Series(labels, dtype=pl.Int8),
            "age_at_index": random.uniform(20, 70, size),
            "sex": random.choice(["F", "M"], size),
            "time_to_event_days": random.integers(0, 2000, size).astype(np.int32),
            "event_observed": observed,
        }
    )
    dies = [day if day % 5 == 0 else None for day in range(size)]
    index_events = pl.DataFrame({"patient_id": ids}).with_columns(
        death_date=pl.Series(dies, dtype=pl.Int32).cast(pl.Date)
    )
    labeled = cohort.filter(pl.col("label").is_not_null())
    folds = pl.Series("fold", np.arange(labeled.height) % 3, dtype=pl.Int32)
    return cohort, index_events, labeled.select("patient_id").with_columns(folds)


def blocks_of(cohort: pl.DataFrame, signal: np.ndarray) -> FeatureBlocks:
    counts = pl.DataFrame(
        {"patient_id": cohort["patient_id"], "feature": "diagnosis|ICD-10-CM|X", "count": signal}
    )
    empty = pl.DataFrame(
        schema={"patient_id": pl.String, "feature": pl.String, "value": pl.Float64}
    )
    return build_feature_blocks(cohort, counts, empty)


def test_everyone_eligible_is_followed_in_the_folds_of_the_classifiers() -> None:
    cohort, index_events, folds = cohort_tables()
    population = time_to_event_population(cohort, index_events, folds, folds=3, seed=1)
    assert population.patient_ids.tolist() == sorted(cohort["patient_id"].to_list())
    known = dict(folds.iter_rows())
    for patient, fold in zip(population.patient_ids, population.folds, strict=True):
        assert known.get(str(patient), fold) == fold
    assert np.bincount(population.folds).min() >= 75
    died = index_events["death_date"].is_not_null().to_numpy()
    observed = cohort["event_observed"].to_numpy()
    assert (population.follow_up.status[observed] == EVENT).all()
    assert (population.follow_up.status[died & ~observed] == DEATH).all()
    assert (population.follow_up.status[~died & ~observed] == CENSORED).all()
    shuffled = time_to_event_population(
        cohort.sample(fraction=1.0, shuffle=True, seed=3), index_events, folds, folds=3, seed=1
    )
    assert np.array_equal(shuffled.folds, population.folds)


def population_of(signal: np.ndarray) -> tuple[FeatureBlocks, Population]:
    cohort, index_events, folds = cohort_tables(len(signal))
    population = time_to_event_population(cohort, index_events, folds, folds=3, seed=1)
    return blocks_of(cohort, signal), population


def test_a_patients_risk_does_not_know_how_they_ended() -> None:
    blocks, population = population_of(np.random.default_rng(6).poisson(2.0, 240).astype(float))
    first = cross_validate_time_to_event(blocks, population, PROTOCOL, ("cox",), horizon=HORIZON)
    assert first.frame["patient_id"].n_unique() == 240
    held_out = population.folds == 0
    status = np.where(held_out, EVENT, population.follow_up.status)
    spoiled = replace(population, follow_up=FollowUp(population.follow_up.days, status))
    second = cross_validate_time_to_event(blocks, spoiled, PROTOCOL, ("cox",), horizon=HORIZON)
    risks = [frame.filter(fold=0)["probability"].to_list() for frame in (first.frame, second.frame)]
    assert risks[0] == risks[1]
    others = [
        frame.filter(fold=1)["probability"].to_list() for frame in (first.frame, second.frame)
    ]
    assert others[0] != others[1]


def test_a_learner_without_its_package_is_left_out_and_said_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(survival_models, "find_spec", lambda name: None)
    blocks, population = population_of(np.ones(240))
    both = ("cox", "survival_forest")
    found = cross_validate_time_to_event(blocks, population, PROTOCOL, both, horizon=HORIZON)
    assert found.frame["learner"].unique().to_list() == ["cox"]
    assert any("extra `survival`" in warning for warning in found.warnings)


def test_too_few_outcomes_give_an_empty_table_and_a_reason() -> None:
    blocks, population = population_of(np.ones(240))
    quiet = FollowUp(population.follow_up.days, np.zeros(240, dtype=np.int64))
    none = cross_validate_time_to_event(
        blocks, replace(population, follow_up=quiet), PROTOCOL, ("cox",), horizon=HORIZON
    )
    assert none.frame.is_empty()
    assert "fewer outcomes" in none.warnings[0]
