"""The one list of tables: contract, stage, partitions and what may be shown of a fingerprint.

What belongs here: one row per asset of a study. Checks, jobs, schemas and the page are derived.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import polars as pl

from learn_assets.schemas import (
    derived,
    evaluation,
    outcomes,
    quality,
    records,
    sensitivity,
    subtype_clusters,
    subtypes,
)
from learn_assets.schemas.records import Table

# The stages of a study of progression, each a job, in the order they are made.
DATA_TABLES = "data_tables"
COHORT_TABLES = "cohort_tables"
RISK_MODELS = "risk_models"
SENSITIVITY = "sensitivity"
TRANSFER = "transfer"
RESULTS = "results"
# Those of a subtypes study.
SUBTYPES_DATA = "subtypes_data"
LANGUAGE_MODELS = "language_models"
SUBTYPE_CLUSTERS = "subtype_clusters"
SUBTYPE_RESULTS = "subtype_results"

Partitioning = Literal["window", "cell", "sex"]
# A job's assets share their partitions. Whether a language model has any is a choice of the study.
PARTITIONED_BY: dict[str, Partitioning] = {
    COHORT_TABLES: "window",
    RISK_MODELS: "cell",
    SENSITIVITY: "cell",
    TRANSFER: "cell",
    SUBTYPE_CLUSTERS: "sex",
}


@dataclass(frozen=True)
class Declared:
    """What the code has to know of an asset.

    contract: none of what is no table (models, a page) or has no fixed columns. fingerprint: where
    it may be shown. It stays `hidden` where the few numbers of a table, masked ones too, could be
    guessed from it. Only tables with patient identifiers are on the `page`. arrives: whether a site
    sends the table, which makes it three: as it came, validated, and the rows that were refused.
    """

    stage: str
    contract: type[Table] | None = None
    fingerprint: Literal["hidden", "metadata", "page"] = "hidden"
    arrives: bool = False


# Several tables in one asset, and what only other SQL reads.
_BETWEEN = (
    "rxnorm_release",
    "int_code_list_events",
    "int_event_counts",
    "int_latest_measurement",
    "int_listed_codes",
    "int_medication_code",
    "int_patient_span",
    "int_record_totals",
    "int_recorded_codes",
    "int_rxnorm_current",
)

_PROGRESSION = {
    "patient": Declared(DATA_TABLES, records.Patient, "page", arrives=True),
    "diagnosis": Declared(DATA_TABLES, records.Diagnosis, "page", arrives=True),
    "procedure": Declared(DATA_TABLES, records.Procedure, "page", arrives=True),
    "medication": Declared(DATA_TABLES, records.Medication, "page", arrives=True),
    "lab_result": Declared(DATA_TABLES, records.LabResult, "page", arrives=True),
    "terminology": Declared(DATA_TABLES, records.Terminology, "page", arrives=True),
    "cohort_table": Declared(DATA_TABLES, records.CohortTable, "page", arrives=True),
    "cohort_feature": Declared(DATA_TABLES, records.CohortFeature, "page"),
    "genetic_score": Declared(DATA_TABLES, records.GeneticScore, "page", arrives=True),
    "care_site": Declared(DATA_TABLES, records.CareSite, "page", arrives=True),
    "observation_period": Declared(
        DATA_TABLES, records.ObservationPeriod, "metadata", arrives=True
    ),
    "code_list": Declared(DATA_TABLES, derived.CodeList, "metadata"),
    "packaged_description": Declared(DATA_TABLES, derived.PackagedDescription, "metadata"),
    "ndc_to_rxnorm": Declared(DATA_TABLES, derived.NdcToRxnorm, "metadata"),
    "rxnorm_name": Declared(DATA_TABLES, derived.RxnormName, "metadata"),
    "code_description": Declared(DATA_TABLES, derived.CodeDescription, "metadata"),
    "normalized_medication": Declared(DATA_TABLES, derived.NormalizedMedication, "metadata"),
    "unmapped_codes": Declared(DATA_TABLES, derived.UnmappedCodes),
    "description_coverage": Declared(DATA_TABLES, derived.DescriptionCoverage),
    "data_quality": Declared(DATA_TABLES, quality.DataQuality),
    "index_results": Declared(DATA_TABLES, derived.IndexResults),
    "index_events": Declared(DATA_TABLES, derived.IndexEvents, "page"),
    "exclusion_events": Declared(DATA_TABLES, derived.ExclusionEvents, "metadata"),
    "outcome_confirmation": Declared(DATA_TABLES, derived.OutcomeConfirmation, "metadata"),
    "severe_outcome_events": Declared(DATA_TABLES, derived.SevereOutcomeEvents, "metadata"),
    "severe_outcome_follow_up": Declared(DATA_TABLES, derived.SevereOutcomeFollowUp, "metadata"),
    "charlson_index": Declared(DATA_TABLES, derived.CharlsonIndex, "metadata"),
    "narratives": Declared(DATA_TABLES, derived.Narratives, "page"),
    "concept_mentions": Declared(DATA_TABLES, derived.ConceptMentions, "metadata"),
    **dict.fromkeys(_BETWEEN, Declared(DATA_TABLES, fingerprint="metadata")),
    "cohort": Declared(COHORT_TABLES, derived.Cohort, "page"),
    "attrition": Declared(COHORT_TABLES, derived.Attrition),
    "scoring_population": Declared(COHORT_TABLES, derived.ScoringPopulation, "metadata"),
    "event_counts": Declared(COHORT_TABLES, derived.EventCounts, "page"),
    "latest_measurement": Declared(COHORT_TABLES, derived.LatestMeasurement, "page"),
    "patient_embeddings": Declared(RISK_MODELS, fingerprint="page"),
    "cross_validation": Declared(RISK_MODELS, derived.CrossValidation, "page"),
    "trained_models": Declared(RISK_MODELS),
    "champion": Declared(RISK_MODELS),
    "model_bundle": Declared(RISK_MODELS),
    "risk_scores": Declared(RISK_MODELS, derived.RiskScores, "page"),
    "performance": Declared(RISK_MODELS, derived.Performance),
    "comparisons": Declared(RISK_MODELS, derived.Comparisons),
    "net_benefit": Declared(RISK_MODELS, evaluation.NetBenefit),
    "subgroup_performance": Declared(RISK_MODELS, evaluation.SubgroupPerformance),
    "explanations": Declared(RISK_MODELS, evaluation.Explanations, "metadata"),
    "time_to_event_scores": Declared(RISK_MODELS, outcomes.TimeToEventScores, "metadata"),
    "time_to_event_performance": Declared(RISK_MODELS, outcomes.TimeToEventPerformance),
    "nephritis_evaluation": Declared(RISK_MODELS, outcomes.SevereOutcomeEstimates),
    "severe_outcome_evaluation": Declared(RISK_MODELS, outcomes.SevereOutcomeEstimates),
    "genetic_stratification": Declared(RISK_MODELS, outcomes.GeneticStratification),
    "repeated_cross_validation": Declared(SENSITIVITY, sensitivity.RepeatedCrossValidation),
    "temporal_validation": Declared(SENSITIVITY, sensitivity.TemporalValidation),
    "learning_curve": Declared(SENSITIVITY, sensitivity.LearningCurve),
    "imbalance_sensitivity": Declared(SENSITIVITY, sensitivity.ImbalanceSensitivity),
    "nested_selection": Declared(SENSITIVITY, sensitivity.NestedSelection, "metadata"),
    "site_holdout": Declared(SENSITIVITY, sensitivity.SiteHoldout),
    "external_validation": Declared(TRANSFER, derived.ExternalValidation),
    "site_differences": Declared(TRANSFER, derived.SiteDifferences),
    "window_leaderboard": Declared(RESULTS, sensitivity.Leaderboard),
    "encoder_leaderboard": Declared(RESULTS, sensitivity.Leaderboard),
    "study_report": Declared(RESULTS),
}

# A subtypes study shares no table with a study of progression.
_SUBTYPES = {
    "discharges": Declared(SUBTYPES_DATA, subtypes.Discharges, "metadata"),
    "discarded_discharges": Declared(SUBTYPES_DATA, subtypes.DiscardedDischarges, "metadata"),
    "diagnosis_description": Declared(SUBTYPES_DATA, subtypes.DiagnosisDescription, "metadata"),
    "diagnosis_texts": Declared(SUBTYPES_DATA, subtypes.DiagnosisTexts, "metadata"),
    "language_model": Declared(LANGUAGE_MODELS, subtypes.LanguageModel, "metadata"),
    "contrastive_model": Declared(LANGUAGE_MODELS, subtypes.ContrastiveModel, "metadata"),
    "text_embeddings": Declared(LANGUAGE_MODELS, subtypes.TextEmbeddings, "metadata"),
    "sex_description": Declared(SUBTYPES_DATA, subtypes.SexDescription),
    "sex_comparison": Declared(SUBTYPES_DATA, subtypes.SexComparison),
    "substance_table": Declared(SUBTYPES_DATA, subtypes.SubstanceTable),
    "discharge_tables": Declared(SUBTYPES_DATA, subtypes.DischargeTables, "metadata"),
    "discharge_embeddings": Declared(
        SUBTYPE_CLUSTERS, subtype_clusters.DischargeEmbeddings, "metadata"
    ),
    "embedding_directions": Declared(
        SUBTYPE_CLUSTERS, subtype_clusters.EmbeddingDirections, "metadata"
    ),
    "cluster_selection": Declared(SUBTYPE_CLUSTERS, subtype_clusters.ClusterSelection),
    "cluster_verdict": Declared(SUBTYPE_CLUSTERS, subtype_clusters.ClusterVerdict),
    "subtypes": Declared(SUBTYPE_CLUSTERS, subtype_clusters.Subtypes, "metadata"),
    "nuisance_audit": Declared(SUBTYPE_CLUSTERS, subtype_clusters.NuisanceAudit),
    "disease_weights": Declared(SUBTYPE_CLUSTERS, subtype_clusters.DiseaseWeights, "metadata"),
    "subtype_validation": Declared(SUBTYPE_CLUSTERS, subtype_clusters.SubtypeValidation),
    "subtype_replication": Declared(SUBTYPE_CLUSTERS, subtype_clusters.SubtypeReplication),
    "subtype_match": Declared(SUBTYPE_RESULTS, subtype_clusters.SubtypeMatch),
    "subtype_tables": Declared(SUBTYPE_RESULTS, subtype_clusters.SubtypeFiles, "metadata"),
    "subtype_figures": Declared(SUBTYPE_RESULTS, subtype_clusters.SubtypeFiles, "metadata"),
    "subtype_page": Declared(SUBTYPE_RESULTS, subtype_clusters.SubtypeFiles, "metadata"),
}

# The tables that a site sends.
ARRIVING = tuple(table for table, row in _PROGRESSION.items() if row.arrives)

ASSETS: dict[str, Declared] = {
    **_PROGRESSION,
    **{f"raw_{table}": Declared(DATA_TABLES) for table in ARRIVING},
    **{
        f"{table}_quarantine": Declared(DATA_TABLES, records.Quarantine, "metadata")
        for table in ARRIVING
    },
    **_SUBTYPES,
}


def _checked(declared: dict[str, Declared]) -> dict[str, type[Table]]:
    return {table: row.contract for table, row in declared.items() if row.contract is not None}


# The tables whose contract a check holds them against, by kind of study.
TABLES = _checked(_PROGRESSION)
SUBTYPE_TABLES = _checked(_SUBTYPES)


def made_in(stage: str) -> tuple[str, ...]:
    """Return the assets of a stage."""
    return tuple(asset for asset, row in ASSETS.items() if row.stage == stage)


def partitioned_by(asset: str) -> Partitioning | None:
    """Return what an asset has one partition of. KeyError names an asset nobody declared."""
    return PARTITIONED_BY.get(ASSETS[asset].stage)


def on_page(by: Partitioning | None) -> tuple[str, ...]:
    """Return the tables with such partitions whose fingerprints the report shows."""
    return tuple(
        asset
        for asset, row in ASSETS.items()
        if row.fingerprint == "page" and partitioned_by(asset) == by
    )


def schema_of(table: str) -> type[Table]:
    """Return the contract of a table. KeyError names a table without one."""
    contract = ASSETS[table].contract
    if contract is None:
        raise KeyError(table)
    return contract


def empty_frame(table: str) -> pl.DataFrame:
    """Return a table without rows that satisfies its contract. KeyError names the table."""
    columns = schema_of(table).to_schema().columns
    return pl.DataFrame(schema={name: column.dtype.type for name, column in columns.items()})
