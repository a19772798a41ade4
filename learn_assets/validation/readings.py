"""How each raw table is read: its canonical columns, and the rules a row of its own can break.

What belongs here: one function a table. Rules that need other rows or the patient table stand in
`validate.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import polars as pl

from learn_assets.schemas.records import EARLIEST_DATE, LONGEST_CARE_SITE
from learn_assets.validation import values
from learn_assets.validation.code_systems import CodeSystems
from learn_assets.validation.reasons import Reason, Rule, first_broken
from learn_assets.validation.results import BELOW, read_results
from learn_assets.validation.values import Calendar

# More days than any calendar of a living person has.
_MOST_DAYS = 100_000
_IDS = ("patient_id", "encounter_id")
# Beside the cells: whether the code went through a number that does not hold its digits.
_LOST = "lost code"


@dataclass(frozen=True)
class Setting:
    """What reading a table depends on besides its rows."""

    code_systems: CodeSystems
    calendar: Calendar
    of_procedures: bool = False


@dataclass(frozen=True)
class Reading:
    """How a table's text becomes values.

    `cells` are the text columns it needs, `columns` the canonical ones (without source_row) as
    expressions over these, and `rules` what a row can break, in the order they are asked; rules may
    name a cell (`cell`) and a canonical value (`made`). `counted` says by cells what is true of a
    row and worth a count, though the row stays. `results` are the cells with a laboratory result,
    which `said` gives as structs.
    """

    cells: tuple[str, ...]
    columns: dict[str, pl.Expr]
    rules: list[Rule]
    counted: dict[str, pl.Expr] = field(default_factory=dict)
    results: tuple[str, ...] = ()


def cell(name: str) -> pl.Expr:
    """Return the cleaned text of a raw column."""
    return pl.col(f"cell {name}")


def made(name: str) -> pl.Expr:
    """Return the value of a canonical column."""
    return pl.col(f"made {name}")


def said(name: str) -> pl.Expr:
    """Return what a cell of `results` says, as `read_results` has it."""
    return pl.col(f"said {name}")


def read(frame: pl.DataFrame, reading: Reading, setting: Setting) -> pl.DataFrame:
    """Return the canonical columns of raw rows, `broken`, and the conditions of `counted`.

    `broken` is the rule that a row breaks, or null.
    Cells and values are made once and looked at by every rule: as one nested expression they would
    be made anew for each.
    """
    cells = values.cleaned(frame, reading.cells)
    if "code_system" in cells.columns:
        written = cells.get_column("code_system")
        cells = cells.with_columns(
            setting.code_systems.column(written, of_procedures=setting.of_procedures)
        )
    ids = [name for name in _IDS if name in cells.columns]
    cells = cells.with_columns(values.identifiers(cells.get_column(name)) for name in ids)
    results = [read_results(cells.get_column(name)) for name in reading.results]
    cells = cells.rename(lambda name: f"cell {name}").with_columns(
        result.alias(f"said {result.name}") for result in results
    )
    canonical = cells.select(
        expression.alias(f"made {name}") for name, expression in reading.columns.items()
    )
    if "cell code" in cells.columns:
        lost = values.codes_with_lost_digits(cells.get_column("cell code"))
        cells = cells.with_columns(lost.alias(_LOST))
    return cells.hstack(canonical).select(
        *(made(name).alias(name) for name in reading.columns),
        first_broken(reading.rules).alias("broken"),
        *(condition.alias(name) for name, condition in reading.counted.items()),
    )


@dataclass(frozen=True)
class TableRules:
    """All that validation needs to know of a table.

    `key` is the column whose ranges cut the table into buckets, `order` how rows are sorted (source
    order last), `once` the columns whose values may stand in one row only. `dated`: it has dates,
    so that the calendar of the extract matters.
    """

    reading: Callable[[Setting], Reading]
    key: str
    order: tuple[str, ...]
    once: tuple[str, ...] = ()
    of_patients: bool = False
    dated: bool = True


_MISSING_PATIENT = Rule(Reason.MISSING_PATIENT_ID, cell("patient_id").is_null(), "patient_id")
_MISSING_CODE = Rule(Reason.MISSING_CODE, cell("code").is_null(), "code")
_LOST_CODE = Rule(Reason.LOST_DIGITS, pl.col(_LOST), "code")
# The cell is already normalized, so a system that is not accepted is null as an empty one is.
_UNKNOWN_CODE_SYSTEM = Rule(
    Reason.UNKNOWN_CODE_SYSTEM, cell("code_system").is_null(), "code_system"
)


def event(setting: Setting) -> Reading:
    """A coded event: diagnosis, procedure, medication, and the event part of a lab result."""
    calendar = setting.calendar
    day = values.day(cell("date"), calendar.day_first)
    plain = ("patient_id", "code_system", "code", "encounter_id")
    return Reading(
        cells=(*plain, "date"),
        columns={
            "patient_id": cell("patient_id"),
            "date": day,
            **{name: cell(name) for name in plain[1:]},
        },
        rules=[
            _MISSING_PATIENT,
            _MISSING_CODE,
            _LOST_CODE,
            _UNKNOWN_CODE_SYSTEM,
            Rule(Reason.MISSING_DATE, cell("date").is_null(), "date"),
            *values.day_rules(cell("date"), made("date"), "date", calendar),
        ],
    )


def lab_result(setting: Setting) -> Reading:
    """A laboratory result: its number, and what its text says (`results.py`).

    `value_number` is a result itself, so the number of one below a limit ("<80" with 80) and that
    of a titer are not in it: features would take them for a measurement. `said_number`, with its
    comparator, has them all. What is no number is kept as text, so nothing is lost.
    """
    base = event(setting)
    written, words = said("value_number").struct, said("value_text").struct
    sent, told = written.field("number"), words.field("number")
    plain = values.number(cell("value_number"))
    # A limit in parentheses may be that of a reference range, unless it is the number itself.
    of_words = plain.is_null() | words.field("leads") | (told == plain)
    comparator = pl.coalesce(
        written.field("comparator"), pl.when(of_words).then(words.field("comparator"))
    )
    below = comparator.is_in(BELOW).fill_null(value=False)
    exact = pl.coalesce(
        plain,
        pl.when(written.field("plain")).then(sent),
        pl.when(cell("value_number").is_null() & words.field("plain")).then(told),
    )
    unreadable = pl.when(~written.field("plain")).then(cell("value_number"))
    return Reading(
        cells=(*base.cells, "value_number", "value_text", "unit"),
        columns={
            **base.columns,
            "value_number": pl.when(~below).then(exact),
            "value_text": pl.coalesce(cell("value_text"), unreadable),
            "unit": cell("unit"),
            "said_number": pl.coalesce(sent, told),
            "comparator": comparator,
            "word": pl.coalesce(words.field("word"), written.field("word")),
        },
        rules=base.rules,
        counted={"numbers_that_are_limits": below & cell("value_number").is_not_null()},
        results=("value_number", "value_text"),
    )


def patient(setting: Setting) -> Reading:
    """Demographics; empty year of birth, race, ethnicity and death are allowed.

    A placeholder for no death and an impossible birth are empty and counted, so that nobody is
    lost for them; so is a birth that de-identification moved, which is brought to an age of 90.
    """
    calendar = setting.calendar
    birth, death = cell("year_of_birth"), cell("death_date")
    alive = values.is_death_placeholder(death, calendar)
    born, died = made("year_of_birth"), made("death_date")
    return Reading(
        cells=("patient_id", "sex", "year_of_birth", "race", "ethnicity", "death_date"),
        columns={
            "patient_id": cell("patient_id"),
            "sex": values.sex(cell("sex")),
            "year_of_birth": values.year_of_birth(birth, calendar),
            "race": cell("race"),
            "ethnicity": cell("ethnicity"),
            "death_date": pl.when(~alive).then(values.death_day(death, calendar.day_first)),
        },
        rules=[
            _MISSING_PATIENT,
            *values.year_of_birth_rules(birth, "year_of_birth", calendar),
            *values.death_rules(death, died, "death_date", calendar),
            Rule(Reason.BEFORE_BIRTH, died.dt.year() < born, "death_date"),
        ],
        counted={
            "deaths_that_are_placeholders": alive,
            "births_of_people_over_89": values.is_older_than_89(birth, calendar),
            "births_that_are_impossible": values.is_impossible_birth(birth, calendar),
        },
    )


def terminology(_: Setting) -> Reading:
    """A description of a code."""
    names = ("code_system", "code", "description")
    return Reading(
        cells=names,
        columns={name: cell(name) for name in names},
        rules=[
            _MISSING_CODE,
            _LOST_CODE,
            _UNKNOWN_CODE_SYSTEM,
            Rule(Reason.MISSING_DESCRIPTION, cell("description").is_null(), "description"),
        ],
    )


def cohort_table(setting: Setting) -> Reading:
    """A patient of LEARN's cohort table (`final_data_yrCut0.txt`).

    The outcome is dated by `days_till_sle_new` counted from `iDate`, which LEARN's rules use, and
    by `date_sle_new` where that is empty; first and last record by `days_first_event` and
    `days_last_event`.
    """
    offsets = ("days_first_event", "days_last_event", "days_till_sle_new")
    dates = ("date_sle_new", "date_rd_new")
    flags = ("diagnosis_dile", "diagnosis_cancer")
    calendar = setting.calendar
    index, birth, age = cell("iDate"), cell("yob"), cell("age_at_ANAp")
    index_day = values.day(index, calendar.day_first)
    offset_days = {name: _days_after(index_day, name) for name in offsets}
    return Reading(
        cells=("patient_id", "sex", "iDate", "yob", "age_at_ANAp", *offsets, *dates, *flags),
        columns={
            "patient_id": cell("patient_id"),
            "sex": values.sex(cell("sex")),
            "year_of_birth": values.year_of_birth(birth, calendar),
            "age_at_index": values.number(age),
            "index_date": index_day,
            "first_record_date": offset_days["days_first_event"],
            "last_record_date": offset_days["days_last_event"],
            "outcome_date": pl.coalesce(
                offset_days["days_till_sle_new"],
                values.optional_day(cell("date_sle_new"), calendar),
            ),
            "other_rheumatic_disease_date": values.optional_day(cell("date_rd_new"), calendar),
            "drug_induced_lupus": values.flag(cell("diagnosis_dile")),
            "cancer": values.flag(cell("diagnosis_cancer")),
        },
        rules=[
            _MISSING_PATIENT,
            Rule(Reason.MISSING_DATE, index.is_null(), "iDate"),
            *values.day_rules(index, made("index_date"), "iDate", calendar),
            *values.year_of_birth_rules(birth, "yob", calendar),
            Rule(
                Reason.BEFORE_BIRTH,
                made("index_date").dt.year() < made("year_of_birth"),
                "iDate",
            ),
            values.number_rule(age, "age_at_ANAp"),
            Rule(Reason.UNREADABLE_VALUE, ~made("age_at_index").is_between(0, 130), "age_at_ANAp"),
            *(
                rule
                for name, day in offset_days.items()
                for rule in _offset_rules(name, day, calendar)
            ),
            *(rule for name in dates for rule in _optional_day_rules(name, calendar)),
            *(values.flag_rule(cell(name), name) for name in flags),
        ],
    )


def _days_after(index_day: pl.Expr, offset: str) -> pl.Expr:
    days = values.number(cell(offset)).round(0)
    countable = pl.when(days.abs() <= _MOST_DAYS).then(days).cast(pl.Int64)
    return (index_day + pl.duration(days=countable)).cast(pl.Date)


def _offset_rules(offset: str, day: pl.Expr, calendar: Calendar) -> list[Rule]:
    """Return the rules of a number of days from the index date: it leads to a possible day."""
    return [
        values.number_rule(cell(offset), offset),
        Rule(Reason.IMPOSSIBLE_DATE, cell(offset).is_not_null() & day.is_null(), offset),
        Rule(Reason.IMPOSSIBLE_DATE, day < EARLIEST_DATE, offset),
        Rule(Reason.FUTURE_DATE, day > pl.lit(calendar.last_day, pl.Date), offset),
    ]


def _optional_day_rules(name: str, calendar: Calendar) -> list[Rule]:
    """Return the rules of a date that may be absent; its placeholders break none."""
    day = values.day(cell(name), calendar.day_first)
    rules = values.day_rules(cell(name), day, name, calendar)
    known = ~values.is_placeholder(day, calendar)
    return [
        Rule(rule.reason, known & rule.broken, name)
        for rule in rules
        if rule.reason is not Reason.PLACEHOLDER_DATE
    ]


def genetic_score(_: Setting) -> Reading:
    """A genetic score; an empty one is of no use and unreadable."""
    return Reading(
        cells=("patient_id", "score"),
        columns={"patient_id": cell("patient_id"), "score": values.number(cell("score"))},
        rules=[
            _MISSING_PATIENT,
            Rule(Reason.UNREADABLE_VALUE, made("score").is_null(), "score"),
        ],
    )


def care_site(_: Setting) -> Reading:
    """The institution of a patient; what is too long for a name is none."""
    name = cell("care_site")
    return Reading(
        cells=("patient_id", "care_site"),
        columns={"patient_id": cell("patient_id"), "care_site": name},
        rules=[
            _MISSING_PATIENT,
            Rule(
                Reason.UNREADABLE_VALUE,
                name.is_null() | (name.str.len_chars() > LONGEST_CARE_SITE),
                "care_site",
            ),
        ],
    )


def observation_period(setting: Setting) -> Reading:
    """A span of observation; one that ends in the future, or on a placeholder, is not over."""
    calendar = setting.calendar
    end = values.day(cell("end_date"), calendar.day_first)
    open_end = values.is_placeholder(end, calendar) | (end > pl.lit(calendar.last_day, pl.Date))
    closed = pl.when(~open_end.fill_null(value=False)).then(end)
    start = values.day(cell("start_date"), calendar.day_first)
    return Reading(
        cells=("patient_id", "start_date", "end_date"),
        columns={"patient_id": cell("patient_id"), "start_date": start, "end_date": closed},
        rules=[
            _MISSING_PATIENT,
            Rule(Reason.MISSING_DATE, cell("start_date").is_null(), "start_date"),
            *values.day_rules(cell("start_date"), made("start_date"), "start_date", calendar),
            Rule(
                Reason.UNREADABLE_DATE, cell("end_date").is_not_null() & end.is_null(), "end_date"
            ),
            Rule(Reason.IMPOSSIBLE_DATE, made("end_date") < made("start_date"), "end_date"),
        ],
        counted={"periods_that_are_not_over": open_end.fill_null(value=False)},
    )


_EVENT = TableRules(event, "patient_id", ("patient_id", "date"), of_patients=True)
_PERSON = ("patient_id",)

TABLE_RULES: dict[str, TableRules] = {
    "patient": TableRules(patient, "patient_id", _PERSON, once=_PERSON),
    "diagnosis": _EVENT,
    "procedure": _EVENT,
    "medication": _EVENT,
    "lab_result": TableRules(lab_result, "patient_id", ("patient_id", "date"), of_patients=True),
    "terminology": TableRules(
        terminology,
        "code",
        ("code", "code_system"),
        once=("code_system", "code"),
        dated=False,
    ),
    "cohort_table": TableRules(cohort_table, "patient_id", _PERSON, once=_PERSON),
    "genetic_score": TableRules(genetic_score, "patient_id", _PERSON, once=_PERSON, dated=False),
    "care_site": TableRules(care_site, "patient_id", _PERSON, once=_PERSON, dated=False),
    "observation_period": TableRules(
        observation_period, "patient_id", ("patient_id", "start_date")
    ),
}
