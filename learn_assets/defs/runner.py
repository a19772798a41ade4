"""Runner: materializes a study stage by stage in this process, one Dagster run a partition."""

import os
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.instance.ref import InstanceRef

from learn_assets.cohort.empty import no_cohort_anywhere
from learn_assets.defs import jobs
from learn_assets.defs.partitions import cell_key
from learn_assets.defs.stages import (
    StageRun,
    cell_runs,
    data_run,
    result_run,
    sensitivity_runs,
    transfer_runs,
    window_runs,
)
from learn_assets.defs.subtypes_stages import SUBTYPE_STAGES
from learn_assets.defs.terminal import LOGGER, failure_paragraphs
from learn_assets.lake import Lake, LakeHomeError
from learn_assets.project_files import project_file
from learn_assets.schemas import registry
from learn_assets.staging import private_folder
from learn_assets.study import EncoderChoice, Study
from learn_assets.study.file import AnyStudy
from learn_assets.study.subtypes import SubtypeStudy
from learn_assets.study.windows import Window

_PRINT_TO_TERMINAL = {
    "compute_logs": {
        "module": "dagster._core.storage.noop_compute_log_manager",
        "class": "NoOpComputeLogManager",
    }
}
_WARNINGS_ALONE: dict[str, Any] = {"loggers": {LOGGER: {}}}
_UNFINISHED = [dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTED]
# Which process a run lives in: a killed one cannot give back its slot of a pool.
_HOST_TAG, _PROCESS_TAG = "learn_assets/host", "learn_assets/process"


@dataclass(frozen=True)
class StageOutcome:
    """How one run ended: `made`, `current` (nothing to do), `failed` or `blocked`."""

    run: StageRun
    status: str
    seconds: float
    reason: str = ""


def prepare_dagster_home(home: Path) -> Path:
    """Point DAGSTER_HOME at a private folder with telemetry off, unless it is already set.

    LakeHomeError for a path with `?`: Dagster would keep its history in another folder.
    """
    folder = Path(os.environ.get("DAGSTER_HOME") or home / "dagster_home").resolve()
    # Dagster makes an address of SQLite from the path, which ends at a question mark.
    if "?" in str(folder):
        raise LakeHomeError(
            f"Dagster cannot keep its history in {folder}, because the path holds a question mark; "
            "set DAGSTER_HOME to a folder without one"
        )
    if not folder.exists():
        private_folder(folder)
    settings = folder / "dagster.yaml"
    if not settings.exists():
        shutil.copyfile(project_file("deploy/dagster.yaml"), settings)
    os.environ["DAGSTER_HOME"] = str(folder)
    return folder


def materialize_study(
    study: AnyStudy,
    lake: Lake,
    definitions: dg.Definitions,
    *,
    force: bool = False,
    report: Callable[[StageOutcome], None],
) -> list[StageOutcome]:
    """Run every stage that is out of date and return how each run ended.

    A failed cell leaves the other cells untouched; a failed stage blocks only what reads from it.
    """
    outcomes: list[StageOutcome] = []
    with _terminal_instance() as instance:
        _end_dead_runs(instance)

        def execute(run: StageRun) -> StageOutcome:
            return _execute(run, definitions, instance, force)

        for outcome in _outcomes(study, lake, execute):
            report(outcome)
            outcomes.append(outcome)
    return outcomes


def score_again(
    definitions: dg.Definitions, window: Window, encoder: EncoderChoice
) -> StageOutcome:
    """Make what follows from the champion of a cell, and train nothing.

    Every table is left marked as current, so the next run of the study keeps the champion.
    """
    run = StageRun(registry.RISK_MODELS, "", current=False, partition_key=cell_key(window, encoder))
    with _terminal_instance() as instance:
        return _execute(run, definitions, instance, force=True, assets=jobs.CHAMPION_ASSETS)


def _terminal_instance() -> dg.DagsterInstance:
    """Return the instance of DAGSTER_HOME, leaving standard error to the terminal.

    Dagster keeps what a step prints in a file for the UI; here somebody watches the progress bar.
    """
    reference = InstanceRef.from_dir(os.environ["DAGSTER_HOME"], overrides=_PRINT_TO_TERMINAL)
    return dg.DagsterInstance.from_ref(reference)


def _end_dead_runs(instance: dg.DagsterInstance) -> None:
    """End what a killed runner left as started: the run would hold its slot of a pool for good."""
    left = dg.RunsFilter(statuses=_UNFINISHED, tags={_HOST_TAG: socket.gethostname()})
    for run in instance.get_runs(left):
        if not _is_alive(int(run.tags[_PROCESS_TAG])):
            _cancel(instance, run, "the process of this run was killed")


def cancel_own_runs() -> None:
    """Report the runs of this process as canceled, and give back the slots they hold."""
    mine = dg.RunsFilter(
        statuses=_UNFINISHED,
        tags={_HOST_TAG: socket.gethostname(), _PROCESS_TAG: str(os.getpid())},
    )
    with _terminal_instance() as instance:
        for run in instance.get_runs(mine):
            _cancel(instance, run, "interrupted in the terminal")


def _cancel(instance: dg.DagsterInstance, run: dg.DagsterRun, message: str) -> None:
    instance.report_run_canceled(run, message=message)
    instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _outcomes(
    study: AnyStudy, lake: Lake, execute: Callable[[StageRun], StageOutcome]
) -> Iterator[StageOutcome]:
    if isinstance(study, SubtypeStudy):
        return _subtype_outcomes(study, lake, execute)
    return _progression_outcomes(study, lake, execute)


def _subtype_outcomes(
    study: SubtypeStudy, lake: Lake, execute: Callable[[StageRun], StageOutcome]
) -> Iterator[StageOutcome]:
    failed: set[object] = set()
    for runs_of in SUBTYPE_STAGES:
        for run in runs_of(study, lake):
            # A stage without partitions reads every sex of the one before.
            if None in failed or (failed and run.partition_key in {None, *failed}):
                yield StageOutcome(run, "blocked", 0.0, "an earlier stage failed")
                continue
            outcome = execute(run)
            yield outcome
            if outcome.status == "failed":
                failed.add(run.partition_key)


def _progression_outcomes(
    study: Study, lake: Lake, execute: Callable[[StageRun], StageOutcome]
) -> Iterator[StageOutcome]:
    data = execute(data_run(study, lake))
    yield data
    if data.status == "failed":
        return
    # Each stage is asked for its runs only when the one before has written its tables.
    failed_windows = set()
    for run in window_runs(study, lake):
        outcome = execute(run)
        yield outcome
        if outcome.status == "failed":
            failed_windows.add(run.partition_key)
    nobody = no_cohort_anywhere(study, lake)
    if nobody:
        yield StageOutcome(StageRun("cohort", "", current=False), "failed", 0.0, nobody)
        return
    failed_cells = set()
    for run in cell_runs(study, lake):
        window = _window_of(run)
        if window in failed_windows:
            yield StageOutcome(run, "blocked", 0.0, f"window {window} failed")
            failed_cells.add(run.partition_key)
            continue
        outcome = execute(run)
        yield outcome
        if outcome.status == "failed":
            failed_cells.add(run.partition_key)
    for run in (*sensitivity_runs(study, lake), *transfer_runs(study, lake)):
        if run.partition_key in failed_cells:
            yield StageOutcome(run, "blocked", 0.0, "this cell has no models of its own")
            continue
        yield execute(run)
    yield execute(result_run(study, lake))


def _window_of(run: StageRun) -> str:
    if not isinstance(run.partition_key, dg.MultiPartitionKey):
        raise TypeError(f"{run.label} is not a cell")
    return run.partition_key.keys_by_dimension["window"]


def _execute(
    run: StageRun,
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
    force: bool,
    assets: tuple[str, ...] = (),
) -> StageOutcome:
    if run.current and not force:
        return StageOutcome(run, "current", 0.0)
    started = time.monotonic()
    result = definitions.resolve_job_def(run.job).execute_in_process(
        partition_key=run.partition_key,
        instance=instance,
        raise_on_error=False,
        run_config=_WARNINGS_ALONE,
        asset_selection=[dg.AssetKey(asset) for asset in assets] or None,
        tags={_HOST_TAG: socket.gethostname(), _PROCESS_TAG: str(os.getpid())},
    )
    seconds = time.monotonic() - started
    if result.success:
        return StageOutcome(run, "made", seconds)
    return StageOutcome(run, "failed", seconds, failure_paragraphs(result))
