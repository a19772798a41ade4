"""Schedules: the monthly retraining, stage by stage, one run a partition whose inputs changed."""

from collections.abc import Callable

import dagster as dg

from learn_assets.defs import jobs
from learn_assets.defs.resources import LakeResource
from learn_assets.defs.stages import StageRun, cell_runs, data_run, window_runs
from learn_assets.lake import Lake
from learn_assets.study import Study

_Runs = Callable[[Study, Lake], list[StageRun]]

# The stages follow each other on the first of the month: a later stage sees what the earlier one
# left in the lake, and asks for nothing when that is what it was last made from.
_STAGES: tuple[tuple[str, str, str, _Runs], ...] = (
    ("data_refresh", "0 1 1 * *", jobs.DATA_TABLES, lambda study, lake: [data_run(study, lake)]),
    ("cohort_refresh", "0 4 1 * *", jobs.COHORT_TABLES, window_runs),
    ("retraining", "0 6 1 * *", jobs.RISK_MODELS, cell_runs),
)


def stage_schedules(study: Study) -> list[dg.ScheduleDefinition]:
    """Return the three monthly schedules, stopped until somebody starts them."""
    return [_schedule(study, *stage) for stage in _STAGES]


def _schedule(
    study: Study, name: str, cron: str, job: str, runs_of: _Runs
) -> dg.ScheduleDefinition:
    @dg.schedule(
        name=name,
        cron_schedule=cron,
        job_name=job,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.STOPPED,
        description=f"Monthly: one run of {job} for each partition whose inputs changed.",
    )
    def schedule(
        context: dg.ScheduleEvaluationContext, lake: LakeResource
    ) -> list[dg.RunRequest] | dg.SkipReason:
        stale = [run for run in runs_of(study, lake.open()) if not run.current]
        if not stale:
            return dg.SkipReason(f"{job}: every partition was made from what is in the lake now")
        ready = [run for run in stale if not run.refused]
        if not ready:
            tables = ", ".join(sorted({table for run in stale for table in run.refused}))
            return dg.SkipReason(
                f"{job}: waits, because checks failed on {tables}; look at these checks, mend what "
                "they found and materialize the tables again"
            )
        month = context.scheduled_execution_time.strftime("%Y-%m")
        return [
            dg.RunRequest(
                run_key=f"{month}:{run.partition_key or job}:{run.inputs[:16]}",
                partition_key=run.partition_key,
            )
            for run in ready
        ]

    return schedule
