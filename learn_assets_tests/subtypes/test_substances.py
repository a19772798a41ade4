"""Table S1: counts and tests of a worked table, against scipy and a plain loop."""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2_contingency, fisher_exact, mannwhitneyu

from learn_assets.statistics.shares import newcombe, wilson
from learn_assets.subtypes.sex_comparison import sex_comparison, sex_description
from learn_assets.subtypes.statistics import (
    benjamini_hochberg,
    cramers_v,
    holm_corrected,
    independence,
)
from learn_assets.subtypes.substances import SUBSTANCES, substance_table
from learn_assets.validation.contracts import check_table

_CODES = ["F1110", "F1120", "F1210", "F1290", "F1310", "F1920", "F1010", "Z720"]


def _admissions(
    sexes: list[str], diagnoses: list[list[str]], patients: list[str | None] | None = None
) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "sex": sexes,
            "patient_number": pl.Series(patients or [None] * len(sexes), dtype=pl.String),
            "admission_date": [date(2018, 1, 1)] * len(sexes),
            "diagnoses": pl.Series(diagnoses, dtype=pl.List(pl.String)),
        }
    )


def _worked() -> pl.DataFrame:
    # Opioids: 30 of 100 males and 10 of 90 females, some with several such codes.
    male = [["F1120", "F1110", "F1120"]] * 30 + [["F1010"]] * 70
    female = [["Z720", "F1110"]] * 10 + [["F1010"]] * 80
    return _admissions(["M"] * 100 + ["F"] * 90, male + female)


def test_worked_table() -> None:
    table = substance_table(_worked())
    row = table.row(by_predicate=pl.col("prefix") == "F11", named=True)
    assert (row["female"], row["female_total"], row["male"], row["male_total"]) == (10, 90, 30, 100)
    assert row["admissions"] == 40
    assert row["rate"] == pytest.approx(40 / 190)
    # By hand: n (|ad - bc| - n/2)^2 / (products of the margins), a = 10, b = 80, c = 30, d = 70.
    by_hand = 190 * (abs(10 * 70 - 80 * 30) - 95) ** 2 / (40 * 150 * 90 * 100)
    assert row["chi_square"] == pytest.approx(by_hand)
    of_scipy = chi2_contingency([[10, 80], [30, 70]], correction=True)
    assert row["p_value"] == pytest.approx(of_scipy.pvalue)
    assert row["p_exact"] is None
    assert table["basis"].unique().to_list() == ["admissions"]
    assert check_table(table, "substance_table").passed


def test_a_group_that_nobody_has_has_no_test() -> None:
    row = substance_table(_worked()).row(by_predicate=pl.col("prefix") == "F18", named=True)
    assert row["admissions"] == 0
    assert row["chi_square"] is row["p_value"] is row["p_holm"] is None


def test_small_counts_have_the_exact_p() -> None:
    frame = _admissions(["M"] * 8 + ["F"] * 7, [["F1410"]] * 3 + [["F1010"]] * 12)
    row = substance_table(frame).row(by_predicate=pl.col("prefix") == "F14", named=True)
    expected = fisher_exact([[0, 7], [3, 5]]).pvalue
    assert row["p_exact"] == pytest.approx(expected)
    # The only group with a test, so correcting changes nothing of the p that is used.
    assert row["p_holm"] == pytest.approx(expected)


@given(
    st.lists(
        st.tuples(st.sampled_from("FM"), st.lists(st.sampled_from(_CODES), min_size=1, max_size=6)),
        min_size=1,
        max_size=40,
    )
)
def test_counts_are_those_of_a_plain_loop(drawn: list[tuple[str, list[str]]]) -> None:
    table = substance_table(_admissions([sex for sex, _ in drawn], [codes for _, codes in drawn]))
    for row in table.iter_rows(named=True):
        for sex, column in (("F", "female"), ("M", "male")):
            carried = [
                any(code.startswith(row["prefix"]) for code in codes)
                for admitted, codes in drawn
                if admitted == sex
            ]
            assert (row[column], row[f"{column}_total"]) == (sum(carried), len(carried))
    assert table["prefix"].to_list() == list(SUBSTANCES)


def test_the_first_admission_of_each_patient_is_a_basis_of_its_own() -> None:
    frame = _admissions(
        ["M", "M", "F", "F"], [["F1110"], ["F1210"], ["F1110"], ["F1110"]], ["1", "1", None, None]
    )
    earlier = frame.with_columns(
        admission_date=pl.Series([date(2018, 2, 1), date(2018, 1, 1)] + [date(2019, 1, 1)] * 2)
    )
    first = substance_table(earlier).filter(pl.col("basis") == "first_admissions")
    by_prefix = {row["prefix"]: row for row in first.iter_rows(named=True)}
    assert (by_prefix["F12"]["male"], by_prefix["F11"]["male"]) == (1, 0)
    assert by_prefix["F11"]["female"] == 2


def test_larger_tables_are_tested_exactly_where_counts_are_small() -> None:
    table = np.array([[3, 0], [1, 4], [2, 2]])
    tested = independence(table)
    assert tested.p_exact is not None
    assert tested.p_exact == independence(table).p_exact
    assert tested.p_exact == pytest.approx(_freeman_halton(table), abs=0.02)
    assert tested.p_used == tested.p_exact


def _freeman_halton(table: np.ndarray) -> float:
    """Return the exact p by walking through every table with the same margins (two columns)."""
    from itertools import product
    from math import comb

    rows, first = table.sum(axis=1), int(table[:, 0].sum())
    weights = {
        column: np.prod([comb(int(n), c) for n, c in zip(rows, column, strict=True)])
        for column in product(*(range(int(n) + 1) for n in rows))
        if sum(column) == first
    }
    seen = weights[tuple(int(c) for c in table[:, 0])]
    return float(sum(w for w in weights.values() if w <= seen) / sum(weights.values()))


def test_intervals_of_published_examples() -> None:
    # Newcombe (1998), example (a) of both papers: 56/70 - 48/80, and 81/263.
    difference = newcombe(wilson(56, 70), wilson(48, 80))
    assert (round(difference.lower, 4), round(difference.upper, 4)) == (0.0524, 0.3339)
    rate = wilson(81, 263)
    assert (round(rate.lower, 4), round(rate.upper, 4)) == (0.2553, 0.3662)
    assert wilson(0, 20).lower == 0.0


def test_corrections_keep_missing_p_values_apart() -> None:
    p_values = [0.01, None, 0.04, 0.03]
    assert holm_corrected(p_values) == [pytest.approx(0.03), None, pytest.approx(0.06), 0.06]
    assert benjamini_hochberg(p_values) == [pytest.approx(0.03), None, 0.04, pytest.approx(0.04)]
    assert holm_corrected([None]) == benjamini_hochberg([None]) == [None]


def test_cramers_v_and_its_limits() -> None:
    independent = cramers_v(np.array([[50, 50], [50, 50]]))
    assert independent is not None
    assert (independent.estimate, independent.lower) == (0.0, 0.0)
    bound = cramers_v(np.array([[90, 10], [10, 90]]))
    assert bound is not None
    assert bound.estimate == pytest.approx(0.8)
    assert bound.lower < 0.8 < bound.upper <= 1.0
    assert cramers_v(np.array([[5, 5]])) is None


def _two_sexes(seed: int) -> pl.DataFrame:
    generator = np.random.default_rng(seed)
    size = 300
    severity = generator.integers(1, 5, size).astype(np.int64)
    return _admissions(
        generator.choice(["F", "M"], size).tolist(),
        [[str(code)] for code in generator.choice(["F1210", "F1010", "F603"], size)],
    ).with_columns(
        pl.Series("year", generator.integers(2016, 2021, size)),
        pl.Series("stay_days", generator.poisson(6, size)),
        pl.Series("cost", generator.lognormal(8, 1, size)),
        pl.when(pl.Series(severity) > 3)
        .then(None)
        .otherwise(pl.Series(severity))
        .alias("severity"),
    )


def test_comparison_agrees_with_scipy() -> None:
    frame = _two_sexes(3)
    compared = {row["variable"]: row for row in sex_comparison(frame).iter_rows(named=True)}
    female, male = (frame.filter(pl.col("sex") == sex) for sex in ("F", "M"))
    expected = mannwhitneyu(male["stay_days"], female["stay_days"])
    stay = compared["stay_days"]
    assert stay["p_value"] == pytest.approx(expected.pvalue)
    wins = male["stay_days"].to_numpy()[:, None] - female["stay_days"].to_numpy()[None, :]
    superior = ((wins > 0) + 0.5 * (wins == 0)).mean()
    assert stay["effect"] == pytest.approx(superior)
    assert stay["effect_lower"] < superior < stay["effect_upper"]
    years = [[side.filter(pl.col("year") == y).height for y in range(2016, 2021)]
             for side in (female, male)]  # fmt: skip
    assert compared["year"]["p_value"] == pytest.approx(chi2_contingency(years).pvalue)
    assert compared["severity"]["female_known"] == female["severity"].drop_nulls().len()
    assert check_table(sex_comparison(frame), "sex_comparison").passed


def test_description_counts_what_is_known_and_ranks_diagnoses() -> None:
    frame = _two_sexes(4)
    described = sex_description(frame)
    assert check_table(described, "sex_description").passed
    severity = described.filter(pl.col("variable") == "severity")
    assert severity["female"].sum() + severity["male"].sum() == frame["severity"].count()
    codes = described.filter(pl.col("variable") == "principal_diagnosis")
    both = (codes["female"] + codes["male"]).to_list()
    assert both == sorted(both, reverse=True)
    median = described.filter((pl.col("variable") == "cost") & (pl.col("measure") == "median"))
    females = frame.filter(pl.col("sex") == "F")["cost"]
    assert median["female"].item() == pytest.approx(females.median())


def test_one_sex_alone_is_described_without_a_test() -> None:
    frame = _two_sexes(5).filter(pl.col("sex") == "F")
    compared = sex_comparison(frame)
    assert compared["p_value"].null_count() == compared.height
    assert check_table(compared, "sex_comparison").passed
