"""Contracts of the tables made from records: vocabulary, cohort, features, models and scores."""

from __future__ import annotations

import pandera.polars as pa
import polars as pl

from learn_assets.schemas.records import Table

KINDS = ["diagnosis", "procedure", "medication"]


class CodeList(Table):
    """The study's code lists, resolved to one row a code."""

    list: str = pa.Field(description="Name of the list.")
    code_system: str = pa.Field(description="Code system.")
    code: str = pa.Field(str_length={"min_value": 1}, description="Upper case; ICD without dot.")
    match: str = pa.Field(isin=["exact", "prefix"], description="How a record's code is compared.")


class PackagedDescription(Table):
    """ICD descriptions from packaged vocabularies."""

    code_system: str = pa.Field(description="Code system.")
    code: str = pa.Field(str_length={"min_value": 1}, description="Upper case, without dot.")
    description: str = pa.Field(str_length={"min_value": 1}, description="Official title.")


class NdcToRxnorm(Table):
    """One RXCUI a national drug code."""

    ndc: str = pa.Field(unique=True, str_matches=r"^\d{11}$", description="11 digits.")
    rxcui: str = pa.Field(str_length={"min_value": 1}, description="RxNorm concept.")
    origin: str = pa.Field(isin=["current", "archive"], description="Where the RXCUI stands.")


class RxnormName(Table):
    """One name an RXCUI, and its ingredient when RXNREL was given."""

    rxcui: str = pa.Field(unique=True, description="RxNorm concept.")
    name: str = pa.Field(str_length={"min_value": 1}, description="Preferred name.")
    ingredient_rxcui: str = pa.Field(nullable=True, description="Ingredient concept.")
    ingredient_name: str = pa.Field(nullable=True, description="Ingredient name.")


class CodeDescription(Table):
    """The one description of each code on record."""

    kind: str = pa.Field(isin=KINDS, description="Kind of record.")
    code_system: str = pa.Field(description="Code system.")
    code: str = pa.Field(description="Code as recorded.")
    description: str = pa.Field(str_length={"min_value": 1}, description="Text used in narratives.")
    origin: str = pa.Field(
        isin=["site", "packaged", "parent", "rxnorm"], description="Where the text comes from."
    )


class NormalizedMedication(Table):
    """Drug records with RxNorm concept and name."""

    patient_id: str = pa.Field(description="Person.")
    date: pl.Date = pa.Field(description="Start day.")
    code_system: str = pa.Field(description="Code system as recorded.")
    code: str = pa.Field(description="Code as recorded.")
    rxcui: str = pa.Field(nullable=True, description="RxNorm concept, when one was found.")
    drug_name: str = pa.Field(nullable=True, description="Preferred name, when one was found.")
    encounter_id: str = pa.Field(nullable=True, description="Visit.")
    source_row: pl.Int64 = pa.Field(unique=True, description="Order in the source.")


class UnmappedCodes(Table):
    """Codes on record that have no description."""

    kind: str = pa.Field(isin=KINDS, description="Kind of record.")
    code_system: str = pa.Field(description="Code system.")
    code: str = pa.Field(description="Code as recorded.")
    records: pl.Int64 = pa.Field(ge=1, description="Records that carry it.")


class IndexResults(Table):
    """How the rule of the index event read the results of its own test."""

    matched: str = pa.Field(isin=["number", "word", "none"], description="What matched the rule.")
    text: str = pa.Field(nullable=True, description="Text of results that no rule matches.")
    results: pl.Int64 = pa.Field(ge=1, description="Laboratory results.")
    patients: pl.Int64 = pa.Field(ge=1, description="Patients with such a result.")


class DescriptionCoverage(Table):
    """Share of records with a description."""

    kind: str = pa.Field(isin=KINDS, description="Kind of record.")
    code_system: str = pa.Field(description="Code system.")
    records: pl.Int64 = pa.Field(ge=0, description="Records.")
    described: pl.Int64 = pa.Field(ge=0, description="Records with a description.")
    share: pl.Float64 = pa.Field(ge=0, le=1, description="described / records.")


class IndexEvents(Table):
    """Everyone with an index event, and the dates the cohort rules need."""

    patient_id: str = pa.Field(unique=True, description="Person.")
    index_date: pl.Date = pa.Field(description="Day of the index event.")
    age_at_index: pl.Float64 = pa.Field(nullable=True, description="Years.")
    sex: str = pa.Field(isin=["F", "M", "U"], description="F, M or U.")
    first_record_date: pl.Date = pa.Field(nullable=True, description="First day on record.")
    last_record_date: pl.Date = pa.Field(nullable=True, description="Last day on record.")
    outcome_date: pl.Date = pa.Field(nullable=True, description="Day of the outcome.")
    death_date: pl.Date = pa.Field(nullable=True, description="Day of death.")


class ExclusionEvents(Table):
    """Who has which exclusion, and since when."""

    patient_id: str = pa.Field(description="Person.")
    exclusion: str = pa.Field(description="Name of the exclusion.")
    first_date: pl.Date = pa.Field(nullable=True, description="Empty: a flag without a date.")


class OutcomeConfirmation(Table):
    """Since when the outcome of each patient who has it is known."""

    patient_id: str = pa.Field(unique=True, description="Person.")
    confirmed_date: pl.Date = pa.Field(description="Last of the days that the rule asks for.")


class SevereOutcomeEvents(Table):
    """First day of each severe outcome."""

    patient_id: str = pa.Field(description="Person.")
    outcome: str = pa.Field(description="Name of the severe outcome.")
    first_date: pl.Date = pa.Field(description="First day on record.")


class SevereOutcomeFollowUp(Table):
    """How long each patient is followed for each severe outcome, and how that ends."""

    patient_id: str = pa.Field(description="Person.")
    outcome: str = pa.Field(description="Name of the severe outcome.")
    prevalent: bool = pa.Field(description="Whether it was on record by the index date.")
    days: pl.Int32 = pa.Field(ge=0, description="Days from the index date to the end.")
    status: str = pa.Field(isin=["event", "death", "censored"], description="How it ends.")


class CharlsonIndex(Table):
    """Charlson index from records before the index date, without its rheumatic item."""

    patient_id: str = pa.Field(unique=True, description="Person.")
    charlson_1987: pl.Int32 = pa.Field(ge=0, description="Original weights.")
    charlson_2011: pl.Int32 = pa.Field(ge=0, description="Updated weights (Quan et al. 2011).")


class Cohort(Table):
    """Eligible patients of a window with their label."""

    patient_id: str = pa.Field(unique=True, description="Person.")
    label: pl.Int8 = pa.Field(
        nullable=True,
        isin=[0, 1],
        description="1 case, 0 control, empty: censored or in the buffer.",
    )
    index_date: pl.Date = pa.Field(description="Day of the index event.")
    age_at_index: pl.Float64 = pa.Field(nullable=True, description="Years.")
    sex: str = pa.Field(isin=["F", "M", "U"], description="F, M or U.")
    time_to_event_days: pl.Int32 = pa.Field(
        nullable=True, description="Days from index to outcome, or to the end of observation."
    )
    event_observed: bool = pa.Field(description="Whether that time ends with the outcome.")
    enough_records: bool = pa.Field(description="Whether the history has the minimum of records.")


class Attrition(Table):
    """How many patients each rule leaves and removes."""

    step: pl.Int32 = pa.Field(unique=True, ge=0, description="Order of the rule.")
    name: str = pa.Field(unique=True, description="Short name of the rule.")
    reason: str = pa.Field(description="The rule in words.")
    remaining: pl.Int64 = pa.Field(ge=0, description="Patients left after it.")
    removed: pl.Int64 = pa.Field(ge=0, description="Patients it removed.")


class ScoringPopulation(Table):
    """Eligible, outcome-free at the end of the data, and not labeled in the cohort."""

    patient_id: str = pa.Field(unique=True, description="Person.")
    index_date: pl.Date = pa.Field(description="Day of the index event.")
    age_at_index: pl.Float64 = pa.Field(nullable=True, description="Years.")
    sex: str = pa.Field(isin=["F", "M", "U"], description="F, M or U.")


class Narratives(Table):
    """History before the index date as text, one row a patient and kind."""

    patient_id: str = pa.Field(description="Person.")
    kind: str = pa.Field(isin=KINDS, description="Kind of record.")
    text: str = pa.Field(str_length={"min_value": 1}, description="The history.")
    records: pl.Int64 = pa.Field(ge=1, description="Records it is written from.")
    text_sha256: str = pa.Field(str_matches=r"^[0-9a-f]{64}$", description="Hash of the text.")


class ConceptMentions(Table):
    """What was recorded before the index date; one row a description and day."""

    patient_id: str = pa.Field(description="Person.")
    kind: str = pa.Field(isin=KINDS, description="Kind of record.")
    description: str = pa.Field(str_length={"min_value": 1}, description="Text of the code.")
    days_before: pl.Int64 = pa.Field(ge=1, description="Days from the record to the index date.")


class EventCounts(Table):
    """Counts of records strictly before the index date, long form; absence is 0."""

    patient_id: str = pa.Field(description="Person.")
    feature: str = pa.Field(description="kind|code system|code, with |last-<days> for look-backs.")
    count: pl.Float64 = pa.Field(description="How many.")


class LatestMeasurement(Table):
    """Last laboratory value before the index date; absence is missing, never 0."""

    patient_id: str = pa.Field(description="Person.")
    feature: str = pa.Field(description="lab|code system|code, with |<unit> when one is sent.")
    value: pl.Float64 = pa.Field(description="Last number before the index date.")


class CrossValidation(Table):
    """Out-of-fold probability of being a case."""

    patient_id: str = pa.Field(description="Person.")
    fold: pl.Int32 = pa.Field(ge=0, description="Fold that held the patient out.")
    feature_set: str = pa.Field(description="Feature set.")
    learner: str = pa.Field(description="Learner.")
    probability: pl.Float64 = pa.Field(ge=0, le=1, description="Probability of being a case.")
    label: pl.Int8 = pa.Field(isin=[0, 1], description="1 case, 0 control.")


class Performance(Table):
    """Estimates of a feature set and learner."""

    feature_set: str = pa.Field(description="Feature set.")
    learner: str = pa.Field(description="Learner.")
    metric: str = pa.Field(description="Name of the metric.")
    estimate: pl.Float64 = pa.Field(nullable=True, description="Value; empty when undefined.")
    lower: pl.Float64 = pa.Field(nullable=True, description="Lower end of the 95 % interval.")
    upper: pl.Float64 = pa.Field(nullable=True, description="Upper end of the 95 % interval.")


class Comparisons(Table):
    """Differences between two models on the same patients, first minus second."""

    question: str = pa.Field(description="What the comparison answers.")
    first_feature_set: str = pa.Field(description="Feature set of the first model.")
    first_learner: str = pa.Field(description="Learner of the first model.")
    second_feature_set: str = pa.Field(description="Feature set of the second model.")
    second_learner: str = pa.Field(description="Learner of the second model.")
    metric: str = pa.Field(isin=["auroc", "auprc", "brier"], description="What is compared.")
    method: str = pa.Field(isin=["delong", "bootstrap"], description="Where the interval is from.")
    difference: pl.Float64 = pa.Field(ge=-1, le=1, description="First minus second.")
    lower: pl.Float64 = pa.Field(nullable=True, description="Lower end of the 95 % interval.")
    upper: pl.Float64 = pa.Field(nullable=True, description="Upper end of the 95 % interval.")
    p_value: pl.Float64 = pa.Field(
        nullable=True, ge=0, le=1, description="Of no difference; DeLong only."
    )
    p_value_holm: pl.Float64 = pa.Field(
        nullable=True, ge=0, le=1, description="Corrected over the planned comparisons."
    )


class RiskScores(Table):
    """Probability of becoming a case, for the cohort and for everyone eligible now."""

    patient_id: str = pa.Field(description="Person.")
    feature_set: str = pa.Field(description="Feature set.")
    learner: str = pa.Field(description="Learner.")
    basis: str = pa.Field(
        isin=["out_of_fold", "final_model"], description="Which model gave the score."
    )
    probability: pl.Float64 = pa.Field(ge=0, le=1, description="Probability of being a case.")
