"""Substance groups by sex: the published table S1, with intervals and corrected p values beside."""

from __future__ import annotations

import numpy as np
import polars as pl

from learn_assets.statistics.shares import newcombe, wilson
from learn_assets.subtypes.bases import admission_bases
from learn_assets.subtypes.statistics import (
    benjamini_hochberg,
    holm_corrected,
    independence,
)

# The published groups. F10 (alcohol) and F17 (tobacco) are not among them.
SUBSTANCES: dict[str, str] = {
    "F11": "Opioids",
    "F12": "Cannabis",
    "F13": "Sedatives, hypnotics or anxiolytics",
    "F14": "Cocaine",
    "F15": "Other stimulants",
    "F16": "Hallucinogens",
    "F18": "Inhalants",
    "F19": "Combined or other substances",
}


def substance_table(discharges: pl.DataFrame) -> pl.DataFrame:
    """Return one row a basis and substance group: admissions and rates by sex, tests, intervals.

    discharges: sex (F, M), patient_number (String or null), diagnoses (list of codes without dot).
    An admission counts once for a prefix however many of its diagnoses begin with it. p_value is
    the published one (2 x 2 chi-square, Yates' correction); p_exact is Fisher's, where an expected
    count is below 5; Holm's and Benjamini & Hochberg's corrections are over the groups of a basis.
    Rates have Wilson's interval, the difference male - female Newcombe's. Null where there is
    nothing to compare. Columns and types are those of the contract `substance_table`.
    """
    tables = [
        _one_basis(frame).insert_column(0, pl.Series("basis", [basis] * len(SUBSTANCES)))
        for basis, frame in admission_bases(discharges)
    ]
    return pl.concat(tables)


def _one_basis(discharges: pl.DataFrame) -> pl.DataFrame:
    codes = pl.element().str.starts_with
    carried = discharges.select(
        "sex",
        *(pl.col("diagnoses").list.eval(codes(prefix)).list.any().alias(prefix)
          for prefix in SUBSTANCES),
    )  # fmt: skip
    by_sex = {sex: carried.filter(pl.col("sex") == sex) for sex in ("F", "M")}
    totals = (by_sex["F"].height, by_sex["M"].height)
    rows = [
        _group(prefix, (int(by_sex["F"][prefix].sum()), int(by_sex["M"][prefix].sum())), totals)
        for prefix in SUBSTANCES
    ]
    frame = pl.DataFrame(rows, schema=_ROW)
    p_used = pl.coalesce("p_exact", "p_value")
    known = frame.select(p_used).to_series().to_list()
    return frame.with_columns(
        pl.Series("p_holm", holm_corrected(known), pl.Float64),
        pl.Series("p_benjamini_hochberg", benjamini_hochberg(known), pl.Float64),
    )


_ROW = {
    "prefix": pl.String,
    "substance": pl.String,
    "admissions": pl.Int64,
    "rate": pl.Float64,
    "rate_lower": pl.Float64,
    "rate_upper": pl.Float64,
    "female": pl.Int64,
    "female_total": pl.Int64,
    "female_rate": pl.Float64,
    "male": pl.Int64,
    "male_total": pl.Int64,
    "male_rate": pl.Float64,
    "difference": pl.Float64,
    "difference_lower": pl.Float64,
    "difference_upper": pl.Float64,
    "chi_square": pl.Float64,
    "p_value": pl.Float64,
    "p_exact": pl.Float64,
}


def _group(prefix: str, counts: tuple[int, int], totals: tuple[int, int]) -> dict[str, object]:
    (female, male), (females, males) = counts, totals
    row: dict[str, object] = {
        "prefix": prefix,
        "substance": SUBSTANCES[prefix],
        "admissions": female + male,
        "female": female,
        "female_total": females,
        "female_rate": female / females if females else None,
        "male": male,
        "male_total": males,
        "male_rate": male / males if males else None,
    }
    if females + males:
        rate = wilson(female + male, females + males)
        row |= {"rate": rate.estimate, "rate_lower": rate.lower, "rate_upper": rate.upper}
    if females and males:
        difference = newcombe(wilson(male, males), wilson(female, females))
        row |= {
            "difference": difference.estimate,
            "difference_lower": difference.lower,
            "difference_upper": difference.upper,
        }
    table = np.array([[female, females - female], [male, males - male]], dtype=np.int64)
    tested = independence(table, yates=True)
    row |= {
        "chi_square": tested.statistic,
        "p_value": tested.p_value,
        "p_exact": tested.p_exact,
    }
    return {name: row.get(name) for name in _ROW}
