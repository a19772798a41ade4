"""Coded admissions against plain lists; what dealing codes anew keeps and what it breaks."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from learn_assets.subtypes.coded import CodedAdmissions, permuted
from learn_assets_tests.subtypes.made import make_admissions

ROWS = st.lists(
    st.lists(st.sampled_from("ABCDEFGH"), min_size=1, max_size=6, unique=True),
    min_size=1,
    max_size=30,
)


@given(ROWS, st.integers(0, 100))
def test_taking_rows_is_taking_lists(rows: list[list[str]], seed: int) -> None:
    coded = CodedAdmissions.of(rows)
    chosen = np.random.default_rng(seed).integers(len(rows), size=4)
    assert coded.lists() == rows
    assert coded.take(chosen).lists() == [rows[i] for i in chosen]


@given(ROWS, st.integers(0, 100))
def test_dealing_keeps_lengths_and_how_often_a_code_is_principal(
    rows: list[list[str]], seed: int
) -> None:
    coded = CodedAdmissions.of(rows)
    dealt = permuted(coded, np.random.default_rng(seed)).lists()
    assert [len(row) for row in dealt] == [len(row) for row in rows]
    assert Counter(row[0] for row in dealt) == Counter(row[0] for row in rows)
    assert Counter(c for row in dealt for c in row[1:]) == Counter(c for r in rows for c in r[1:])


def test_dealing_gives_nobody_a_code_twice_and_leaves_no_co_occurrence() -> None:
    made = make_admissions(800, clusters=6, seed=3)
    dealt = permuted(made.coded, np.random.default_rng(0))
    assert all(len(set(row)) == len(row) for row in dealt.lists())
    codes = len(made.coded.codes)
    by_chance = codes * (codes - 1) / 2 / len(made.coded)
    assert _squared_correlations(made.coded) > 5 * by_chance
    assert _squared_correlations(dealt) < 1.2 * by_chance


def _squared_correlations(coded: CodedAdmissions) -> float:
    present = coded.matrix().toarray()
    return float(np.square(np.triu(np.corrcoef(present.T), 1)).sum())


def test_admissions_without_diagnosis_and_foreign_codes_are_refused_without_naming_them() -> None:
    with pytest.raises(ValueError, match=r"^1 admissions"):
        CodedAdmissions.of([["F1120"], []])
    with pytest.raises(ValueError, match=r"^1 codes") as error:
        CodedAdmissions.of([["F1120", "B182"]], codes=["F1120"])
    assert "B182" not in str(error.value)
