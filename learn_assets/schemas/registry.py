"""Which contract belongs to which table; the look-up every check, schema and doc goes through."""

from __future__ import annotations

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

VALIDATED: dict[str, type[Table]] = {
    "patient": records.Patient,
    "diagnosis": records.Diagnosis,
    "procedure": records.Procedure,
    "medication": records.Medication,
    "lab_result": records.LabResult,
    "terminology": records.Terminology,
    "cohort_table": records.CohortTable,
    "cohort_feature": records.CohortFeature,
    "genetic_score": records.GeneticScore,
    "care_site": records.CareSite,
}

TABLES: dict[str, type[Table]] = {
    **VALIDATED,
    "code_list": derived.CodeList,
    "packaged_description": derived.PackagedDescription,
    "ndc_to_rxnorm": derived.NdcToRxnorm,
    "rxnorm_name": derived.RxnormName,
    "code_description": derived.CodeDescription,
    "normalized_medication": derived.NormalizedMedication,
    "unmapped_codes": derived.UnmappedCodes,
    "description_coverage": derived.DescriptionCoverage,
    "data_quality": quality.DataQuality,
    "index_events": derived.IndexEvents,
    "exclusion_events": derived.ExclusionEvents,
    "outcome_confirmation": derived.OutcomeConfirmation,
    "severe_outcome_events": derived.SevereOutcomeEvents,
    "severe_outcome_follow_up": derived.SevereOutcomeFollowUp,
    "charlson_index": derived.CharlsonIndex,
    "cohort": derived.Cohort,
    "attrition": derived.Attrition,
    "scoring_population": derived.ScoringPopulation,
    "narratives": derived.Narratives,
    "concept_mentions": derived.ConceptMentions,
    "event_counts": derived.EventCounts,
    "latest_measurement": derived.LatestMeasurement,
    "cross_validation": derived.CrossValidation,
    "performance": derived.Performance,
    "comparisons": derived.Comparisons,
    "net_benefit": evaluation.NetBenefit,
    "subgroup_performance": evaluation.SubgroupPerformance,
    "explanations": evaluation.Explanations,
    "risk_scores": derived.RiskScores,
    "time_to_event_scores": outcomes.TimeToEventScores,
    "time_to_event_performance": outcomes.TimeToEventPerformance,
    "nephritis_evaluation": outcomes.SevereOutcomeEstimates,
    "severe_outcome_evaluation": outcomes.SevereOutcomeEstimates,
    "genetic_stratification": outcomes.GeneticStratification,
    "repeated_cross_validation": sensitivity.RepeatedCrossValidation,
    "temporal_validation": sensitivity.TemporalValidation,
    "learning_curve": sensitivity.LearningCurve,
    "imbalance_sensitivity": sensitivity.ImbalanceSensitivity,
    "nested_selection": sensitivity.NestedSelection,
    "site_holdout": sensitivity.SiteHoldout,
    "window_leaderboard": sensitivity.Leaderboard,
    "encoder_leaderboard": sensitivity.Leaderboard,
    "external_validation": derived.ExternalValidation,
    "site_differences": derived.SiteDifferences,
}

# Tables of a subtypes study, which shares no table with a study of progression.
SUBTYPE_TABLES: dict[str, type[Table]] = {
    "discharges": subtypes.Discharges,
    "discarded_discharges": subtypes.DiscardedDischarges,
    "diagnosis_description": subtypes.DiagnosisDescription,
    "diagnosis_texts": subtypes.DiagnosisTexts,
    "language_model": subtypes.LanguageModel,
    "contrastive_model": subtypes.ContrastiveModel,
    "text_embeddings": subtypes.TextEmbeddings,
    "sex_description": subtypes.SexDescription,
    "sex_comparison": subtypes.SexComparison,
    "substance_table": subtypes.SubstanceTable,
    "discharge_tables": subtypes.DischargeTables,
    "discharge_embeddings": subtype_clusters.DischargeEmbeddings,
    "embedding_directions": subtype_clusters.EmbeddingDirections,
    "cluster_selection": subtype_clusters.ClusterSelection,
    "cluster_verdict": subtype_clusters.ClusterVerdict,
    "subtypes": subtype_clusters.Subtypes,
    "nuisance_audit": subtype_clusters.NuisanceAudit,
    "disease_weights": subtype_clusters.DiseaseWeights,
    "subtype_validation": subtype_clusters.SubtypeValidation,
    "subtype_replication": subtype_clusters.SubtypeReplication,
    "subtype_match": subtype_clusters.SubtypeMatch,
    "subtype_tables": subtype_clusters.SubtypeFiles,
    "subtype_figures": subtype_clusters.SubtypeFiles,
    "subtype_page": subtype_clusters.SubtypeFiles,
}


def schema_of(table: str) -> type[Table]:
    """Return the contract of a table; a quarantine twin shares one. KeyError names the table."""
    if table.endswith("_quarantine"):
        return records.Quarantine
    return SUBTYPE_TABLES[table] if table in SUBTYPE_TABLES else TABLES[table]


def empty_frame(table: str) -> pl.DataFrame:
    """Return a table without rows that satisfies its contract. KeyError names the table."""
    columns = schema_of(table).to_schema().columns
    return pl.DataFrame(schema={name: column.dtype.type for name, column in columns.items()})
