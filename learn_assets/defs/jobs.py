"""Jobs: the stages a user launches, each of assets that share their partitions."""

import dagster as dg

# What define_asset_job returns has no public name yet.
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

DATA_TABLES = "data_tables"
COHORT_TABLES = "cohort_tables"
RISK_MODELS = "risk_models"
SENSITIVITY = "sensitivity"
EMBEDDINGS = "embeddings"
TRANSFER = "transfer"
RESULTS = "results"

WINDOW_ASSETS = (
    "cohort",
    "attrition",
    "scoring_population",
    "event_counts",
    "latest_measurement",
)
CELL_ASSETS = (
    "patient_embeddings",
    "cross_validation",
    "trained_models",
    "champion",
    "model_bundle",
    "risk_scores",
    "performance",
    "comparisons",
    "net_benefit",
    "subgroup_performance",
    "explanations",
    "time_to_event_scores",
    "time_to_event_performance",
    "nephritis_evaluation",
    "severe_outcome_evaluation",
    "genetic_stratification",
)
# The part of a cell that a GPU does: the sensor asks for it alone, and trains nothing.
EMBEDDING_ASSETS = ("patient_embeddings",)
# What follows from a change of champion without any training.
CHAMPION_ASSETS = ("champion", "model_bundle", "risk_scores")
# A stage of its own: one question more must not train the models again.
SENSITIVITY_ASSETS = (
    "repeated_cross_validation",
    "temporal_validation",
    "learning_curve",
    "imbalance_sensitivity",
    "nested_selection",
    "site_holdout",
)
# A stage of its own: a bundle that arrives must not train this site's models again.
TRANSFER_ASSETS = ("external_validation", "site_differences")
RESULT_ASSETS = ("window_leaderboard", "encoder_leaderboard", "study_report")


def stage_jobs() -> list[UnresolvedAssetJobDefinition]:
    """Return the stages: tables, each window, each cell, other sites' models, then the report."""
    windows = dg.AssetSelection.assets(*WINDOW_ASSETS)
    cells = dg.AssetSelection.assets(*CELL_ASSETS)
    sensitivity = dg.AssetSelection.assets(*SENSITIVITY_ASSETS)
    transfer = dg.AssetSelection.assets(*TRANSFER_ASSETS)
    report = dg.AssetSelection.assets(*RESULT_ASSETS)
    return [
        dg.define_asset_job(
            DATA_TABLES,
            dg.AssetSelection.all() - windows - cells - sensitivity - transfer - report,
            description="Everything that no window changes: ingest, validation, vocabulary, texts.",
        ),
        dg.define_asset_job(
            COHORT_TABLES,
            windows,
            description="Cohort, attrition and counts of one window.",
        ),
        dg.define_asset_job(
            RISK_MODELS,
            cells,
            description="Embeddings, models, scores and performance of one window and encoder.",
        ),
        dg.define_asset_job(
            SENSITIVITY,
            sensitivity,
            description="Other folds, later or fewer patients, rare cases, new sites, choosing.",
        ),
        dg.define_asset_job(
            EMBEDDINGS,
            dg.AssetSelection.assets(*EMBEDDING_ASSETS),
            description="Embeddings alone of one window and encoder; no model is trained.",
        ),
        dg.define_asset_job(
            TRANSFER,
            transfer,
            description="Other sites' models on the patients of one window and encoder.",
        ),
        dg.define_asset_job(
            RESULTS, report, description="Leaderboards over all cells, and the report."
        ),
    ]
