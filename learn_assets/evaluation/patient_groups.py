"""Patient groups: sex, age band and race of each patient in words."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import polars as pl

UNKNOWN = "unknown"
_NO_RACE = ("", UNKNOWN)
_SEXES = {"F": "female", "M": "male"}


def subgroup_attributes(
    cohort: pl.DataFrame, patients: pl.DataFrame, age_bands: Sequence[int]
) -> pl.DataFrame:
    """Return patient_id, sex, age_band and race in words; what is not on record is `unknown`.

    cohort: patient_id, sex, age_at_index (years); patients: patient_id, race as the site words it.
    """
    race = patients.select("patient_id", pl.col("race").str.strip_chars())
    return cohort.join(race, on="patient_id", how="left", maintain_order="left").select(
        "patient_id",
        pl.col("sex").replace_strict(_SEXES, default=UNKNOWN).alias("sex"),
        _age_band(age_bands).alias("age_band"),
        pl.when(pl.col("race").str.to_lowercase().is_in(_NO_RACE))
        .then(None)
        .otherwise(pl.col("race"))
        .fill_null(UNKNOWN)
        .alias("race"),
    )


def _age_band(starts: Sequence[int]) -> pl.Expr:
    age = pl.col("age_at_index").cast(pl.Float64).fill_nan(None)
    names = [f"{start} to {following - 1}" for start, following in pairwise(starts)]
    names = [f"under {starts[0]}", *names, f"{starts[-1]} and over"] if starts else ["all ages"]
    banded = age.cut([float(start) for start in starts], labels=names, left_closed=True)
    return banded.cast(pl.String).fill_null(UNKNOWN)
