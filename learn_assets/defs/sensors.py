"""Sensors: embeddings of a cell are asked for when its narratives are newer and there is room."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import dagster as dg
from dagster._core.storage.dagster_run import NOT_FINISHED_STATUSES

from learn_assets import provenance
from learn_assets.defs import jobs
from learn_assets.defs.embeddings import DEVICE_TAG, GPU_POOL
from learn_assets.defs.resources import DevicesResource, LakeResource
from learn_assets.defs.stages import StageRun, embeddings_run
from learn_assets.embedding.encoders import EncoderUnavailableError, UnknownEncoderError
from learn_assets.embedding.placement import Need, need_of
from learn_assets.embedding.requests import CellState, Decision, History, Request, decide
from learn_assets.lake import Lake
from learn_assets.schemas import registry
from learn_assets.study import EncoderChoice, Study
from learn_assets.study.windows import Window

# Which inputs a run was asked for with: its cell and their fingerprint.
INPUTS_TAG = "learn_assets/embedding_inputs"
ATTEMPT_TAG = "learn_assets/attempt"
_PRIORITY_TAG = "dagster/priority"
_WINDOW_TAG, _ENCODER_TAG = "dagster/partition/window", "dagster/partition/encoder"
_NOT_STARTED = {
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
}
# A cell that was tried more often than this needs a person, not a longer list.
_HISTORY = 50
_DAY = 86_400.0


def sensors(study: Study) -> list[dg.SensorDefinition]:
    """Return the sensor that asks for embeddings."""
    return [_embedding_gpu_sensor(study)]


def _embedding_gpu_sensor(study: Study) -> dg.SensorDefinition:
    """Return the sensor, stopped until somebody starts it.

    It keeps no cursor: what was asked for and how it ended is in the runs themselves.
    """

    @dg.sensor(
        name="embedding_gpu_sensor",
        job_name=jobs.EMBEDDINGS,
        minimum_interval_seconds=60,
        default_status=dg.DefaultSensorStatus.STOPPED,
        description="Asks for the embeddings of cells whose narratives are newer, when a GPU (or "
        "for small encoders the CPU) has room; says why it waits otherwise.",
    )
    def sensor(
        context: dg.SensorEvaluationContext, lake: LakeResource, devices: DevicesResource
    ) -> dg.SensorResult | dg.SkipReason:
        decision = _decision(study, lake.open(), context.instance, devices)
        for sentence in decision.waits:
            context.log.info(sentence)
        if not decision.requests:
            return dg.SkipReason(
                ". ".join(decision.waits)
                or "nothing to do: every cell was embedded from the narratives in the lake"
            )
        return dg.SensorResult(run_requests=[_run_request(item) for item in decision.requests])

    return sensor


def _decision(
    study: Study, lake: Lake, instance: dg.DagsterInstance, devices: DevicesResource
) -> Decision:
    underway = [_Underway.of(run) for run in _unfinished(instance)]
    cells = [
        _state(study, lake, instance, underway, window, encoder)
        for window in study.windows
        for encoder in study.encoders
    ]
    if all(cell.current for cell in cells):
        return Decision((), ())
    asked = [run for run in underway if run.embeds and not run.started]
    slots, taken = _slots(instance)
    starting = [cell.need for cell in cells if any(run.is_of(cell) for run in asked)]
    return decide(
        cells,
        devices.probe(),
        slots=slots,
        free_slots=max(0, slots - taken - len(asked)),
        starting=starting,
        now=time.time(),
    )


@dataclass(frozen=True)
class _Underway:
    """A run that has not ended: what it makes, and of which partition."""

    makes: frozenset[str]
    job: str
    started: bool
    window: str | None
    encoder: str | None

    @classmethod
    def of(cls, run: dg.DagsterRun) -> "_Underway":
        selected = frozenset(key.path[-1] for key in run.asset_selection or ())
        return cls(
            makes=selected,
            job=run.job_name,
            started=run.status not in _NOT_STARTED,
            window=run.tags.get(_WINDOW_TAG) or run.tags.get("dagster/partition"),
            encoder=run.tags.get(_ENCODER_TAG),
        )

    @property
    def embeds(self) -> bool:
        """Whether it makes embeddings."""
        whole = self.job in (jobs.EMBEDDINGS, registry.RISK_MODELS) and not self.makes
        return whole or not self.makes.isdisjoint(jobs.EMBEDDING_ASSETS)

    def is_of(self, cell: CellState) -> bool:
        """Say whether it is a run of that cell."""
        return cell.label == _label(str(self.window), str(self.encoder))

    def changes(self, tables: Iterable[str], window: Window) -> bool:
        """Say whether it may write one of the tables that a window's embeddings read."""
        if self.job == registry.DATA_TABLES:
            return True
        if self.job == registry.COHORT_TABLES:
            return self.window == window.key
        return not self.makes.isdisjoint(tables) and self.window in (None, window.key)


def _unfinished(instance: dg.DagsterInstance) -> Sequence[dg.DagsterRun]:
    return instance.get_runs(dg.RunsFilter(statuses=list(NOT_FINISHED_STATUSES)))


def _state(
    study: Study,
    lake: Lake,
    instance: dg.DagsterInstance,
    underway: Sequence[_Underway],
    window: Window,
    encoder: EncoderChoice,
) -> CellState:
    run = embeddings_run(study, lake, window, encoder)
    label = _label(window.key, encoder.id)
    need, unready = _need(encoder)
    tables = provenance.embedding_tables(encoder)
    state = CellState(label, encoder.id, run.inputs, run.current, need)
    if run.current:
        return state
    if any(item.changes(tables, window) for item in underway):
        unready = "a run that may change its narratives or patients is under way"
    return CellState(
        label,
        encoder.id,
        run.inputs,
        current=False,
        need=need,
        unready=unready or _not_ready(lake, run, tables, window),
        underway=any(item.embeds and item.is_of(state) for item in underway),
        history=_history(instance, run),
    )


def _need(encoder: EncoderChoice) -> tuple[Need, str]:
    try:
        return need_of(encoder), ""
    except (EncoderUnavailableError, UnknownEncoderError) as error:
        return Need("here"), str(error)


def _not_ready(lake: Lake, run: StageRun, tables: Sequence[str], window: Window) -> str:
    found = {table: lake.stamp(table) or lake.stamp(table, window) for table in tables}
    if missing := [table for table, stamp in found.items() if stamp is None]:
        return f"its tables are not in the lake yet: {', '.join(missing)}"
    if run.refused:
        return f"checks failed on {', '.join(run.refused)}; look at these checks"
    return ""


def _history(instance: dg.DagsterInstance, run: StageRun) -> History:
    """Return how earlier runs with these inputs ended; newest first, as the instance gives them."""
    records = instance.get_run_records(dg.RunsFilter(tags={INPUTS_TAG: run.inputs}), limit=_HISTORY)
    ended = [record for record in records if record.dagster_run.is_finished]
    in_vain = 0
    for record in ended:
        # A success that left the cell as it was is no better than a failure; an old one is, since
        # tables may have been removed meanwhile.
        recent = (record.end_time or 0.0) > time.time() - _DAY
        if record.dagster_run.is_success and not recent:
            break
        in_vain += 1
    return History(len(ended), in_vain, ended[0].end_time or 0.0 if ended else 0.0)


def _slots(instance: dg.DagsterInstance) -> tuple[int, int]:
    """Return how many slots the pool has, and how many are held or waited for."""
    pool = instance.event_log_storage.get_concurrency_info(GPU_POOL)
    limit = pool.limit
    if limit is None:
        limit = instance.get_concurrency_config().pool_config.default_pool_limit
    # Without any limit, encoders still take turns: two on one card slow each other down.
    return (1 if limit is None else limit), pool.active_slot_count + pool.pending_step_count


def _run_request(request: Request) -> dg.RunRequest:
    window, encoder = request.cell.label.rsplit("|", 1)[1], request.cell.encoder
    return dg.RunRequest(
        run_key=request.key,
        partition_key=dg.MultiPartitionKey({"window": window, "encoder": encoder}),
        tags={
            INPUTS_TAG: request.cell.inputs,
            ATTEMPT_TAG: str(request.attempt),
            _PRIORITY_TAG: str(request.priority),
            **({DEVICE_TAG: request.device} if request.device else {}),
        },
    )


def _label(window: str, encoder: str) -> str:
    # As Dagster spells the partition: keys in the order of the dimensions' names.
    return f"{encoder}|{window}"
