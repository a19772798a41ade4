"""The planted truth: prevalence, the ceiling, and that the past alone carries the signal."""

from __future__ import annotations

import datetime

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from learn_assets.study.windows import Window
from learn_assets.synthetic.concepts import CONCEPTS, RISK_CONCEPTS
from learn_assets.synthetic.laboratory import COMPLEMENT, laboratory_records
from learn_assets.synthetic.patients import BASE_HAZARD, Block, Effects, draw_block, risk_score
from learn_assets.synthetic.truth import (
    REPORTED_WINDOWS,
    ceiling,
    concept_weights,
    expected_auroc,
    labels,
    patient_truth,
    planted_values,
)
from learn_assets_tests.synthetic.conftest import MadeSite

FIRST = REPORTED_WINDOWS[0]


@pytest.fixture(scope="module")
def large_truth() -> pl.DataFrame:
    """Return the truth of 12,000 patients, for which no record was written."""
    return patient_truth(draw_block(0, 12_000, np.random.default_rng(1)))


def test_prevalence_of_the_demo(site: MadeSite) -> None:
    first, second = (ceiling(site.truth(), window) for window in REPORTED_WINDOWS)
    assert 500 <= first.labeled <= 900
    assert 500 <= second.labeled <= 900
    assert 0.12 <= first.cases / first.labeled <= 0.25
    assert second.cases >= 20


def test_summary_repeats_what_the_truth_file_says(site: MadeSite) -> None:
    for window in REPORTED_WINDOWS:
        read_back = ceiling(site.truth(), window)
        assert read_back.cases == site.summary.cases[window.key]
        assert read_back.expected == pytest.approx(
            site.summary.expected_auroc[window.key], abs=1e-3
        )


def test_every_way_out_of_the_cohort_is_taken(site: MadeSite) -> None:
    truth = site.truth()
    for name in ("cancer", "other_rheumatic", "drug_induced", "death", "nephritis"):
        assert truth[name].is_not_null().sum() > 0
    for name in ("cancer", "other_rheumatic", "drug_induced"):
        assert truth.filter(pl.col(name) <= pl.col("index")).height > 0
        assert truth.filter(pl.col(name) > pl.col("index")).height > 0
    assert truth.filter(pl.col("outcome") <= pl.col("index")).height > 0
    assert truth.filter(pl.col("index").dt.year() - pl.col("year_of_birth") < 16).height > 0
    assert truth["year_of_birth"].null_count() > 0
    assert set(truth["ana"]) == {"positive", "negative", "none"}


def test_ceiling_lies_where_it_was_set(large_truth: pl.DataFrame) -> None:
    found = ceiling(large_truth, FIRST)
    assert 0.80 <= found.expected <= 0.86
    assert found.observed == pytest.approx(found.expected, abs=0.025)


def test_concepts_of_the_past_carry_the_signal(large_truth: pl.DataFrame) -> None:
    labeled = labels(large_truth, FIRST).join(
        large_truth.drop("log_hazard"), on="patient_id", how="left"
    )
    burden = np.log1p(labeled.select(pl.col("^episodes_.*$")).to_numpy().astype(float))
    label = labeled["label"].to_numpy()
    half = len(label) // 2
    risky = burden[:, : len(RISK_CONCEPTS)]
    model = LogisticRegression(max_iter=500).fit(risky[:half], label[:half])
    oracle = roc_auc_score(label[half:], model.predict_proba(risky[half:])[:, 1])
    assert oracle == pytest.approx(ceiling(large_truth, FIRST).expected, abs=0.04)
    noise = burden[:, len(RISK_CONCEPTS) :]
    model = LogisticRegression(max_iter=500).fit(noise[:half], label[:half])
    assert roc_auc_score(label[half:], model.predict_proba(noise[half:])[:, 1]) < 0.55


def test_risk_is_known_before_anything_after_the_index_date_is_drawn() -> None:
    block = draw_block(0, 500, np.random.default_rng(3))
    age = block.index / 365.25 + 1970 - block.year_of_birth
    again = risk_score(block.episodes, block.female, age, block.genetic)
    # Age in the score has a fraction of a year that the year of birth does not keep.
    assert np.abs(again - block.log_hazard).max() < 0.02


def test_nephritis_and_genetic_score_follow_the_risk(large_truth: pl.DataFrame) -> None:
    cases = large_truth.filter(pl.col("outcome").is_not_null())
    severe = cases["nephritis"].is_not_null().to_numpy()
    assert roc_auc_score(severe, cases["log_hazard"].to_numpy()) > 0.6
    correlation = large_truth.select(pl.corr("genetic", "log_hazard")).item()
    assert 0.1 < correlation < 0.5


def block_with(effects: Effects, size: int = 6_000) -> Block:
    return draw_block(0, size, np.random.default_rng(1), effects)


def test_with_the_truth_switched_off_the_past_tells_nothing() -> None:
    truth = patient_truth(block_with(Effects(scale=0.0, laboratory=1.0), 40_000))
    assert (truth["log_hazard"] == 0).all()

    def area(window: Window, score: str) -> float:
        labeled = labels(truth, window).join(truth, on="patient_id").sort("patient_id")
        values = labeled[score].to_physical().to_numpy()
        return float(roc_auc_score(labeled["label"], values))

    everyone_followed = Window.from_key("LIS-365_BP-0_FUP-1095")
    for score in ("frailty", "genetic", "complement_loss", "episodes_hair_loss", "index"):
        assert area(everyone_followed, score) == pytest.approx(0.5, abs=0.025)
    # Where follow-up may end with the extract, late patients are labeled as cases or not at all.
    assert area(FIRST, "index") > 0.52


def test_what_the_laboratory_tells_is_told_nowhere_else() -> None:
    plain, measured = (block_with(Effects(laboratory=value)) for value in (0.0, 1.0))
    assert not plain.complement_loss.any()
    # Everything of the past is as it was; the hazard alone has a term more, of the same mean.
    np.testing.assert_array_equal(plain.episodes, measured.episodes)
    term = measured.log_hazard - plain.log_hazard
    np.testing.assert_allclose(term, measured.complement_loss - 0.5)
    assert np.exp(term).mean() == pytest.approx(1.0, abs=0.1)
    assert abs(np.corrcoef(measured.complement_loss, plain.log_hazard)[0, 1]) < 0.05
    codes = [analyte.code for analyte in COMPLEMENT]
    tables = [
        laboratory_records(block, np.random.default_rng(2)).filter(pl.col("code").is_in(codes))
        for block in (plain, measured)
    ]
    assert tables[0].is_empty()
    for code in codes:
        found = tables[1].filter(pl.col("code") == code)
        loss = measured.complement_loss[found["patient"].to_numpy()]
        assert np.corrcoef(loss, found["value"].cast(pl.Float64).to_numpy())[0, 1] < -0.85


def test_planted_values_are_those_of_the_hazard() -> None:
    values = planted_values(Effects(scale=0.5, laboratory=0.8), genetic_correlation=0.75)
    block = block_with(Effects(scale=0.5, laboratory=0.8), 20_000)
    age = block.index / 365.25 + 1970 - block.year_of_birth
    design = np.column_stack(
        [
            np.log1p(block.episodes),
            block.female,
            (age - 46) / 17,
            block.genetic,
            block.complement_loss,
            np.ones(len(block)),
        ]
    )
    found, *_ = np.linalg.lstsq(design, block.log_hazard, rcond=None)
    weights = list(concept_weights(0.5).values())[: len(CONCEPTS)]
    np.testing.assert_allclose(found[: len(CONCEPTS)], weights, atol=1e-3)
    names = ("female", "per_17_years_of_age", "per_sd_of_genetic_term", "per_sd_of_complement_loss")
    planted = [values[f"log_hazard_{name}"] for name in names]
    np.testing.assert_allclose(found[len(CONCEPTS) : -1], planted, atol=2e-3)
    assert values["yearly_hazard_at_average_risk"] == BASE_HAZARD


def test_outcome_rate_rises_with_the_planted_risk(large_truth: pl.DataFrame) -> None:
    rates = (
        labels(large_truth, FIRST)
        .with_columns(pl.col("log_hazard").qcut(4, labels=list("abcd")).alias("quarter"))
        .group_by("quarter")
        .agg(pl.col("label").mean())
        .sort("quarter")["label"]
    )
    assert rates.is_sorted()


def test_labels_against_a_plain_loop(site: MadeSite) -> None:
    truth = site.truth()
    for window in REPORTED_WINDOWS:
        fast = dict(labels(truth, window).select("patient_id", "label").iter_rows())
        slow: dict[str, int] = {}
        for row in truth.iter_rows(named=True):
            label = plain_label(row, window.length_in_system, window.buffer_period,
                                window.follow_up_period)  # fmt: skip
            if label is not None:
                slow[row["patient_id"]] = label
        assert fast == slow


def plain_label(row: dict[str, object], lis: int, bp: int, fup: int) -> int | None:
    """Return the label of one patient, rule by rule."""
    index, born = row["index"], row["year_of_birth"]
    assert isinstance(index, datetime.date)
    if row["ana"] != "positive" or not isinstance(born, int):
        return None
    if not 16 <= index.year - born <= 85:
        return None
    for name in ("cancer", "other_rheumatic", "drug_induced"):
        known = row[name]
        if isinstance(known, datetime.date) and known <= index:
            return None
    start, last, outcome = row["start"], row["last_record"], row["outcome"]
    assert isinstance(start, datetime.date)
    assert isinstance(last, datetime.date)
    if (index - start).days < lis:
        return None
    if isinstance(outcome, datetime.date):
        days = (outcome - index).days
        if days <= bp:
            return None
        return 1 if days <= fup else 0
    return 0 if (last - index).days > fup else None


@given(
    st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=40).filter(
        lambda rows: len({label for _, label in rows}) == 2
    )
)
def test_expected_auroc_of_certain_labels_is_the_auroc(rows: list[tuple[int, bool]]) -> None:
    score = np.array([float(value) for value, _ in rows])
    label = np.array([float(label) for _, label in rows])
    assert expected_auroc(score, label) == pytest.approx(roc_auc_score(label, score))


def test_expected_auroc_without_cases_is_nan() -> None:
    assert np.isnan(expected_auroc(np.array([1.0, 2.0]), np.zeros(2)))


def test_only_listed_concepts_carry_risk() -> None:
    assert all(concept.weight > 0 for concept in RISK_CONCEPTS)
    assert sum(concept.weight > 0 for concept in CONCEPTS) == len(RISK_CONCEPTS)
