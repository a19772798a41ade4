"""Contributions: they sum to the prediction, and are the Shapley values of a slow definition."""

from __future__ import annotations

import json
from itertools import combinations
from math import factorial
from typing import Any

import numpy as np
import pytest
from scipy.special import logit

from learn_assets.modeling.boosted_trees import BoostedTrees, BoostedTreesSettings
from learn_assets.modeling.contributions import contributions
from learn_assets.modeling.elastic_net import ElasticNetSettings
from learn_assets.modeling.support_vector import SupportVectorSettings


def training(columns: int = 4, patients: int = 300) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    matrix = generator.normal(size=(patients, columns)).astype(np.float32)
    matrix = (matrix - matrix.mean(axis=0)) / matrix.std(axis=0)
    risk = matrix[:, 0] - 0.7 * matrix[:, 1] * matrix[:, 2]
    return matrix, (risk + generator.normal(size=patients) > 0.5).astype(np.int8)


@pytest.mark.parametrize("settings", [ElasticNetSettings(), BoostedTreesSettings(column_share=1.0)])
def test_they_sum_to_the_log_odds_of_the_prediction(
    settings: ElasticNetSettings | BoostedTreesSettings,
) -> None:
    matrix, labels = training()
    model = settings.fit(matrix, labels, 1)
    found = contributions(model, matrix)
    assert found.values.shape == matrix.shape
    log_odds = found.values.sum(axis=1, dtype=np.float64) + found.base
    assert log_odds == pytest.approx(logit(model.predict_probability(matrix)), abs=1e-4)
    assert contributions(model, matrix[:0]).values.shape == (0, 4)


def shapley(value: Any, columns: int) -> np.ndarray:
    """Return Shapley values of `value`, a function of the set of known columns."""
    found = np.zeros(columns)
    for column in range(columns):
        others = [other for other in range(columns) if other != column]
        for size in range(columns):
            weight = factorial(size) * factorial(columns - size - 1) / factorial(columns)
            for known in combinations(others, size):
                found[column] += weight * (value({*known, column}) - value(set(known)))
    return found


def expected_margin(node: dict[str, Any], row: np.ndarray, known: set[int]) -> float:
    """Return a tree's mean output when only some columns are known: both ways by their cover."""
    if "leaf" in node:
        return float(node["leaf"])
    children = {child["nodeid"]: child for child in node["children"]}
    column = int(node["split"][1:])
    yes, no = children[node["yes"]], children[node["no"]]
    if column in known:
        chosen = yes if row[column] < node["split_condition"] else no
        return expected_margin(chosen, row, known)
    parts = [(child["cover"], expected_margin(child, row, known)) for child in (yes, no)]
    return sum(cover * value for cover, value in parts) / sum(cover for cover, _ in parts)


def test_those_of_trees_are_shapley_values_over_all_sets_of_columns() -> None:
    matrix, labels = training()
    settings = BoostedTreesSettings(rounds=10, column_share=1.0, row_share=1.0)
    model = settings.fit(matrix, labels, 1)
    assert isinstance(model, BoostedTrees)
    dumped = model.booster.get_dump(dump_format="json", with_stats=True)
    trees = [json.loads(tree) for tree in dumped]
    found = contributions(model, matrix[:5])
    for row, values in zip(matrix[:5], found.values, strict=True):

        def margin(known: set[int], row: np.ndarray = row) -> float:
            return sum(expected_margin(tree, row, known) for tree in trees)

        assert values == pytest.approx(model.platt.slope * shapley(margin, 4), abs=2e-4)


def test_those_of_a_line_are_shapley_values_with_unknown_columns_at_their_mean() -> None:
    matrix, labels = training()
    model = ElasticNetSettings().fit(matrix, labels, 1)
    found = contributions(model, matrix[:3])
    for row, values in zip(matrix[:3], found.values, strict=True):

        def decision(known: set[int], row: np.ndarray = row) -> float:
            kept = np.where(np.isin(np.arange(4), sorted(known)), row, matrix.mean(axis=0))
            return float(model.decision(kept[None, :].astype(np.float64))[0])

        assert values == pytest.approx(model.platt.slope * shapley(decision, 4), abs=1e-5)


def test_a_learner_without_exact_contributions_is_refused() -> None:
    matrix, labels = training(patients=60)
    with pytest.raises(TypeError, match="elastic_net"):
        contributions(SupportVectorSettings().fit(matrix, labels, 1), matrix)
