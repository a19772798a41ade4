"""Readings: what the text cells of a discharge mean, as typed columns; what is unreadable is null.

What belongs here: one expression a column. Which rows stay is decided in `pruning.py`.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from learn_assets.subtypes.layout import DIAGNOSIS_COLUMNS

_YEARS = (1900, 2100)
_OLDEST = 120
_SEXES = {1.0: "M", 2.0: "F"}
_SEX_WORDS = {
    **dict.fromkeys(("varón", "varon", "hombre", "masculino", "male"), "M"),
    **dict.fromkeys(("mujer", "femenino", "female"), "F"),
}
# Cells that may be empty in a discharge that stays; one that is filled but unreadable is counted.
OPTIONAL = ("year", "birth_date", "stay_days", "severity", "mortality_risk", "cost", "weight")


def read_cells(text: pl.DataFrame, placeholders: Sequence[str]) -> pl.DataFrame:
    """Return typed columns of a frame of text columns named as in the layout.

    Adds nothing and drops no row: sex (F, M or null), admission_date (Date), year and age_years
    (Int32, completed years), stay_days (Int32), severity and mortality_risk (Int8, 1 to 4), cost
    and weight (Float64), region, patient_link, principal (String), diagnoses (list of codes without
    dot, upper case, placeholders left out) and `<column>_unreadable` (Boolean) for each optional
    column. The birth date itself is not among them.
    """
    absent = [name for name in (*OPTIONAL, "end_date", "region", "residence_region", "patient_link")
              if name not in text.columns]  # fmt: skip
    text = text.with_columns(pl.lit(None, pl.String).alias(name) for name in absent)
    dated = text.with_columns(
        admission=day_of("admission_date"),
        birth=day_of("birth_date"),
        end=day_of("end_date"),
        listed_year=_whole("year", *_YEARS),
        stay=_whole("stay_days", 0, 100_000),
    )
    present = [name for name in DIAGNOSIS_COLUMNS if name in text.columns]
    codes = [code_of(name, placeholders) for name in present]
    typed = dated.select(
        *(name for name in ("source_file", "source_row") if name in text.columns),
        _cell("patient_link").alias("patient_link"),
        _sex().alias("sex"),
        pl.coalesce("listed_year", pl.col("admission").dt.year()).cast(pl.Int32).alias("year"),
        pl.col("admission").alias("admission_date"),
        _age().alias("age_years"),
        pl.coalesce("stay", _nights()).cast(pl.Int32).alias("stay_days"),
        _whole("severity", 1, 4).cast(pl.Int8).alias("severity"),
        _whole("mortality_risk", 1, 4).cast(pl.Int8).alias("mortality_risk"),
        _amount("cost").alias("cost"),
        _amount("weight").alias("weight"),
        pl.coalesce(_cell("region"), _cell("residence_region")).alias("region"),
        codes[0].alias("principal"),
        pl.concat_list(codes).list.drop_nulls().alias("diagnoses"),
        listed_year="listed_year",
        stay="stay",
        filled=pl.struct(_cell(name).is_not_null().alias(name) for name in OPTIONAL),
    )
    return typed.with_columns(_unreadable()).drop("listed_year", "stay", "filled")


def day_of(column: str) -> pl.Expr:
    """Return the calendar day of a text column, null when it is none.

    `DDMMYYYY`, with or without its leading zero and a time of day; also `DD/MM/YYYY` and
    `YYYY-MM-DD`. Years outside 1900 to 2100 are no dates.
    """
    text = _cell(column)
    packed = text.str.extract(r"^(\d{7,8})(?:\.0)?(?:[ T]+[\d:.]{1,8})?$").str.zfill(8)
    slashed = text.str.extract_groups(r"^(\d{1,2})[/.-](\d{1,2})[/.-](\d{4})(?:[ T].*)?$")
    swapped = text.str.extract_groups(r"^(\d{4})-(\d{2})-(\d{2})(?:[ T].*)?$")
    from_slashed = pl.concat_str(
        slashed.struct.field("1").str.zfill(2),
        slashed.struct.field("2").str.zfill(2),
        slashed.struct.field("3"),
    )
    from_swapped = pl.concat_str(swapped.struct.field(name) for name in ("3", "2", "1"))
    day = pl.coalesce(packed, from_slashed, from_swapped).str.to_date("%d%m%Y", strict=False)
    return pl.when(day.dt.year().is_between(*_YEARS)).then(day)


def code_of(column: str, placeholders: Sequence[str]) -> pl.Expr:
    """Return a diagnosis code without dot and in upper case, null when it is a placeholder."""
    code = pl.col(column).str.replace_all(r"[.\s]", "").str.to_uppercase()
    none = ["", *(text.replace(".", "").upper() for text in placeholders)]
    return pl.when(~code.is_in(none)).then(code)


def number_of(column: str) -> pl.Expr:
    """Return a number written with a decimal comma (dots are thousands) or with a decimal point."""
    text = _cell(column)
    comma = text.str.contains(",", literal=True)
    european = text.str.replace_all(".", "", literal=True).str.replace(",", ".", literal=True)
    plain = pl.when(comma).then(european).otherwise(text)
    shaped = plain.str.contains(r"^[+-]?\d+(?:\.\d+)?$")
    return pl.when(shaped).then(plain).cast(pl.Float64, strict=False)


def _cell(column: str) -> pl.Expr:
    text = pl.col(column).str.strip_chars()
    return pl.when(text != "").then(text)


def _whole(column: str, low: int, high: int) -> pl.Expr:
    number = number_of(column)
    fits = number.is_between(low, high) & (number == number.floor())
    return pl.when(fits).then(number).cast(pl.Int32)


def _amount(column: str) -> pl.Expr:
    number = number_of(column)
    return pl.when(number >= 0).then(number)


def _sex() -> pl.Expr:
    # Labels of an SPSS file come as words; `1,0` is how a spreadsheet writes a code.
    word = _cell("sex").str.to_lowercase()
    return pl.coalesce(
        number_of("sex").replace_strict(_SEXES, default=None, return_dtype=pl.String),
        word.replace_strict(_SEX_WORDS, default=None, return_dtype=pl.String),
    )


def _age() -> pl.Expr:
    born, admitted = pl.col("birth"), pl.col("admission")
    before_birthday = (admitted.dt.month().cast(pl.Int16) * 100 + admitted.dt.day()) < (
        born.dt.month().cast(pl.Int16) * 100 + born.dt.day()
    )
    age = admitted.dt.year() - born.dt.year() - before_birthday.cast(pl.Int32)
    return pl.when(age.is_between(0, _OLDEST)).then(age).cast(pl.Int32)


def _nights() -> pl.Expr:
    nights = (pl.col("end") - pl.col("admission")).dt.total_days()
    return pl.when(nights >= 0).then(nights)


def _unreadable() -> list[pl.Expr]:
    read = {"year": "listed_year", "birth_date": "age_years", "stay_days": "stay"}
    return [
        (pl.col("filled").struct.field(name) & pl.col(read.get(name, name)).is_null()).alias(
            f"{name}_unreadable"
        )
        for name in OPTIONAL
    ]
