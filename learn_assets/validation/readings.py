"""How each raw table is read: its canonical columns, and the rules a row of its own can break.

What belongs here: one function a table. Rules that need other rows or the patient table stand in
`buckets.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

import polars as pl

from learn_assets.validation import values
from learn_assets.validation.code_systems import CodeSystems
from learn_assets.validation.reasons import Reason, Rule
from learn_assets.validation.values import RawColumns


@dataclass(frozen=True)
class RawBatch:
    """Rows of a raw table, and what reading them depends on."""

    frame: pl.DataFrame
    code_systems: CodeSystems
    today: date

    @property
    def columns(self) -> RawColumns:
        """The text columns at hand."""
        return RawColumns(self.frame.columns)


@dataclass(frozen=True)
class Reading:
    """Canonical columns (without source_row) and the rules, in the order they are asked."""

    columns: dict[str, pl.Expr]
    rules: list[Rule]


@dataclass(frozen=True)
class TableRules:
    """All that validation needs to know of a table.

    `key` is the column whose ranges cut the table into buckets, `order` how rows are sorted (source
    order last), `once` the columns whose values may stand in one row only.
    """

    read: Callable[[RawBatch], Reading]
    key: str
    order: tuple[str, ...]
    once: tuple[str, ...] = ()
    of_patients: bool = False


def _missing_patient(patient: pl.Expr) -> Rule:
    return Rule(Reason.MISSING_PATIENT_ID, patient.is_null(), "patient_id")


def read_event(batch: RawBatch) -> Reading:
    """Read a coded event: diagnosis, procedure, medication, and the event part of a lab result."""
    raw = batch.columns
    patient, code, day = raw.text("patient_id"), raw.text("code"), raw.text("date")
    system = raw.text("code_system")
    if "code_system" in raw.names:
        system = batch.code_systems.column(batch.frame.get_column("code_system"), system)
    return Reading(
        columns={
            "patient_id": patient,
            "date": values.day(day),
            "code_system": system,
            "code": code,
            "encounter_id": raw.text("encounter_id"),
        },
        rules=[
            _missing_patient(patient),
            Rule(Reason.MISSING_CODE, code.is_null(), "code"),
            Rule(Reason.UNKNOWN_CODE_SYSTEM, system.is_null(), "code_system"),
            *values.day_rules(day, "date", today=batch.today, required=True),
        ],
    )


def read_lab_result(batch: RawBatch) -> Reading:
    """Read a laboratory result. A number that is none is kept as text, so nothing is lost."""
    event = read_event(batch)
    raw = batch.columns
    written = raw.text("value_number")
    value = values.number(written)
    unreadable = pl.when(value.is_null()).then(written)
    return Reading(
        columns={
            **event.columns,
            "value_number": value,
            "value_text": pl.coalesce(raw.text("value_text"), unreadable),
            "unit": raw.text("unit"),
        },
        rules=event.rules,
    )


def read_patient(batch: RawBatch) -> Reading:
    """Read demographics; empty year of birth, race, ethnicity and death are allowed."""
    raw = batch.columns
    patient = raw.text("patient_id")
    birth, death = raw.text("year_of_birth"), raw.text("death_date")
    born, died = values.year_of_birth(birth), values.death_day(death)
    return Reading(
        columns={
            "patient_id": patient,
            "sex": values.sex(raw.text("sex")),
            "year_of_birth": born,
            "race": raw.text("race"),
            "ethnicity": raw.text("ethnicity"),
            "death_date": died,
        },
        rules=[
            _missing_patient(patient),
            *values.year_of_birth_rules(birth, "year_of_birth", today=batch.today),
            *values.death_rules(death, "death_date", today=batch.today),
            Rule(Reason.BEFORE_BIRTH, died.dt.year() < born, "death_date"),
        ],
    )


def read_terminology(batch: RawBatch) -> Reading:
    """Read a description of a code."""
    raw = batch.columns
    code, description = raw.text("code"), raw.text("description")
    system = raw.text("code_system")
    if "code_system" in raw.names:
        system = batch.code_systems.column(batch.frame.get_column("code_system"), system)
    return Reading(
        columns={"code_system": system, "code": code, "description": description},
        rules=[
            Rule(Reason.MISSING_CODE, code.is_null(), "code"),
            Rule(Reason.UNKNOWN_CODE_SYSTEM, system.is_null(), "code_system"),
            Rule(Reason.MISSING_DESCRIPTION, description.is_null(), "description"),
        ],
    )


def read_cohort_table(batch: RawBatch) -> Reading:
    """Read LEARN's cohort table (`final_data_yrCut0.txt`).

    The outcome is dated by `days_till_sle_new` counted from `iDate`, which LEARN's rules use, and
    by `date_sle_new` where that is empty; first and last record by `days_first_event` and
    `days_last_event`.
    """
    raw = batch.columns
    patient, index_text = raw.text("patient_id"), raw.text("iDate", "index_date")
    birth, age = raw.text("yob", "year_of_birth"), raw.text("age_at_ANAp", "age_at_index")
    index = values.day(index_text)
    outcome, rheumatic = raw.text("date_sle_new"), raw.text("date_rd_new")
    lupus, cancer = raw.text("diagnosis_dile"), raw.text("diagnosis_cancer")
    offsets = {
        name: raw.text(name)
        for name in ("days_first_event", "days_last_event", "days_till_sle_new")
    }
    return Reading(
        columns={
            "patient_id": patient,
            "sex": values.sex(raw.text("sex")),
            "year_of_birth": values.year_of_birth(birth),
            "age_at_index": values.number(age),
            "index_date": index,
            "first_record_date": _days_after(index, offsets["days_first_event"]),
            "last_record_date": _days_after(index, offsets["days_last_event"]),
            "outcome_date": pl.coalesce(
                _days_after(index, offsets["days_till_sle_new"]), values.day(outcome)
            ),
            "other_rheumatic_disease_date": values.day(rheumatic),
            "drug_induced_lupus": values.flag(lupus),
            "cancer": values.flag(cancer),
        },
        rules=[
            _missing_patient(patient),
            *values.day_rules(index_text, "iDate", today=batch.today, required=True),
            *values.year_of_birth_rules(birth, "yob", today=batch.today),
            Rule(Reason.BEFORE_BIRTH, index.dt.year() < values.year_of_birth(birth), "iDate"),
            values.number_rule(age, "age_at_ANAp"),
            Rule(Reason.UNREADABLE_VALUE, ~values.number(age).is_between(0, 130), "age_at_ANAp"),
            *(values.number_rule(text, name) for name, text in offsets.items()),
            *values.day_rules(outcome, "date_sle_new", today=batch.today, required=False),
            *values.day_rules(rheumatic, "date_rd_new", today=batch.today, required=False),
            values.flag_rule(lupus, "diagnosis_dile"),
            values.flag_rule(cancer, "diagnosis_cancer"),
        ],
    )


def _days_after(index: pl.Expr, offset: pl.Expr) -> pl.Expr:
    days = values.number(offset).round(0).cast(pl.Int64, strict=False)
    return (index + pl.duration(days=days)).cast(pl.Date)


def read_genetic_score(batch: RawBatch) -> Reading:
    """Read a genetic score; an empty one is of no use and unreadable."""
    raw = batch.columns
    patient, score = raw.text("patient_id"), raw.text("score")
    value = values.number(score)
    return Reading(
        columns={"patient_id": patient, "score": value},
        rules=[
            _missing_patient(patient),
            Rule(Reason.UNREADABLE_VALUE, value.is_null(), "score"),
        ],
    )


_EVENT = TableRules(read_event, "patient_id", ("patient_id", "date"), of_patients=True)
_PERSON = ("patient_id",)

TABLE_RULES: dict[str, TableRules] = {
    "patient": TableRules(read_patient, "patient_id", _PERSON, once=_PERSON),
    "diagnosis": _EVENT,
    "procedure": _EVENT,
    "medication": _EVENT,
    "lab_result": TableRules(
        read_lab_result, "patient_id", ("patient_id", "date"), of_patients=True
    ),
    "terminology": TableRules(
        read_terminology, "code", ("code", "code_system"), once=("code_system", "code")
    ),
    "cohort_table": TableRules(read_cohort_table, "patient_id", _PERSON, once=_PERSON),
    "genetic_score": TableRules(read_genetic_score, "patient_id", _PERSON, once=_PERSON),
}
