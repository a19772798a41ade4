"""Text to values: empty cells, ids, dates, numbers, flags, sex; expressions over text columns."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

import polars as pl

from learn_assets.schemas.records import EARLIEST_BIRTH, EARLIEST_DATE
from learn_assets.validation.reasons import Reason, Rule


@dataclass(frozen=True)
class Calendar:
    """What is known of an extract's dates as a whole.

    first_year: of the day before which 5 of 100 records were made; None without records.
    last_day: a later date is in the future; None: no date is. placeholders: days that stand for no
    date. day_first: whether 03/04/2014 is in April; None: nobody knows.
    """

    first_year: int | None = None
    last_day: date | None = None
    placeholders: tuple[date, ...] = ()
    day_first: bool | None = None


# How exports write an empty cell. A code or id is never one of these words.
EMPTY_WORDS = ("", "NA", "N/A", "NaN", "nan", "NULL", "null", "None", "<NA>")

# "1.00E+12", "1e+16": a spreadsheet or a float has put an exponent for the last digits. Ids that
# happen to hold an E between digits, such as hexadecimal ones, have neither point nor sign.
_EXPONENT = r"^[+-]?(?:\d+[.,]\d+[eE][+-]?\d+|\d+[eE]\+\d+)$"
_WHOLE_FLOAT = r"^([+-]?\d+)\.0+$"
_THOUSANDS = r"^\d{1,3}(?:[,' \u00A0\u202F]\d{3})+$"
_SEPARATORS = r"[,' \u00A0\u202F]"
_ODD_ID = r"[.,' \u00A0\u202F+]"
# From here on two whole numbers may be one float.
LARGEST_EXACT = 2.0**53

_DAY = r"^(\d{4})[-/]?(\d{2})[-/]?(\d{2})(?:\.0+)?(?:[ T]\d{1,2}:\d{2}.*)?$"
_SLASHED = r"^(\d{1,2})[/.-](\d{1,2})[/.-](\d{4})(?:[ T]\d{1,2}:\d{2}.*)?$"
_MONTH = r"^(\d{4})[-/]?(\d{2})(?:\.0+)?$"
_YEAR = r"^(\d{4})(?:\.0+)?$"
# MIMIC-III puts the birth of people older than 89 at 300 years before their first admission.
_LEAST_MOVED, _MOST_MOVED = 250, 400
_YEARS_ADDED = 210
# In English, Spanish, French, German, Italian and Portuguese.
_FEMALE = ("F", "FEMALE", "WOMAN", "MUJER", "FEMENINO", "FEMME", "WEIBLICH", "FEMMINA", "FEMININO")
_MALE = (
    *("M", "MALE", "MAN", "VARÓN", "VARON", "HOMBRE", "MASCULINO", "HOMME", "MÄNNLICH", "MASCHIO"),
)
_TRUE = ("1", "1.0", "TRUE", "T", "YES", "Y")
_FALSE = ("0", "0.0", "FALSE", "F", "NO", "N")


def cleaned(frame: pl.DataFrame, names: Iterable[str]) -> pl.DataFrame:
    """Return the named text columns, trimmed and with empty words as null, one after the other.

    A column that the frame lacks is null throughout.
    """
    trimmed = frame.select(
        pl.col(name).str.strip_chars() if name in frame.columns else _nothing(name)
        for name in names
    )
    return trimmed.select(
        pl.when(~pl.col(name).is_in(EMPTY_WORDS)).then(pl.col(name)).alias(name)
        for name in trimmed.columns
    )


def _nothing(name: str) -> pl.Expr:
    return pl.lit(None, pl.String).alias(name)


def identifiers(written: pl.Series) -> pl.Series:
    """Return ids in their one spelling: without a float's `.0` and without thousands separators.

    An id whose digits are lost (`has_lost_digits`) stays as it is.
    """
    # Nearly every column is in order, and one look is cheaper than three.
    if not written.str.contains(_ODD_ID).any():
        return written
    text = pl.col(written.name)
    whole = text.str.extract(_WHOLE_FLOAT)
    exact = whole.cast(pl.Float64, strict=False).abs() < LARGEST_EXACT
    return (
        written.to_frame()
        .select(
            pl.when(exact)
            .then(whole)
            .when(text.str.contains(_THOUSANDS))
            .then(text.str.replace_all(_SEPARATORS, ""))
            .otherwise(text)
            .alias(written.name)
        )
        .to_series()
    )


def has_lost_digits(text: pl.Expr) -> pl.Expr:
    """Say whether an id or code went through a number that does not hold all of its digits.

    Two such ids may be equal though they were not.
    """
    inexact = text.str.extract(_WHOLE_FLOAT).cast(pl.Float64, strict=False).abs() >= LARGEST_EXACT
    return (text.str.contains(_EXPONENT) | inexact).fill_null(value=False)


def slashed(text: pl.Expr) -> pl.Expr:
    """Return the first and second number of 03/04/2014 as a struct, null where it is not so."""
    parts = text.str.extract_groups(_SLASHED).struct
    return pl.struct(
        parts.field("1").cast(pl.Int32).alias("first"),
        parts.field("2").cast(pl.Int32).alias("second"),
    ).alias("text")


def ids_with_lost_digits(rows: pl.DataFrame, column: str) -> pl.DataFrame:
    """Return the rows whose id has lost digits (`has_lost_digits`)."""
    # Every such id has a character that whole ones lack, which is told with one look.
    odd = rows.filter(pl.col(column).str.contains(_ODD_ID))
    return odd.filter(has_lost_digits(pl.col(column).str.strip_chars()))


def codes_with_lost_digits(codes: pl.Series) -> pl.Series:
    """Say of each code whether it has lost digits; each distinct code is looked at once."""
    distinct = codes.unique().to_frame()
    lost = distinct.filter(has_lost_digits(pl.col(codes.name))).to_series()
    return codes.is_in(lost.implode()) if lost.len() else pl.repeat(False, codes.len(), eager=True)


def day(text: pl.Expr, day_first: bool | None = None) -> pl.Expr:
    """Return the calendar day of YYYYMMDD or ISO text (a time of day is dropped), else null.

    day_first: how 03/04/2014 is read, in either order, or not at all (None).
    """
    # The parser alone would read seven digits as a day of one digit.
    digits = pl.when(text.str.contains(_DAY)).then(text.str.replace(_DAY, "${1}${2}${3}"))
    written = digits.str.to_date("%Y%m%d", strict=False)
    if day_first is None:
        return written
    ordered = text.str.replace(_SLASHED, "${3}-${2}-${1}" if day_first else "${3}-${1}-${2}")
    other = pl.when(text.str.contains(_SLASHED)).then(ordered)
    return pl.coalesce(written, other.str.to_date("%Y-%m-%d", strict=False))


def day_rules(text: pl.Expr, value: pl.Expr, column: str, calendar: Calendar) -> list[Rule]:
    """Return the rules of a date column and its `day`: readable, possible, not future.

    An empty cell breaks none of them.
    """
    unread = text.is_not_null() & value.is_null()
    form = text.str.contains(_DAY)
    if calendar.day_first is not None:
        form = form | text.str.contains(_SLASHED)
    return [
        Rule(Reason.PLACEHOLDER_DATE, is_placeholder(value, calendar), column),
        Rule(Reason.UNREADABLE_DATE, unread & ~form, column),
        Rule(Reason.IMPOSSIBLE_DATE, unread, column),
        Rule(Reason.IMPOSSIBLE_DATE, value < EARLIEST_DATE, column),
        Rule(Reason.FUTURE_DATE, value > pl.lit(calendar.last_day, pl.Date), column),
    ]


def is_placeholder(value: pl.Expr, calendar: Calendar) -> pl.Expr:
    """Say whether a day stands for no date."""
    return value.is_in(calendar.placeholders).fill_null(value=False)


def optional_day(text: pl.Expr, calendar: Calendar) -> pl.Expr:
    """Return the day of a date that may be absent; a placeholder is absent."""
    value = day(text, calendar.day_first)
    return pl.when(~is_placeholder(value, calendar)).then(value)


def death_day(text: pl.Expr, day_first: bool | None = None) -> pl.Expr:
    """Return the day of death; of a month or year alone, its last day, so no event is lost."""
    month = text.str.replace(_MONTH, "${1}${2}01").str.to_date("%Y%m%d", strict=False)
    year = text.str.replace(_YEAR, "${1}1231").str.to_date("%Y%m%d", strict=False)
    return (
        pl.when(text.str.contains(_MONTH))
        .then(month.dt.month_end())
        .when(text.str.contains(_YEAR))
        .then(year)
        .otherwise(day(text, day_first))
    )


def is_death_placeholder(text: pl.Expr, calendar: Calendar) -> pl.Expr:
    """Say whether a date of death, or the month alone of one, stands for no date."""
    written = death_day(text, calendar.day_first)
    months = sorted({(day.year, day.month) for day in calendar.placeholders})
    of_month = pl.any_horizontal(
        pl.lit(value=False),
        *((written.dt.year() == year) & (written.dt.month() == month) for year, month in months),
    )
    whole = is_placeholder(written, calendar)
    return (whole | (text.str.contains(_MONTH) & of_month)).fill_null(value=False)


def death_rules(text: pl.Expr, value: pl.Expr, column: str, calendar: Calendar) -> list[Rule]:
    """Return the rules of a date of death, which may be a month (YYYYMM) or a year.

    A placeholder breaks none: who has it is alive.
    """
    written = death_day(text, calendar.day_first)
    known = ~is_death_placeholder(text, calendar)
    form = text.str.contains(_DAY) | text.str.contains(_MONTH) | text.str.contains(_YEAR)
    if calendar.day_first is not None:
        form = form | text.str.contains(_SLASHED)
    # The last day of the running month or year lies ahead without being wrong.
    latest = calendar.last_day and date(calendar.last_day.year, 12, 31)
    return [
        Rule(Reason.UNREADABLE_DATE, ~form, column),
        Rule(Reason.IMPOSSIBLE_DATE, form & written.is_null(), column),
        Rule(Reason.IMPOSSIBLE_DATE, known & (written < EARLIEST_DATE), column),
        Rule(Reason.FUTURE_DATE, value > pl.lit(latest, pl.Date), column),
    ]


def year_of_birth(text: pl.Expr, calendar: Calendar) -> pl.Expr:
    """Return a four-digit year as Int32, else null.

    Who would be 250 years old or more at the first records is of the 300 years by which some
    de-identified extracts say `older than 89`: such a birth is moved to an age of 90. A year that
    is impossible for another reason is not known.
    """
    written = _written_year(text)
    return (
        pl.when(is_older_than_89(text, calendar))
        .then(written + _YEARS_ADDED)
        .when(~is_impossible_birth(text, calendar))
        .then(written)
    )


def is_older_than_89(text: pl.Expr, calendar: Calendar) -> pl.Expr:
    """Say whether a year of birth is one that de-identification put 300 years back; never null."""
    if calendar.first_year is None:
        return pl.lit(value=False)
    age = calendar.first_year - _written_year(text)
    return age.is_between(_LEAST_MOVED, _MOST_MOVED).fill_null(value=False)


def is_impossible_birth(text: pl.Expr, calendar: Calendar) -> pl.Expr:
    """Say whether a year of birth is before any person on record, and not 300 years back."""
    early = _written_year(text) < EARLIEST_BIRTH
    return (early & ~is_older_than_89(text, calendar)).fill_null(value=False)


def _written_year(text: pl.Expr) -> pl.Expr:
    return text.str.extract(_YEAR).cast(pl.Int32, strict=False)


def year_of_birth_rules(text: pl.Expr, column: str, calendar: Calendar) -> list[Rule]:
    """Return the rules of a year of birth: four digits, not future."""
    latest = calendar.last_day and calendar.last_day.year
    return [
        Rule(Reason.UNREADABLE_DATE, ~text.str.contains(_YEAR), column),
        Rule(Reason.FUTURE_DATE, _written_year(text) > pl.lit(latest, pl.Int32), column),
    ]


def number(text: pl.Expr) -> pl.Expr:
    """Return a finite number as Float64, else null."""
    value = text.cast(pl.Float64, strict=False)
    return pl.when(value.is_finite()).then(value)


def number_rule(text: pl.Expr, column: str) -> Rule:
    """Return the rule that a cell, when filled, is a finite number."""
    return Rule(Reason.UNREADABLE_VALUE, text.is_not_null() & number(text).is_null(), column)


def flag(text: pl.Expr) -> pl.Expr:
    """Return a yes/no cell as Boolean; an empty one is false."""
    return text.str.to_uppercase().is_in(_TRUE).fill_null(value=False)


def flag_rule(text: pl.Expr, column: str) -> Rule:
    """Return the rule that a cell, when filled, is a known way of writing yes or no."""
    known = text.str.to_uppercase().is_in((*_TRUE, *_FALSE))
    return Rule(Reason.UNREADABLE_VALUE, ~known, column)


def sex(text: pl.Expr) -> pl.Expr:
    """Return F, M, or U for anything else."""
    upper = text.str.to_uppercase()
    return (
        pl.when(upper.is_in(_FEMALE))
        .then(pl.lit("F"))
        .when(upper.is_in(_MALE))
        .then(pl.lit("M"))
        .otherwise(pl.lit("U"))
    )
