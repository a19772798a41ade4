"""Weights against their formulas in loops; ratios against a worked example; names from codes."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import fisher_exact

from learn_assets.subtypes.coded import CodedAdmissions
from learn_assets.subtypes.weights import (
    ClusterCounts,
    cluster_names,
    disease_weights,
    prevalence_ratio,
    published_weights,
    template_weights,
)
from learn_assets_tests.subtypes.made import make_admissions

ROWS = [["A", "B"], ["A"], ["B", "C", "A"], ["C"], ["C", "B"], ["D", "C"]]
LABELS = np.array([0, 0, 0, 1, 1, 1])
CODED = CodedAdmissions.of(ROWS)


def test_published_weight_is_mean_presence_times_log_rarity() -> None:
    weights = published_weights(ClusterCounts.of(CODED, LABELS))
    for cluster in (0, 1):
        members = [row for row, label in zip(ROWS, LABELS, strict=True) if label == cluster]
        for place, code in enumerate(CODED.codes):
            mean = sum(code in row for row in members) / len(members)
            having = sum(code in row for row in ROWS)
            assert weights[cluster, place] == pytest.approx(mean * math.log(len(ROWS) / having))


def test_template_weight_has_a_factor_within_and_one_over_clusters() -> None:
    weights = template_weights(CODED, LABELS)
    within = {
        (cluster, code): sum((code in row) / len(row) for row in members) / len(members)
        for cluster in (0, 1)
        for members in [[r for r, label in zip(ROWS, LABELS, strict=True) if label == cluster]]
        for code in CODED.codes
    }
    frequency = {code: within[0, code] + within[1, code] for code in CODED.codes}
    average = sum(frequency.values()) / len(frequency)
    for (cluster, code), share in within.items():
        rarity = math.log(len(ROWS) / sum(code in row for row in ROWS))
        expected = share * rarity * math.log(1 + average / frequency[code])
        assert weights[cluster, CODED.codes.index(code)] == pytest.approx(expected)


def test_prevalence_ratio_of_a_worked_example() -> None:
    # 20 of 50 against 10 of 100: ratio 4, standard error of its log sqrt(1/20-1/50+1/10-1/100).
    ratio, lower, upper = prevalence_ratio(20, 50, 10, 100)
    error = math.sqrt(0.05 - 0.02 + 0.1 - 0.01)
    assert (ratio, lower, upper) == pytest.approx(
        (4.0, 4 * math.exp(-1.96 * error), 4 * math.exp(1.96 * error)), rel=1e-3
    )
    empty = prevalence_ratio(5, 50, 0, 100)
    assert empty[0] == pytest.approx((5.5 / 51) / (0.5 / 101))
    assert all(map(math.isfinite, empty))


def test_false_discovery_rate_covers_all_clusters_and_codes() -> None:
    made = make_admissions(200, clusters=3, seed=1)
    frame = disease_weights(made.coded, made.planted, minimum_admissions=5)
    p_values = frame["p_value"].to_numpy()
    order = np.argsort(-p_values)
    count = len(p_values)
    smallest, expected = 1.0, np.empty(count)
    for position, row in enumerate(order):
        smallest = min(smallest, p_values[row] * count / (count - position))
        expected[row] = smallest
    assert frame["false_discovery_rate"].to_numpy() == pytest.approx(expected)
    some = frame.row(7, named=True)
    table = [
        [some["admissions"], some["cluster_size"] - some["admissions"]],
        [some["elsewhere"], some["elsewhere_size"] - some["elsewhere"]],
    ]
    assert some["p_value"] == pytest.approx(fisher_exact(table).pvalue)
    assert frame.filter(frame["admissions"] + frame["elsewhere"] < 5).is_empty()


def test_clusters_are_named_by_their_own_codes() -> None:
    made = make_admissions(300, clusters=3, seed=1)
    frame = disease_weights(made.coded, made.planted, minimum_admissions=5)
    names = cluster_names(frame, {code: f"about {code}" for code in made.coded.codes})
    for cluster, name in names.items():
        own = " ".join(
            code for row, label in zip(made.coded.lists(), made.planted, strict=True)
            if label == cluster for code in row
        )  # fmt: skip
        for part in name.split("; "):
            description, code = part.rstrip(")").split(" (")
            assert description == f"about {code}"
            assert code in own


def test_one_cluster_has_nothing_to_be_compared_with() -> None:
    frame = disease_weights(CODED, np.zeros(6, dtype=np.int64), minimum_admissions=1)
    assert frame["prevalence_ratio"].null_count() == frame.height
    assert cluster_names(frame, {}) == {0: "no marking code"}
