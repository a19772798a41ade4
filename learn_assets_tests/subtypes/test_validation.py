"""Outcomes by cluster, readmission by a plain loop, replication over years, match of two sexes."""

from __future__ import annotations

import datetime

import numpy as np
import polars as pl
import pytest
from scipy.stats import kruskal

from learn_assets.study.clusters import ClusterOptions
from learn_assets.subtypes.representations import TfidfRepresentation
from learn_assets.subtypes.validation import (
    match_clusters,
    outcome_differences,
    readmissions,
    replicate,
)
from learn_assets.subtypes.weights import disease_weights
from learn_assets_tests.subtypes.made import make_admissions


def discharges(labels: np.ndarray, seed: int = 0) -> pl.DataFrame:
    """Stay depends on the cluster, severity and cost do not; four admissions a patient."""
    generator = np.random.default_rng(seed)
    count = len(labels)
    start = datetime.date(2016, 1, 1)
    days = [start + datetime.timedelta(days=int(d)) for d in generator.integers(1500, size=count)]
    return pl.DataFrame(
        {
            "admission_id": [str(i) for i in range(count)],
            "patient_number": [None if i % 9 == 0 else str(i // 4) for i in range(count)],
            "admission_date": days,
            "stay_days": [int(x) for x in 2 + 5 * labels + generator.integers(4, size=count)],
            "cost": generator.lognormal(8, 1, size=count),
            "severity": generator.integers(1, 5, size=count),
            "mortality_risk": np.ones(count, dtype=int),
        }
    )


def test_only_what_differs_is_found_to_differ() -> None:
    labels = np.random.default_rng(1).integers(3, size=600)
    frame = discharges(labels)
    frame = frame.with_columns(readmission=readmissions(frame))
    found = {one.outcome: one for one in outcome_differences(frame, labels)}
    groups = [frame["stay_days"].to_numpy()[labels == k] for k in range(3)]
    assert found["stay_days"].statistic == pytest.approx(kruskal(*groups).statistic)
    assert found["stay_days"].effect > 0.6
    assert found["severity"].effect < 0.1
    assert found["cost"].effect < 0.05
    # The same everywhere, so there is nothing to test.
    assert "mortality_risk" not in found


def test_readmission_is_that_of_a_loop_over_pairs() -> None:
    frame = discharges(np.zeros(400, dtype=np.int64))
    rows = frame.to_dicts()
    last = max(row["admission_date"] for row in rows)
    for row, ours in zip(rows, readmissions(frame), strict=True):
        left = row["admission_date"] + datetime.timedelta(days=row["stay_days"])
        again = [
            other
            for other in rows
            if other["patient_number"] == row["patient_number"]
            and (other["admission_date"], other["admission_id"])
            > (row["admission_date"], row["admission_id"])
            and other["admission_date"] <= left + datetime.timedelta(days=30)
        ]
        if row["patient_number"] is None:
            assert ours is None
        elif again:
            assert ours == 1
        else:
            assert ours == (None if left + datetime.timedelta(days=30) > last else 0)


def test_planted_clusters_come_back_in_later_years_and_noise_does_not() -> None:
    options = ClusterOptions()
    years = np.random.default_rng(0).integers(2016, 2021, size=900)
    planted = make_admissions(900, clusters=3, seed=4)
    again = replicate(planted.coded, years, TfidfRepresentation(20), 3, options)
    assert [one.year for one in again] == [2019, 2020]
    assert min(one.rand for one in again) > 0.9
    assert min(one.agreement for one in again) > 0.95
    noise = make_admissions(900, clusters=0, seed=4)
    lost = replicate(noise.coded, years, TfidfRepresentation(20), 3, options)
    assert max(one.rand for one in lost) < 0.4


def test_nothing_is_replicated_without_enough_admissions() -> None:
    made = make_admissions(100, clusters=3, seed=4)
    options = ClusterOptions()
    assert replicate(made.coded, np.full(100, 2019), TfidfRepresentation(9), 3, options) == ()
    years = np.array([2016] * 90 + [2019] * 10)
    assert replicate(made.coded, years, TfidfRepresentation(9), 3, options) == ()


def test_clusters_of_two_files_are_matched_by_their_codes() -> None:
    first, second = (make_admissions(300, clusters=4, seed=seed) for seed in (1, 2))
    renamed = np.array([2, 0, 3, 1])[second.planted]
    weights = [
        disease_weights(made.coded, labels, minimum_admissions=3)
        for made, labels in ((first, first.planted), (second, renamed))
    ]
    found = match_clusters(*weights)
    assert [one.second for one in found] == [2, 0, 3, 1]
    assert min(one.similarity for one in found) > 0.8
    fewer = match_clusters(weights[0], weights[1].filter(pl.col("cluster") < 3))
    assert sum(one.second is None for one in fewer) == 1
