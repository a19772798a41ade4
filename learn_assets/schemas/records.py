"""Contracts of the canonical record tables: what every source is turned into.

What belongs here: tables made by ingest and validation. Dates are calendar days; ids and codes are
text, so leading zeros survive.
"""

from __future__ import annotations

import datetime

import pandera.polars as pa
import polars as pl

EARLIEST_DATE = datetime.date(1900, 1, 1)
EARLIEST_BIRTH = 1880
# A figure has room for so much of a name.
LONGEST_CARE_SITE = 40


class Table(pa.DataFrameModel):
    """Base of every contract: exactly these columns, in this order, of these types."""

    class Config:
        """Strict: an unknown or missing column is an error, and nothing is coerced."""

        strict = True
        ordered = True
        coerce = False


class Patient(Table):
    """One row a person in the extract."""

    patient_id: str = pa.Field(unique=True, str_length={"min_value": 1}, description="Id as sent.")
    sex: str = pa.Field(isin=["F", "M", "U"], description="F, M, or U when unknown.")
    year_of_birth: pl.Int32 = pa.Field(
        nullable=True, ge=EARLIEST_BIRTH, description="Calendar year."
    )
    race: str = pa.Field(nullable=True, description="As the site words it.")
    ethnicity: str = pa.Field(nullable=True, description="As the site words it.")
    death_date: pl.Date = pa.Field(nullable=True, description="Day, or last day of its month.")
    source_row: pl.Int64 = pa.Field(ge=1, description="Line in the source.")


class EventRecord(Table):
    """One coded event of a patient on a day."""

    patient_id: str = pa.Field(str_length={"min_value": 1}, description="Person.")
    date: pl.Date = pa.Field(ge=EARLIEST_DATE, description="Day of the event.")
    code_system: str = pa.Field(str_length={"min_value": 1}, description="As TriNetX spells it.")
    code: str = pa.Field(str_length={"min_value": 1}, description="Code as sent, trimmed.")
    encounter_id: str = pa.Field(nullable=True, description="Visit, when the source has one.")
    source_row: pl.Int64 = pa.Field(
        unique=True, ge=1, description="Position in the source; keeps the order within a day."
    )


class Diagnosis(EventRecord):
    """One row a diagnosis record."""


class Procedure(EventRecord):
    """One row a procedure record."""


class Medication(EventRecord):
    """One row a drug record."""


class LabResult(EventRecord):
    """One row a laboratory result."""

    value_number: pl.Float64 = pa.Field(
        nullable=True, description="Numeric result; none of a titer, or of one below a limit."
    )
    value_text: str = pa.Field(nullable=True, description="Result in words, as sent.")
    unit: str = pa.Field(nullable=True, description="Unit as sent.")
    said_number: pl.Float64 = pa.Field(
        nullable=True, description="Number that the result names: of a titer its reciprocal."
    )
    comparator: str = pa.Field(
        nullable=True,
        isin=["<", "<=", ">", ">="],
        description="How the result compares with that number; none: it is the number.",
    )
    word: str = pa.Field(
        nullable=True, description="What the text says besides, in lower case: positive, speckled."
    )


class Terminology(Table):
    """Descriptions the site ships with its extract."""

    code_system: str = pa.Field(str_length={"min_value": 1}, description="Code system.")
    code: str = pa.Field(str_length={"min_value": 1}, description="Code as sent.")
    description: str = pa.Field(str_length={"min_value": 1}, description="Text of the code.")


class CohortTable(Table):
    """The extract's own cohort table (supplied mode), one row a patient."""

    patient_id: str = pa.Field(unique=True, str_length={"min_value": 1}, description="Person.")
    sex: str = pa.Field(isin=["F", "M", "U"], description="F, M, or U when unknown.")
    year_of_birth: pl.Int32 = pa.Field(nullable=True, description="Calendar year.")
    age_at_index: pl.Float64 = pa.Field(nullable=True, ge=0, le=130, description="Years.")
    index_date: pl.Date = pa.Field(description="Day of the index event.")
    first_record_date: pl.Date = pa.Field(nullable=True, description="First day on record.")
    last_record_date: pl.Date = pa.Field(nullable=True, description="Last day on record.")
    outcome_date: pl.Date = pa.Field(nullable=True, description="First day of the outcome.")
    other_rheumatic_disease_date: pl.Date = pa.Field(
        nullable=True, description="First day of another rheumatic disease."
    )
    drug_induced_lupus: bool = pa.Field(description="Flag without a date.")
    cancer: bool = pa.Field(description="Flag without a date.")
    source_row: pl.Int64 = pa.Field(ge=1, description="Line in the source.")


class CohortFeature(Table):
    """Numeric columns of the supplied cohort table, long form; an empty cell has no row."""

    patient_id: str = pa.Field(str_length={"min_value": 1}, description="Person.")
    feature: str = pa.Field(str_length={"min_value": 1}, description="Column of the cohort table.")
    value: pl.Float64 = pa.Field(description="Its number.")


class GeneticScore(Table):
    """Genetic risk score, one row a patient."""

    patient_id: str = pa.Field(unique=True, str_length={"min_value": 1}, description="Person.")
    score: pl.Float64 = pa.Field(description="Score as sent.")
    source_row: pl.Int64 = pa.Field(ge=1, description="Line in the source.")


class CareSite(Table):
    """Institution of a network that mainly treats a patient, one row a patient."""

    patient_id: str = pa.Field(unique=True, str_length={"min_value": 1}, description="Person.")
    care_site: str = pa.Field(
        str_length={"min_value": 1, "max_value": LONGEST_CARE_SITE},
        description="Pseudonym of the institution, as sent.",
    )
    source_row: pl.Int64 = pa.Field(ge=1, description="Line in the source.")


class ObservationPeriod(Table):
    """A span in which whatever happened to a patient would be on record, as OMOP states it."""

    patient_id: str = pa.Field(str_length={"min_value": 1}, description="Person.")
    start_date: pl.Date = pa.Field(ge=EARLIEST_DATE, description="First day.")
    end_date: pl.Date = pa.Field(nullable=True, description="Last day; empty: not over.")
    source_row: pl.Int64 = pa.Field(unique=True, ge=1, description="Position in the source.")


class Quarantine(Table):
    """Rows that were refused, with the reason; rows in = rows kept + rows here."""

    source_file: str = pa.Field(description="File name.")
    source_row: pl.Int64 = pa.Field(ge=1, description="Line in the file.")
    column: str = pa.Field(nullable=True, description="Column at fault, when one is.")
    reason: str = pa.Field(str_length={"min_value": 1}, description="Why the row was refused.")
    record: str = pa.Field(nullable=True, description="The row as read; never leaves the lake.")
