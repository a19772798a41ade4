"""The one list of tables: contract, stage, partitions and what may be shown of a fingerprint.

What belongs here: one row per asset that no analysis makes; an analysis declares its own in
`analyses/<name>/contract.py`. Checks, jobs, schemas and the page are derived.
"""

from __future__ import annotations

import polars as pl

from learn_assets.discovery import load, parts
from learn_assets.schemas import (
    derived,
    quality,
    records,
    subtype_clusters,
    subtypes,
)
from learn_assets.schemas.declared import (
    COHORT_TABLES,
    DATA_TABLES,
    LANGUAGE_MODELS,
    PARTITIONED_BY,
    RESULTS,
    RISK_MODELS,
    SENSITIVITY,
    SUBTYPE_CLUSTERS,
    SUBTYPE_RESULTS,
    SUBTYPES_DATA,
    TRANSFER,
    Declared,
    Partitioning,
)
from learn_assets.schemas.records import Table

__all__ = [
    "COHORT_TABLES",
    "DATA_TABLES",
    "LANGUAGE_MODELS",
    "RESULTS",
    "RISK_MODELS",
    "SENSITIVITY",
    "SUBTYPES_DATA",
    "SUBTYPE_CLUSTERS",
    "SUBTYPE_RESULTS",
    "TRANSFER",
]

# Several tables in one asset, and what only other SQL reads.
_BETWEEN = (
    "rxnorm_release",
    "int_code_list_events",
    "int_event_counts",
    "int_latest_measurement",
    "int_listed_codes",
    "int_medication_code",
    "int_patient_span",
    "int_recorded_codes",
    "int_rxnorm_current",
)

_PROGRESSION = {
    "patient": Declared(DATA_TABLES, records.Patient, "page", in_report=True, arrives=True),
    "diagnosis": Declared(DATA_TABLES, records.Diagnosis, "page", arrives=True),
    "procedure": Declared(DATA_TABLES, records.Procedure, "page", arrives=True),
    "medication": Declared(DATA_TABLES, records.Medication, "page", arrives=True),
    "lab_result": Declared(DATA_TABLES, records.LabResult, "page", arrives=True),
    "terminology": Declared(DATA_TABLES, records.Terminology, "page", in_report=True, arrives=True),
    "cohort_table": Declared(DATA_TABLES, records.CohortTable, "page", arrives=True),
    "cohort_feature": Declared(DATA_TABLES, records.CohortFeature, "page"),
    "genetic_score": Declared(DATA_TABLES, records.GeneticScore, "page", arrives=True),
    "care_site": Declared(DATA_TABLES, records.CareSite, "page", in_report=True, arrives=True),
    "observation_period": Declared(
        DATA_TABLES, records.ObservationPeriod, "metadata", arrives=True
    ),
    "code_list": Declared(DATA_TABLES, derived.CodeList, "metadata", in_report=True),
    "packaged_description": Declared(
        DATA_TABLES, derived.PackagedDescription, "metadata", in_report=True
    ),
    "ndc_to_rxnorm": Declared(DATA_TABLES, derived.NdcToRxnorm, "metadata"),
    "rxnorm_name": Declared(DATA_TABLES, derived.RxnormName, "metadata"),
    "code_description": Declared(DATA_TABLES, derived.CodeDescription, "metadata", in_report=True),
    "normalized_medication": Declared(DATA_TABLES, derived.NormalizedMedication, "metadata"),
    "unmapped_codes": Declared(DATA_TABLES, derived.UnmappedCodes, in_report=True),
    "description_coverage": Declared(DATA_TABLES, derived.DescriptionCoverage, in_report=True),
    "data_quality": Declared(DATA_TABLES, quality.DataQuality, in_report=True),
    "index_results": Declared(DATA_TABLES, derived.IndexResults),
    "index_events": Declared(DATA_TABLES, derived.IndexEvents, "page", in_report=True),
    "exclusion_events": Declared(DATA_TABLES, derived.ExclusionEvents, "metadata"),
    "outcome_confirmation": Declared(DATA_TABLES, derived.OutcomeConfirmation, "metadata"),
    "severe_outcome_events": Declared(DATA_TABLES, derived.SevereOutcomeEvents, "metadata"),
    "severe_outcome_follow_up": Declared(DATA_TABLES, derived.SevereOutcomeFollowUp, "metadata"),
    "charlson_index": Declared(DATA_TABLES, derived.CharlsonIndex, "metadata", in_report=True),
    "narratives": Declared(DATA_TABLES, derived.Narratives, "page"),
    "concept_mentions": Declared(DATA_TABLES, derived.ConceptMentions, "metadata"),
    "int_record_totals": Declared(DATA_TABLES, fingerprint="metadata", in_report=True),
    **dict.fromkeys(_BETWEEN, Declared(DATA_TABLES, fingerprint="metadata")),
    "cohort": Declared(COHORT_TABLES, derived.Cohort, "page", in_report=True),
    "attrition": Declared(COHORT_TABLES, derived.Attrition, in_report=True),
    "scoring_population": Declared(
        COHORT_TABLES, derived.ScoringPopulation, "metadata", in_report=True
    ),
    "event_counts": Declared(COHORT_TABLES, derived.EventCounts, "page", in_report=True),
    "latest_measurement": Declared(
        COHORT_TABLES, derived.LatestMeasurement, "page", in_report=True
    ),
    "patient_embeddings": Declared(RISK_MODELS, fingerprint="page", in_report=True),
    "cross_validation": Declared(RISK_MODELS, derived.CrossValidation, "page", in_report=True),
    "trained_models": Declared(RISK_MODELS),
    "model_bundle": Declared(RISK_MODELS),
    "risk_scores": Declared(RISK_MODELS, derived.RiskScores, "page"),
    "performance": Declared(RISK_MODELS, derived.Performance, in_report=True),
    "comparisons": Declared(RISK_MODELS, derived.Comparisons, in_report=True),
    "study_report": Declared(RESULTS),
}

# What each analysis declares of its own tables.
_DECLARED: dict[str, dict[str, Declared]] = {
    contract.__name__.split(".")[-2]: contract.TABLES for contract in load(parts("contract"))
}
_ANALYSES = {table: row for tables in _DECLARED.values() for table, row in tables.items()}

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
    **_ANALYSES,
    **{f"raw_{table}": Declared(DATA_TABLES) for table in ARRIVING},
    **{
        f"{table}_quarantine": Declared(DATA_TABLES, records.Quarantine, "metadata", in_report=True)
        for table in ARRIVING
    },
    **_SUBTYPES,
}


def _checked(declared: dict[str, Declared]) -> dict[str, type[Table]]:
    return {table: row.contract for table, row in declared.items() if row.contract is not None}


# The tables whose contract a check holds them against, by kind of study.
TABLES = _checked({**_PROGRESSION, **_ANALYSES})
SUBTYPE_TABLES = _checked(_SUBTYPES)


def made_in(stage: str) -> tuple[str, ...]:
    """Return the assets of a stage."""
    return tuple(asset for asset, row in ASSETS.items() if row.stage == stage)


def analyses_of(stage: str) -> tuple[str, ...]:
    """Return the modules that make and judge what analyses add to a stage."""
    found = (
        name
        for name, tables in _DECLARED.items()
        if stage in {row.stage for row in tables.values()}
    )
    return tuple(f"analyses.{name}.{part}" for name in found for part in ("asset", "contract"))


def in_report() -> tuple[str, ...]:
    """Return the assets that the report of a study reads."""
    return tuple(asset for asset, row in ASSETS.items() if row.in_report)


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
