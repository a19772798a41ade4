"""Standardized differences against worked formulas and another implementation of the algebra."""

from __future__ import annotations

import numpy as np
import pytest

from learn_assets.statistics.balance import (
    standardized_category_difference,
    standardized_mean_difference,
)


def test_means_are_told_in_pooled_standard_deviations() -> None:
    # Means 3 and 5, variances 2.5 and 10: -2 / sqrt(6.25).
    first, second = np.array([1.0, 2, 3, 4, 5]), np.array([1.0, 3, 5, 7, 9])
    assert standardized_mean_difference(first, second) == pytest.approx(-0.8)
    assert standardized_mean_difference(second, first) == pytest.approx(0.8)
    with_gaps = np.append(first, np.nan)
    assert standardized_mean_difference(with_gaps, second) == pytest.approx(-0.8)


def test_two_categories_are_the_standardized_difference_of_a_share() -> None:
    # Austin 2009: (p1 - p2) / sqrt((p1 (1 - p1) + p2 (1 - p2)) / 2).
    expected = abs(0.3 - 0.5) / np.sqrt((0.3 * 0.7 + 0.5 * 0.5) / 2)
    assert standardized_category_difference([30, 70], [50, 50]) == pytest.approx(expected)
    assert standardized_category_difference([70, 30], [50, 50]) == pytest.approx(expected)


def test_many_categories_are_a_mahalanobis_distance_whichever_is_left_out() -> None:
    first, second = [20, 30, 50], [40, 40, 20]
    found = standardized_category_difference(first, second)
    # Over all categories the covariance is singular; its pseudoinverse leaves none out.
    p, q = np.array(first) / 100, np.array(second) / 100
    covariance = (np.diag(p) - np.outer(p, p) + np.diag(q) - np.outer(q, q)) / 2
    expected = np.sqrt((p - q) @ np.linalg.pinv(covariance) @ (p - q))
    assert found == pytest.approx(expected)
    assert standardized_category_difference(first[::-1], second[::-1]) == pytest.approx(found)


@pytest.mark.parametrize(
    ("first", "second"), [([0, 0], [5, 5]), ([5, 0], [7, 0]), ([10, 0], [0, 10])]
)
def test_without_two_spread_groups_there_is_no_difference(
    first: list[int], second: list[int]
) -> None:
    assert standardized_category_difference(first, second) is None


def test_no_spread_and_single_values_have_no_difference() -> None:
    flat = np.ones(4)
    assert standardized_mean_difference(flat, flat) is None
    assert standardized_mean_difference(np.ones(1), np.arange(4.0)) is None
