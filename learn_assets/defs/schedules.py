"""Schedules: the monthly retraining, stage by stage, one run a partition whose inputs changed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import dagster as dg

from learn_assets.defs.language import language_runs
from learn_assets.defs.resources import LakeResource
from learn_assets.defs.stages import (
    StageRun,
    cell_runs,
    data_run,
    result_run,
    sensitivity_runs,
    transfer_runs,
    window_runs,
)
from learn_assets.defs.subtypes_stages import (
    cluster_runs,
    data_runs,
    result_runs,
)
from learn_assets.lake import Lake
from learn_assets.schemas import registry
from learn_assets.study import Study
from learn_assets.study.subtypes import SubtypeStudy


@dataclass(frozen=True)
class _Stage:
    """A schedule: when it looks, which job it asks for, and what it finds out of date."""

    name: str
    cron: str
    job: str
    runs: Callable[[Lake], Sequence[StageRun]]


def schedules(study: Study) -> list[dg.ScheduleDefinition]:
    """Return one monthly schedule a stage, stopped until somebody starts it.

    The stages follow each other on the first of the month: a later stage sees what the earlier one
    left in the lake, and asks for nothing when that is what it was last made from. What reads the
    models looks again on the second, since training may take longer than the hours between; the
    key of a run keeps it from being asked for twice.
    """
    stages = (
        _Stage(
            "data_refresh", "0 1 1 * *", registry.DATA_TABLES, lambda lake: [data_run(study, lake)]
        ),
        _Stage(
            "cohort_refresh",
            "0 4 1 * *",
            registry.COHORT_TABLES,
            lambda lake: window_runs(study, lake),
        ),
        _Stage(
            "retraining", "0 6 1 * *", registry.RISK_MODELS, lambda lake: cell_runs(study, lake)
        ),
        _Stage(
            "sensitivity_refresh",
            "0 14 1,2 * *",
            registry.SENSITIVITY,
            lambda lake: sensitivity_runs(study, lake),
        ),
        _Stage(
            "transfer_refresh",
            "0 14 1,2 * *",
            registry.TRANSFER,
            lambda lake: transfer_runs(study, lake),
        ),
        _Stage(
            "results_refresh",
            "0 20 1,2 * *",
            registry.RESULTS,
            lambda lake: [result_run(study, lake)],
        ),
    )
    return [_schedule(stage) for stage in stages]


def subtype_schedules(study: SubtypeStudy) -> list[dg.ScheduleDefinition]:
    """Return one monthly schedule a stage of a subtypes study, stopped until somebody starts it."""
    language = _Stage(
        "language_refresh",
        "0 4 1 * *",
        registry.LANGUAGE_MODELS,
        lambda lake: language_runs(study, lake),
    )
    stages = (
        _Stage(
            "data_refresh", "0 1 1 * *", registry.SUBTYPES_DATA, lambda lake: data_runs(study, lake)
        ),
        *([language] if study.language_model else []),
        _Stage(
            "cluster_refresh",
            "0 14 1,2 * *",
            registry.SUBTYPE_CLUSTERS,
            lambda lake: cluster_runs(study, lake),
        ),
        _Stage(
            "results_refresh",
            "0 20 1,2 * *",
            registry.SUBTYPE_RESULTS,
            lambda lake: result_runs(study, lake),
        ),
    )
    return [_schedule(stage) for stage in stages]


def _schedule(stage: _Stage) -> dg.ScheduleDefinition:
    @dg.schedule(
        name=stage.name,
        cron_schedule=stage.cron,
        job_name=stage.job,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.STOPPED,
        description=f"Monthly: one run of {stage.job} for each partition whose inputs changed.",
    )
    def schedule(
        context: dg.ScheduleEvaluationContext, lake: LakeResource
    ) -> list[dg.RunRequest] | dg.SkipReason:
        stale = [run for run in stage.runs(lake.open()) if not run.current]
        if not stale:
            return dg.SkipReason(
                f"{stage.job}: every partition was made from what is in the lake now"
            )
        ready = [run for run in stale if not run.refused and not run.waits_for]
        if not ready:
            return dg.SkipReason(f"{stage.job}: waits, because {_hindrances(stale)}")
        month = context.scheduled_execution_time.strftime("%Y-%m")
        return [
            dg.RunRequest(
                run_key=f"{month}:{run.partition_key or stage.job}:{run.inputs[:16]}",
                partition_key=run.partition_key,
            )
            for run in ready
        ]

    return schedule


def _hindrances(waiting: Sequence[StageRun]) -> str:
    """Return why none of these runs can start, and what would help."""
    reasons = []
    if tables := sorted({table for run in waiting for table in run.refused}):
        reasons.append(
            f"checks failed on {', '.join(tables)}; look at these checks, mend what they found and "
            "materialize the tables again"
        )
    if stages := sorted({run.waits_for for run in waiting if run.waits_for}):
        reasons.append(f"{', '.join(stages)} of the same partitions is out of date")
    return "; and ".join(reasons)
