"""Contracts of the tables of a subtypes study: discharges, descriptions and comparisons."""

from __future__ import annotations

import datetime

import pandera.polars as pa
import polars as pl

from learn_assets.schemas.records import Table

_TEXT_LIST = {"inner": pl.String}
_NUMBER_LIST = {"inner": pl.Float32}
_BASES = ["admissions", "first_admissions"]


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
    def _has_a_principal(cls, data: pa.PolarsData) -> pl.LazyFrame:
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


class DiagnosisTexts(Table):
    """Text of each admission: the descriptions of its diagnoses in order."""

    admission_id: str = pa.Field(unique=True, description="Running number of the admission.")
    patient_number: str = pa.Field(
        nullable=True, description="Running number of the patient, when the file links admissions."
    )
    sex: str = pa.Field(isin=["F", "M"], description="F or M.")
    descriptions: pl.List = pa.Field(
        dtype_kwargs=_TEXT_LIST, description="One text a diagnosis, principal first."
    )
    text: str = pa.Field(str_length={"min_value": 1}, description="The texts joined by semicolons.")
    text_key: str = pa.Field(
        str_matches=r"^[0-9a-f]{64}$", description="Hash of the texts, whatever their order."
    )


class ModelTraining(Table):
    """Losses of one training, one row a look at the held-out admissions; the model is a folder."""

    epoch: pl.Int64 = pa.Field(ge=0, unique=True, description="Passes made before the look.")
    step: pl.Int64 = pa.Field(ge=0, unique=True, description="Steps made before the look.")
    training_loss: pl.Float64 = pa.Field(
        nullable=True, ge=0, description="Mean over the pass; empty before the first."
    )
    held_out_loss: pl.Float64 = pa.Field(ge=0, description="Mean over held-out admissions.")
    best: bool = pa.Field(description="Whether the weights after this pass were kept.")
    model_sha256: str = pa.Field(
        str_matches=r"^[0-9a-f]{64}$", description="Hash of the model that was kept."
    )

    @pa.dataframe_check(name="one_kept")
    def _one_is_kept(cls, data: pa.PolarsData) -> pl.LazyFrame:
        # By row, as the columns of a table are looked at without rows, too.
        return data.lazyframe.select((pl.col("best").sum() == 1) & pl.col("best").is_not_null())


class LanguageModel(ModelTraining):
    """Losses of masked-language-model training on the texts; the model is a folder."""


class ContrastiveModel(ModelTraining):
    """Losses of contrastive training of the encoder of admissions; the model is a folder."""


class TextEmbeddings(Table):
    """The vector of each admission as the trained language model gives it."""

    admission_id: str = pa.Field(unique=True, description="Running number of the admission.")
    vector: pl.List = pa.Field(dtype_kwargs=_NUMBER_LIST, description="Coordinates, float32.")

    @pa.dataframe_check(name="vectors_of_one_width_and_finite")
    def _vectors_fit(cls, data: pa.PolarsData) -> pl.LazyFrame:
        vector = pl.col("vector")
        alike = vector.list.len() == vector.list.len().first()
        finite = vector.list.eval(pl.element().is_finite()).list.all()
        return data.lazyframe.select(alike & finite)


class SexDescription(Table):
    """Admissions by sex: counts of classes, quartiles of numbers."""

    variable: str = pa.Field(description="Column of the discharges, or principal_diagnosis.")
    level: str = pa.Field(nullable=True, description="Class; empty for a number.")
    measure: str = pa.Field(
        isin=["count", "lower_quartile", "median", "upper_quartile"], description="What is told."
    )
    female: pl.Float64 = pa.Field(nullable=True, ge=0, description="Of females.")
    male: pl.Float64 = pa.Field(nullable=True, ge=0, description="Of males.")


class SexComparison(Table):
    """Tests of differences between the sexes, one row a variable."""

    basis: str = pa.Field(isin=_BASES, description="All admissions, or the first of each patient.")
    variable: str = pa.Field(description="What is compared.")
    test: str = pa.Field(isin=["mann_whitney_u", "chi_square"], description="Test.")
    female_known: pl.Int64 = pa.Field(ge=0, description="Females with a value.")
    male_known: pl.Int64 = pa.Field(ge=0, description="Males with a value.")
    statistic: pl.Float64 = pa.Field(nullable=True, description="U, or chi-square.")
    p_value: pl.Float64 = pa.Field(nullable=True, ge=0, le=1, description="As published.")
    p_exact: pl.Float64 = pa.Field(
        nullable=True, ge=0, le=1, description="Exact p where an expected count is below 5."
    )
    effect: pl.Float64 = pa.Field(
        nullable=True, ge=0, le=1, description="P(male > female) + P(equal) / 2, or Cramer's V."
    )
    effect_lower: pl.Float64 = pa.Field(nullable=True, description="Lower 95 % limit.")
    effect_upper: pl.Float64 = pa.Field(nullable=True, description="Upper 95 % limit.")
    p_holm: pl.Float64 = pa.Field(
        nullable=True, ge=0, le=1, description="Corrected over the variables of a basis (Holm)."
    )
    p_benjamini_hochberg: pl.Float64 = pa.Field(
        nullable=True, ge=0, le=1, description="Corrected over the variables of a basis (BH)."
    )


class SubstanceTable(Table):
    """Admissions with a substance group by sex (table S1), one row a group."""

    basis: str = pa.Field(isin=_BASES, description="All admissions, or the first of each patient.")
    prefix: str = pa.Field(description="Beginning of the codes.")
    substance: str = pa.Field(description="Group.")
    admissions: pl.Int64 = pa.Field(ge=0, description="Admissions with any such diagnosis.")
    rate: pl.Float64 = pa.Field(nullable=True, ge=0, le=1, description="Share of all admissions.")
    rate_lower: pl.Float64 = pa.Field(nullable=True, description="Lower 95 % limit (Wilson).")
    rate_upper: pl.Float64 = pa.Field(nullable=True, description="Upper 95 % limit (Wilson).")
    female: pl.Int64 = pa.Field(ge=0, description="Admissions of females.")
    female_total: pl.Int64 = pa.Field(ge=0, description="All admissions of females.")
    female_rate: pl.Float64 = pa.Field(nullable=True, ge=0, le=1, description="Share of females.")
    male: pl.Int64 = pa.Field(ge=0, description="Admissions of males.")
    male_total: pl.Int64 = pa.Field(ge=0, description="All admissions of males.")
    male_rate: pl.Float64 = pa.Field(nullable=True, ge=0, le=1, description="Share of males.")
    difference: pl.Float64 = pa.Field(nullable=True, description="male_rate - female_rate.")
    difference_lower: pl.Float64 = pa.Field(nullable=True, description="95 % limit (Newcombe).")
    difference_upper: pl.Float64 = pa.Field(nullable=True, description="95 % limit (Newcombe).")
    chi_square: pl.Float64 = pa.Field(nullable=True, ge=0, description="With Yates' correction.")
    p_value: pl.Float64 = pa.Field(nullable=True, ge=0, le=1, description="As published.")
    p_exact: pl.Float64 = pa.Field(
        nullable=True, ge=0, le=1, description="Fisher's p where an expected count is below 5."
    )
    p_holm: pl.Float64 = pa.Field(
        nullable=True, ge=0, le=1, description="Corrected over the groups of a basis (Holm)."
    )
    p_benjamini_hochberg: pl.Float64 = pa.Field(
        nullable=True, ge=0, le=1, description="Corrected over the groups of a basis (BH)."
    )


class DischargeTables(Table):
    """Files for a manuscript that were made, one row a file."""

    file: str = pa.Field(unique=True, description="Name in the folder discharge_tables.")
    title: str = pa.Field(description="What it shows.")
    sha256: str = pa.Field(str_matches=r"^[0-9a-f]{64}$", description="Hash of its content.")
