"""Nothing shown beside each other gives away a small count of a code or an outcome."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from learn_assets.subtypes.cluster_disclosure import shown_codes, shown_shares
from learn_assets.subtypes.coded import CodedAdmissions
from learn_assets.subtypes.weights import described_weights
from learn_assets.subtypes.words import dominant_words

MINIMUM = 11


def weights_of(counts: dict[str, tuple[int, ...]], size: int = 100) -> pl.DataFrame:
    """Weights of clusters of `size` admissions where so many have each code."""
    rows, labels = [], []
    for cluster in range(len(next(iter(counts.values())))):
        for place in range(size):
            codes = [code for code, having in counts.items() if place < having[cluster]]
            rows.append(["Z00", *codes])
            labels.append(cluster)
    coded = CodedAdmissions.of(rows)
    names = {code: f"About {code}" for code in coded.codes}
    return described_weights(coded, np.array(labels), names, minimum_admissions=MINIMUM)


def test_a_code_with_a_small_part_shows_no_count_that_tells_it() -> None:
    weights = weights_of({"A00": (50, 30, 3), "B00": (40, 0, 5), "C00": (40, 20, 15)})
    shown = {code.code: code for code in shown_codes(weights, MINIMUM, 10)[0]}
    # 33 elsewhere, less the 30 of the second cluster, would be the three of the third.
    assert (shown["A00"].inside.text, shown["A00"].elsewhere) == ("50", None)
    assert not shown["A00"].exact
    assert shown["B00"].elsewhere is not None
    assert shown["B00"].elsewhere.text == "<11"
    assert shown["B00"].fewer_elsewhere
    assert shown["C00"].exact
    assert shown["C00"].elsewhere is not None
    assert shown["C00"].elsewhere.text == "35"


def test_a_code_of_few_admissions_of_a_cluster_is_not_listed_there() -> None:
    weights = weights_of({"A00": (50, 4, 0), "B00": (95, 20, 20)})
    shown = shown_codes(weights, MINIMUM, 10)
    assert "A00" not in {code.code for code in shown[1]}
    # Five of the cluster do not have it, which says as much about those.
    assert "B00" not in {code.code for code in shown[0]}


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), min_size=2, max_size=6))
def test_hidden_shares_cannot_be_worked_out(parts: list[tuple[int, int]]) -> None:
    counts = [(having, having + without) for having, without in parts]
    texts = shown_shares(counts, MINIMUM)
    for side in (0, 1):
        hidden = [part[side] for part, text in zip(parts, texts, strict=True) if text == "-"]
        small = [count for count in hidden if 0 < count < MINIMUM]
        if small:
            # A total that is small itself is masked wherever it stands.
            assert sum(hidden) >= MINIMUM or sum(part[side] for part in parts) < MINIMUM
    for (having, without), text in zip(parts, texts, strict=True):
        if 0 < having < MINIMUM or 0 < without < MINIMUM:
            assert text == "-"


def test_words_stand_out_where_their_codes_do() -> None:
    weights = weights_of({"A00": (80, 15), "B00": (20, 70), "C00": (40, 40)})
    texts = {"A00": "Other opioid disorder", "B00": "Eating disorder", "C00": "Disorder"}
    worded = weights.with_columns(
        pl.col("code").replace_strict(texts, default="Not known").alias("description")
    )
    words = dominant_words(worded)
    assert words[0][0] == "opioid"
    assert words[1][0] == "eating"
    assert not {"other", "not", "known"} & {*words[0], *words[1]}


@pytest.mark.parametrize("clusters", [1, 2])
def test_words_of_no_codes_are_none(clusters: int) -> None:
    coded = CodedAdmissions.of([["A00"], ["B00"]] * clusters)
    labels = np.arange(2 * clusters) % clusters
    weights = described_weights(coded, labels, {}, minimum_admissions=MINIMUM)
    assert weights.is_empty()
    assert dominant_words(weights) == {}
