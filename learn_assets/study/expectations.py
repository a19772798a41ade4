"""Suite: what is expected of a site's data, each with its threshold and what failing it means.

What belongs here: the declaration. How a measure is taken stands in the modules of its subject, and
a study changes the suite under `quality`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Literal

Category = Literal["conformance", "completeness", "plausibility"]
Bound = Literal["at_least", "at_most"]
Severity = Literal["warn", "error"]
Unit = Literal["share", "number"]

CATEGORIES: tuple[Category, ...] = ("conformance", "completeness", "plausibility")
EVENT_TABLES = ("diagnosis", "procedure", "medication", "lab_result")


@dataclass(frozen=True)
class Aspect:
    """What a check is about, in the harmonized terms of Kahn et al. 2016 (eGEMs 4:1244)."""

    category: Category
    subcategory: str | None


VALUE = Aspect("conformance", "value")
RELATION = Aspect("conformance", "relational")
COMPLETE = Aspect("completeness", None)
UNIQUE = Aspect("plausibility", "uniqueness")
ATEMPORAL = Aspect("plausibility", "atemporal")
TEMPORAL = Aspect("plausibility", "temporal")


@dataclass(frozen=True)
class Expectation:
    """One expectation of a table; a value on the threshold passes.

    A `share` is between 0 and 1, a `number` in the unit that `measure` names. `error` stops what
    is made from the data, `warn` is only shown.
    """

    bound: Bound
    aspect: Aspect
    table: str
    key: str
    threshold: float
    measure: str
    severity: Severity = "warn"
    unit: Unit = "share"

    @property
    def name(self) -> str:
        """Return the name by which a study and a report speak of it."""
        return f"{self.table}.{self.key}"


_at_least = partial(Expectation, "at_least")
_at_most = partial(Expectation, "at_most")


def _of_patients() -> tuple[Expectation, ...]:
    table = "patient"
    return (
        _at_least(COMPLETE, table, "known_sex", 0.95, "patients with sex F or M"),
        _at_least(COMPLETE, table, "known_year_of_birth", 0.95,
                  "patients with a year of birth", severity="error"),
        _at_least(COMPLETE, table, "known_race", 0.5, "patients with a race"),
        _at_least(COMPLETE, table, "with_diagnosis", 0.5, "patients with a diagnosis on record"),
        _at_least(ATEMPORAL, table, "plausible_age", 0.99,
                  "patients of 0 to 110 years at death or at the end of the records"),
        _at_most(ATEMPORAL, table, "most_frequent_birth_year", 0.1,
                 "patients born in the most frequent year of birth"),
        _at_most(TEMPORAL, table, "impossible_life_dates", 0.02,
                 "rows refused: born or dead in the future, or dead before birth"),
        _at_most(UNIQUE, table, "repeated_rows", 0.05,
                 "rows refused: the patient stood in an earlier row"),
    )  # fmt: skip


def _of_received_rows(table: str) -> tuple[Expectation, ...]:
    return (
        _at_most(VALUE, table, "malformed_rows", 0.01,
                 "rows refused: columns, quotes or encoding are broken"),
        _at_most(VALUE, table, "unreadable_dates", 0.05,
                 "rows refused: the date is unreadable or impossible", severity="error"),
        _at_most(VALUE, table, "unknown_code_systems", 0.05,
                 "rows refused: the code system is unknown or missing", severity="error"),
        _at_most(RELATION, table, "unknown_patients", 0.05,
                 "rows refused: the patient is not in the patient table", severity="error"),
        _at_most(COMPLETE, table, "missing_keys", 0.01,
                 "rows refused: patient, code or date is missing"),
        _at_most(TEMPORAL, table, "future_dates", 0.001, "rows refused: dated in the future"),
        _at_most(TEMPORAL, table, "before_birth", 0.01, "rows refused: dated before birth"),
        _at_most(TEMPORAL, table, "after_death", 0.01,
                 "rows refused: dated more than 60 days after death"),
        _at_most(UNIQUE, table, "duplicate_rows", 0.05, "rows refused: the same row stood before"),
    )  # fmt: skip


def _of_records(table: str, a_patient_year: float) -> tuple[Expectation, ...]:
    return (
        _at_least(VALUE, table, "code_form", 0.98,
                  "records whose code has the form of its code system"),
        _at_least(COMPLETE, table, "a_patient_year", a_patient_year,
                  "records a patient-year, from first to last record of any kind", unit="number"),
        _at_least(COMPLETE, table, "span_years", 3.0,
                  "years from the first to the last well-filled month", unit="number"),
        _at_most(COMPLETE, table, "months_behind", 3.0,
                 "months by which the records end before those of another kind", unit="number"),
        _at_most(TEMPORAL, table, "months_missing", 0.0,
                 "months with under a quarter of the records usual before and after",
                 unit="number"),
        _at_most(TEMPORAL, table, "first_of_january", 0.02,
                 "records dated 1 January, as where only the year is known"),
    )  # fmt: skip


def _of_content() -> tuple[Expectation, ...]:
    drug, result = "medication", "lab_result"
    return (
        _at_least(ATEMPORAL, "diagnosis", "plausible_sex", 0.98,
                  "diagnoses of one sex alone that are of a patient of that sex"),
        _at_least(COMPLETE, drug, "with_rxnorm", 0.9,
                  "RxNorm and NDC records with an RxNorm concept"),
        _at_least(COMPLETE, drug, "with_ingredient", 0.8,
                  "RxNorm and NDC records with an ingredient"),
        _at_least(VALUE, result, "main_unit", 0.9,
                  "numbers with a unit that are in the most frequent unit of their code"),
        _at_least(COMPLETE, result, "with_value", 0.95, "results with a number or a text"),
        _at_least(COMPLETE, result, "with_unit", 0.9, "numbers with a unit"),
        _at_least(ATEMPORAL, result, "not_negative", 0.98, "numbers of 0 or more"),
    )  # fmt: skip


# Far below what the patients of any hospital have: it finds a feed that is all but empty.
_A_PATIENT_YEAR = {"diagnosis": 0.5, "procedure": 0.1, "medication": 0.1, "lab_result": 0.1}

SUITE: tuple[Expectation, ...] = (
    *_of_patients(),
    *(item for table in EVENT_TABLES for item in _of_received_rows(table)),
    *(item for table, least in _A_PATIENT_YEAR.items() for item in _of_records(table, least)),
    *_of_content(),
)
