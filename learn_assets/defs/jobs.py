"""Jobs: the stages a user launches, each of assets that share their partitions."""

import dagster as dg

# What define_asset_job returns has no public name yet.
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from learn_assets.schemas import registry
from learn_assets.study import Study

EMBEDDINGS = "embeddings"
# The part of a cell that a GPU does: the sensor asks for it alone, and trains nothing.
EMBEDDING_ASSETS = ("patient_embeddings",)
# What follows from a change of champion without any training.
CHAMPION_ASSETS = ("champion", "model_bundle", "risk_scores")


def jobs(_study: Study) -> list[UnresolvedAssetJobDefinition]:
    """Return the stages: tables, each window, each cell, other sites' models, then the report.

    Sensitivity and transfer are stages of their own: neither one question more nor a bundle that
    arrives may train the models again.
    """
    return [
        _stage_job(
            registry.DATA_TABLES,
            "Everything that no window changes: ingest, validation, vocabulary, texts.",
        ),
        _stage_job(registry.COHORT_TABLES, "Cohort, attrition and counts of one window."),
        _stage_job(
            registry.RISK_MODELS,
            "Embeddings, models, scores and performance of one window and encoder.",
        ),
        _stage_job(
            registry.SENSITIVITY,
            "Other folds, later or fewer patients, rare cases, new sites, choosing.",
        ),
        dg.define_asset_job(
            EMBEDDINGS,
            dg.AssetSelection.assets(*EMBEDDING_ASSETS),
            description="Embeddings alone of one window and encoder; no model is trained.",
        ),
        _stage_job(
            registry.TRANSFER, "Other sites' models on the patients of one window and encoder."
        ),
        _stage_job(registry.RESULTS, "Leaderboards over all cells, and the report."),
    ]


def _stage_job(stage: str, description: str) -> UnresolvedAssetJobDefinition:
    selection = dg.AssetSelection.assets(*registry.made_in(stage))
    return dg.define_asset_job(stage, selection, description=description)
