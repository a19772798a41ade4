"""The audit catches clusters that follow the number of diagnoses, and only those block."""

from __future__ import annotations

import datetime

import numpy as np
import polars as pl

from learn_assets.subtypes.nuisance import audit_nuisance, nuisances_of


def discharges(count: int, seed: int = 0) -> pl.DataFrame:
    generator = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "diagnoses": [["F10"] * n for n in generator.integers(1, 15, size=count)],
            "year": generator.integers(2016, 2021, size=count),
            "region": [[None, "NORTH", "SOUTH"][i] for i in generator.integers(3, size=count)],
            "stay_days": [None if d == 0 else int(d) for d in generator.integers(40, size=count)],
            "admission_date": [datetime.date(2018, 1, 1)] * count,
        }
    )


def test_clusters_of_record_length_fail_and_random_ones_pass() -> None:
    nuisances = nuisances_of(discharges(800))
    by_length = np.minimum(nuisances["number_of_diagnoses"] // 3, 4)
    findings = {one.nuisance: one for one in audit_nuisance(by_length, nuisances, 0.05)}
    assert not findings["number_of_diagnoses"].passed
    assert findings["number_of_diagnoses"].adjusted_mutual_information > 0.5
    random = np.random.default_rng(1).integers(5, size=800)
    assert all(one.passed for one in audit_nuisance(random, nuisances, 0.05))


def test_a_region_is_told_but_does_not_block() -> None:
    nuisances = nuisances_of(discharges(500))
    findings = {one.nuisance: one for one in audit_nuisance(nuisances["region"], nuisances, 0.05)}
    assert findings["region"].adjusted_mutual_information > 0.99
    assert findings["region"].passed


def test_missing_values_are_a_group_of_their_own() -> None:
    frame = discharges(300)
    nuisances = nuisances_of(frame)
    for name, column in (("region", "region"), ("length_of_stay", "stay_days")):
        missing = nuisances[name][frame[column].is_null().to_numpy()]
        known = nuisances[name][frame[column].is_not_null().to_numpy()]
        assert len(set(missing)) == 1
        assert not set(missing) & set(known)
    nobody = frame.with_columns(stay_days=pl.lit(None, dtype=pl.Int64))
    assert len(set(nuisances_of(nobody)["length_of_stay"])) == 1
