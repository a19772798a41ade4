"""Genetics beside the score: planted effect found, null without it, small cells kept back."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

from learn_assets.analyses.genetics.computation import NO_SCORE, genetic_stratification
from learn_assets.statistics.logistic import fit_logistic, likelihood_ratio_p
from learn_assets.statistics.logistic_line import SeparationError
from learn_assets.synthetic.patients import GENETIC_WEIGHT
from learn_assets.validation.contracts import check_table
from learn_assets_tests.evaluation.planted import PlantedSite, planted_site


def stratified(site: PlantedSite, genetic: pl.DataFrame | None = None) -> pl.DataFrame:
    score = site.genetic_score if genetic is None else genetic
    found = genetic_stratification(score, site.scores, site.cohort, minimum_cell=11)
    assert check_table(found.frame, "genetic_stratification").failures == ()
    return found.frame


def one(frame: pl.DataFrame, metric: str) -> dict[str, Any]:
    return frame.filter(metric=metric).row(0, named=True)


def test_the_planted_genetic_effect_is_recovered() -> None:
    covered = 0
    for seed in range(20):
        row = one(
            stratified(planted_site(2_000, seed, genetics_in_score=False)),
            "hazard_ratio_per_sd_given_score",
        )
        covered += row["lower"] <= np.exp(GENETIC_WEIGHT) <= row["upper"]
    assert covered >= 16


def test_genetics_beside_a_score_without_them_gain() -> None:
    frame = stratified(planted_site(6_000, 1, genetics_in_score=False))
    hazard = one(frame, "hazard_ratio_per_sd_given_score")
    assert hazard["lower"] <= np.exp(GENETIC_WEIGHT) <= hazard["upper"]
    assert hazard["lower"] > 1
    assert one(frame, "likelihood_ratio_p")["estimate"] < 0.01
    gain = one(frame, "auroc_gain")
    assert gain["lower"] > 0
    both, alone = one(frame, "auroc_both"), one(frame, "auroc_score")
    assert gain["estimate"] == pytest.approx(both["estimate"] - alone["estimate"])
    interaction = one(frame, "interaction_odds_ratio")
    assert one(frame, "interaction_p")["estimate"] > 0.01
    assert interaction["lower"] < 1.1


def test_a_genetic_score_of_noise_adds_nothing() -> None:
    site = planted_site(3_000, 4)
    quiet = 0
    for seed in range(20):
        noise = np.random.default_rng(seed).normal(size=site.genetic_score.height)
        frame = stratified(site, site.genetic_score.with_columns(score=noise))
        row = one(frame, "odds_ratio_per_sd_given_score")
        quiet += row["lower"] <= 1 <= row["upper"]
        assert abs(one(frame, "auroc_gain")["estimate"]) < 0.01
    assert quiet >= 17


def test_risk_by_thirds_is_a_plain_share() -> None:
    site = planted_site(6_000, 5, genetics_in_score=False)
    frame = stratified(site).filter(metric="risk")
    assert frame.height == 9
    joined = site.scores.join(site.cohort, on="patient_id").join(
        site.genetic_score, on="patient_id"
    )
    labeled = joined.filter(pl.col("label").is_not_null())
    thirds = [pl.col(name).rank() * 3 / pl.len() for name in ("probability", "score")]
    top = labeled.filter(thirds[0] > 2, thirds[1] > 2)
    shown = frame.filter(score_group=3, genetic_group=3).row(0, named=True)
    assert shown["estimate"] == pytest.approx(top["label"].mean(), abs=0.01)
    assert shown["lower"] < shown["estimate"] < shown["upper"]
    low = frame.filter(score_group=3, genetic_group=1)["estimate"].item()
    assert low is None or low < shown["estimate"]


def test_small_cells_are_kept_back() -> None:
    frame = stratified(planted_site(700, 6)).filter(metric="risk")
    hidden = frame.filter(pl.col("estimate").is_null())
    assert hidden.height > 1
    assert hidden["reason"].null_count() == 0


def test_without_a_genetic_score_the_table_is_empty_and_says_why() -> None:
    site = planted_site(300, 7)
    found = genetic_stratification(
        site.genetic_score.clear(), site.scores, site.cohort, minimum_cell=11
    )
    assert found.frame.is_empty()
    assert found.reason == NO_SCORE
    assert check_table(found.frame, "genetic_stratification").passed


def test_logistic_regression_agrees_with_scikit_learn() -> None:
    from sklearn.linear_model import LogisticRegression

    random = np.random.default_rng(8)
    design = np.column_stack([random.normal(3, 2, 500), random.random(500) < 0.2]).astype(float)
    labels = (random.random(500) < 1 / (1 + np.exp(2 - 0.5 * design[:, 0]))).astype(int)
    ours = fit_logistic(design, labels)
    oracle = LogisticRegression(C=np.inf, tol=1e-10, max_iter=500).fit(design, labels)
    assert ours.coefficients[1:] == pytest.approx(oracle.coef_[0], abs=1e-4)
    assert ours.coefficients[0] == pytest.approx(oracle.intercept_[0], abs=1e-4)
    chance = oracle.predict_proba(design)[:, 1]
    full = np.column_stack([np.ones(500), design])
    information = (full * (chance * (1 - chance))[:, None]).T @ full
    assert ours.covariance == pytest.approx(np.linalg.inv(information), rel=1e-3)
    assert likelihood_ratio_p(ours, fit_logistic(design[:, 1:], labels)) < 1e-6
    with pytest.raises(SeparationError):
        fit_logistic(labels[:, None].astype(float), labels)
