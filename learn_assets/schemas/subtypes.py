"""Contracts of the tables of a subtypes study: discharges, descriptions and comparisons."""

from __future__ import annotations

import datetime

import pandera.polars as pa
import polars as pl

from learn_assets.schemas.records import Table

_TEXT_LIST = {"inner": pl.String}


class Discharges(Table):
    """Admissions that stay in the study, one row each."""

    admission_id: str = pa.Field(unique=True, description="Running number of the admission.")
    patient_number: str = pa.Field(
        nullable=True, description="Running number of the patient, when the file links admissions."
    )
    sex: str = pa.Field(isin=["F", "M"], description="F or M.")
    year: pl.Int32 = pa.Field(ge=1900, le=2100, description="Calendar year, as the registry says.")
    admission_date: pl.Date = pa.Field(ge=datetime.date(1900, 1, 1), description="Day.")
    age_years: pl.Int32 = pa.Field(
        nullable=True, ge=0, le=120, description="Completed years at admission."
    )
    stay_days: pl.Int32 = pa.Field(nullable=True, ge=0, description="Length of stay in days.")
    severity: pl.Int8 = pa.Field(nullable=True, ge=1, le=4, description="APR severity level.")
    mortality_risk: pl.Int8 = pa.Field(
        nullable=True, ge=1, le=4, description="APR risk of mortality."
    )
    cost: pl.Float64 = pa.Field(nullable=True, ge=0, description="APR cost in euros.")
    weight: pl.Float64 = pa.Field(nullable=True, ge=0, description="Spanish APR weight.")
    region: str = pa.Field(nullable=True, description="Autonomous community, as sent.")
    diagnoses: pl.List = pa.Field(
        dtype_kwargs=_TEXT_LIST,
        description="ICD-10 codes without dot, upper case, in the file's order, principal first.",
    )

    @pa.dataframe_check(name="principal_diagnosis_present")
    def _has_a_principal(cls, data: pa.PolarsData) -> pl.LazyFrame:  # noqa: N805
        return data.lazyframe.select(pl.col("diagnoses").list.len() > 0)


class DiscardedDischarges(Table):
    """Rows of the files that do not stay; rows read = rows kept + rows here."""

    source_file: str = pa.Field(description="File name.")
    source_row: pl.Int64 = pa.Field(ge=1, description="Line in the file; in an SPSS file, record.")
    reason: str = pa.Field(str_length={"min_value": 1}, description="Why the row was discarded.")


class DiagnosisDescription(Table):
    """One row a diagnosis code of the study, with its text."""

    code: str = pa.Field(unique=True, description="ICD-10 code without dot, upper case.")
    description: str = pa.Field(nullable=True, description="Text; empty when there is none.")
    source: str = pa.Field(
        isin=["exact", "parent", "none"],
        description="Whether the text is of the code itself or of the closest code above it.",
    )
    mentions: pl.Int64 = pa.Field(ge=1, description="How often admissions carry the code.")
