"""Comparison by sex: what admissions of females and males are like, and tests of differences."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

import numpy as np
import numpy.typing as npt
import polars as pl

from learn_assets.statistics.discrimination import Interval
from learn_assets.subtypes.bases import admission_bases
from learn_assets.subtypes.statistics import (
    benjamini_hochberg,
    cramers_v,
    holm_corrected,
    independence,
    superiority,
)

TOP_DIAGNOSES = 20
NUMBERS = ("stay_days", "cost")
CLASSES = ("year", "severity", "principal_diagnosis")
_QUANTILES = {"lower_quartile": 0.25, "median": 0.5, "upper_quartile": 0.75}

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True)
class _Test:
    """One row of the comparison."""

    variable: str
    test: str
    female_known: int
    male_known: int
    statistic: float | None = None
    p_value: float | None = None
    p_exact: float | None = None
    effect: float | None = None
    effect_lower: float | None = None
    effect_upper: float | None = None


_ROW = pl.Schema(
    {
        "variable": pl.String(),
        "test": pl.String(),
        "female_known": pl.Int64(),
        "male_known": pl.Int64(),
        "statistic": pl.Float64(),
        "p_value": pl.Float64(),
        "p_exact": pl.Float64(),
        "effect": pl.Float64(),
        "effect_lower": pl.Float64(),
        "effect_upper": pl.Float64(),
    }
)


def sex_description(discharges: pl.DataFrame) -> pl.DataFrame:
    """Return variable, level, female and male: counts of classes, quartiles of numbers.

    discharges: as the contract says. Levels of year and severity in order, of principal_diagnosis
    the 20 most frequent of both sexes together, most frequent first (ties by code). `measure` is
    count or the name of a quantile; a quantile is null when no value of that sex is known.
    """
    parts = [_class_counts(discharges, variable) for variable in CLASSES]
    parts += [_quantiles(discharges, variable) for variable in NUMBERS]
    return pl.concat(parts)


def sex_comparison(discharges: pl.DataFrame) -> pl.DataFrame:
    """Return one row a basis and variable: the published test, its effect and corrected p values.

    Numbers: Mann-Whitney U (two-sided); effect: P(male > female) + P(equal) / 2, with DeLong's
    interval. Classes: Pearson's chi-square, with an exact p where an expected count is below 5;
    effect: Cramer's V with its noncentral chi-square interval. Corrections are over the variables
    of a basis. Statistics are null where there is nothing to compare.
    """
    return pl.concat(
        _one_basis(frame).insert_column(0, pl.Series("basis", [basis] * 5))
        for basis, frame in admission_bases(discharges)
    )


def _one_basis(discharges: pl.DataFrame) -> pl.DataFrame:
    tests = [_number_test(discharges, variable) for variable in NUMBERS]
    tests += [_class_test(discharges, variable) for variable in CLASSES]
    frame = pl.DataFrame([asdict(test) for test in tests], schema=_ROW)
    known = frame.select(pl.coalesce("p_exact", "p_value")).to_series().to_list()
    return frame.with_columns(
        pl.Series("p_holm", holm_corrected(known), pl.Float64),
        pl.Series("p_benjamini_hochberg", benjamini_hochberg(known), pl.Float64),
    )


def _number_test(discharges: pl.DataFrame, variable: str) -> _Test:
    from scipy.stats import mannwhitneyu

    female, male = (_numbers(discharges, variable, sex) for sex in ("F", "M"))
    name = "mann_whitney_u"
    if not (female.size and male.size):
        return _Test(variable, name, female.size, male.size)
    tested = mannwhitneyu(male, female, alternative="two-sided")
    compared = _Test(
        variable,
        name,
        female.size,
        male.size,
        statistic=float(tested.statistic),
        p_value=float(tested.pvalue),
    )
    return _with_effect(compared, superiority(male, female))


def _class_test(discharges: pl.DataFrame, variable: str) -> _Test:
    counted = _class_counts(discharges, variable)
    table = counted.select("female", "male").cast(pl.Int64).to_numpy()
    female, male = (int(total) for total in table.sum(axis=0))
    tested = independence(table)
    compared = _Test(
        variable,
        "chi_square",
        female,
        male,
        statistic=tested.statistic,
        p_value=tested.p_value,
        p_exact=tested.p_exact,
    )
    return _with_effect(compared, cramers_v(table))


def _with_effect(test: _Test, interval: Interval | None) -> _Test:
    if interval is None:
        return test
    # A perfect ranking has an estimate without limits.
    lower, upper = (
        limit if np.isfinite(limit) else None for limit in (interval.lower, interval.upper)
    )
    return replace(test, effect=interval.estimate, effect_lower=lower, effect_upper=upper)


def _class_counts(discharges: pl.DataFrame, variable: str) -> pl.DataFrame:
    named = pl.col("diagnoses").list.first() if variable == "principal_diagnosis" else variable
    levels = discharges.select("sex", level=named).drop_nulls()
    counted = levels.group_by("level").agg(
        (pl.col("sex") == "F").sum().cast(pl.Float64).alias("female"),
        (pl.col("sex") == "M").sum().cast(pl.Float64).alias("male"),
    )
    if variable == "principal_diagnosis":
        most = (pl.col("female") + pl.col("male")).alias("both")
        counted = counted.with_columns(most).sort(["both", "level"], descending=[True, False])
        counted = counted.head(TOP_DIAGNOSES)
    else:
        counted = counted.sort("level")
    return counted.select(
        pl.lit(variable).alias("variable"),
        pl.col("level").cast(pl.String),
        pl.lit("count").alias("measure"),
        "female",
        "male",
    )


def _quantiles(discharges: pl.DataFrame, variable: str) -> pl.DataFrame:
    values = {sex: _numbers(discharges, variable, sex) for sex in ("F", "M")}
    rows = [
        (variable, None, name, *(_quantile(values[sex], share) for sex in ("F", "M")))
        for name, share in _QUANTILES.items()
    ]
    schema = {
        "variable": pl.String, "level": pl.String, "measure": pl.String, "female": pl.Float64,
        "male": pl.Float64,
    }  # fmt: skip
    return pl.DataFrame(rows, schema=schema, orient="row")


def _quantile(values: Numbers, share: float) -> float | None:
    return float(np.quantile(values, share)) if values.size else None


def _numbers(discharges: pl.DataFrame, variable: str, sex: str) -> Numbers:
    of_sex = discharges.filter(pl.col("sex") == sex)[variable].drop_nulls()
    return of_sex.cast(pl.Float64).to_numpy()
