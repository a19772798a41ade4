"""Case mix: plain means, standardized as published, and no small count in it."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from learn_assets.modeling.case_mix import (
    CaseMixVariable,
    describe_case_mix,
    standardized_difference,
)
from learn_assets.modeling.features import FeatureBlocks
from learn_assets.modeling.pipeline import build_cell
from learn_assets_tests.modeling.site import SMALL, cell_tables


def labeled() -> tuple[FeatureBlocks, np.ndarray]:
    cell = build_cell(cell_tables(), SMALL)
    return cell.blocks.rows(cell.labeled), cell.labels


def test_means_and_spreads_are_those_of_a_plain_loop() -> None:
    blocks, labels = labeled()
    found = {item.name: item for item in describe_case_mix(blocks, labels, minimum_cell=5)}
    records = [math.log1p(blocks.counts[[row]].sum()) for row in range(len(blocks))]
    assert found["records"].mean == pytest.approx(np.mean(records), rel=1e-5)
    assert found["records"].standard_deviation == pytest.approx(np.std(records, ddof=1), rel=1e-5)
    assert found["outcome"].mean == pytest.approx(labels.mean())
    female = blocks.demographics[:, 1]
    assert found["sex|F"].mean == pytest.approx(female.mean())


def test_a_look_back_counts_no_record_twice() -> None:
    blocks, labels = labeled()
    names = blocks.reference.count_names
    last = replace(blocks.reference, count_names=(f"{names[0]}|last-30", *names[1:]))
    fewer = describe_case_mix(replace(blocks, reference=last), labels, minimum_cell=5)
    all_records = describe_case_mix(blocks, labels, minimum_cell=5)
    mean = {item.name: item.mean for item in fewer}
    assert mean["records"] < {item.name: item.mean for item in all_records}["records"]


def test_a_small_part_is_left_out_and_what_would_give_it_away() -> None:
    blocks, labels = labeled()
    sexes = np.zeros((len(blocks), 3), dtype=np.float32)
    sexes[:, 0], sexes[:20, 0], sexes[:17, 1], sexes[17:20, 2] = 1, 0, 1, 1
    blocks.demographics[:, 1:] = sexes
    labels = np.zeros(len(blocks), dtype=np.int8)
    labels[:3] = 1
    names = {item.name for item in describe_case_mix(blocks, labels, minimum_cell=5)}
    assert "sex|F" in names
    assert not {"sex|U", "sex|M", "outcome"} & names
    assert describe_case_mix(blocks, labels, minimum_cell=500) == ()


@pytest.mark.parametrize(
    ("source", "here", "expected"),
    [
        # Austin 2009: two means over the root of the mean variance.
        ((50.0, 10.0), (54.0, 12.0), 4 / math.sqrt(122)),
        ((1.0, 0.0), (1.0, 0.0), 0.0),
        ((1.0, 0.0), (0.0, 0.0), -math.inf),
    ],
)
def test_the_standardized_difference(
    source: tuple[float, float], here: tuple[float, float], expected: float
) -> None:
    gap = standardized_difference(CaseMixVariable("x", *source), CaseMixVariable("x", *here))
    assert gap == pytest.approx(expected)
