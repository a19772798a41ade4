"""The only entry point: Definitions of the study named by LEARN_STUDY (default: demo)."""

import os
from typing import Any

import dagster as dg

from learn_assets.defs.checks import contract_checks
from learn_assets.defs.comparisons import comparison_assets
from learn_assets.defs.embeddings import patient_embeddings_asset, vectors_check
from learn_assets.defs.evaluation import evaluation_assets
from learn_assets.defs.evidence import evidence_assets
from learn_assets.defs.ingest import ingest_assets
from learn_assets.defs.jobs import stage_jobs
from learn_assets.defs.leaderboards import leaderboard_assets
from learn_assets.defs.models import model_assets
from learn_assets.defs.outcomes import outcome_assets
from learn_assets.defs.quality import quality_assets
from learn_assets.defs.resources import DevicesResource, LakeResource
from learn_assets.defs.schedules import stage_schedules
from learn_assets.defs.scores import risk_scores_asset
from learn_assets.defs.sensitivity import sensitivity_assets
from learn_assets.defs.sensors import embedding_gpu_sensor
from learn_assets.defs.sql import sql_assets
from learn_assets.defs.study_report import report_assets
from learn_assets.defs.subtypes import subtype_definitions
from learn_assets.defs.terminal import LOGGER, terminal_logger
from learn_assets.defs.transfer import transfer_assets
from learn_assets.defs.validated import validated_assets
from learn_assets.defs.vocabulary import vocabulary_assets, vocabulary_checks
from learn_assets.private_process import keep_private
from learn_assets.schemas import TABLES
from learn_assets.study import Study
from learn_assets.study.file import AnyStudy, load_study
from learn_assets.study.subtypes import SubtypeStudy


def build_definitions(
    study: AnyStudy, resource_overrides: dict[str, Any] | None = None
) -> dg.Definitions:
    """Return a fresh Definitions for a study; tests pass other resources instead of patching."""
    resources = {
        "lake": LakeResource(study_name=study.name, home=str(study.lake.home)),
        "devices": DevicesResource(),
        **(resource_overrides or {}),
    }
    if isinstance(study, SubtypeStudy):
        return subtype_definitions(study, resources)
    return _progression_definitions(study, resources)


def _progression_definitions(study: Study, resources: dict[str, Any]) -> dg.Definitions:
    return dg.Definitions(
        assets=[
            *ingest_assets(study),
            *validated_assets(study),
            *vocabulary_assets(study),
            *quality_assets(study),
            *sql_assets(study, resources["lake"].open()),
            patient_embeddings_asset(study),
            *model_assets(study),
            risk_scores_asset(study),
            *evaluation_assets(study),
            *comparison_assets(study),
            *evidence_assets(study),
            *outcome_assets(study),
            *sensitivity_assets(study),
            *transfer_assets(study),
            *leaderboard_assets(study),
            *report_assets(study),
        ],
        asset_checks=[
            *contract_checks(study, TABLES),
            *vocabulary_checks(study),
            vectors_check(study),
        ],
        jobs=stage_jobs(),
        schedules=stage_schedules(study),
        sensors=[embedding_gpu_sensor(study)],
        resources=resources,
        executor=dg.in_process_executor,
        loggers={LOGGER: terminal_logger},
    )


@dg.definitions
def defs() -> dg.Definitions:
    """Return the Definitions that the UI, the daemon and `dg` load."""
    keep_private()
    return build_definitions(load_study(os.environ.get("LEARN_STUDY", "demo")))
