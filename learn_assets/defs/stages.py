"""Stages: which partitions of which job are out of date, for schedules and the runner alike."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import dagster as dg

from learn_assets import provenance
from learn_assets.defs import jobs
from learn_assets.defs.metadata import COLUMN_SCHEMA, column_schema
from learn_assets.defs.partitions import cell_key, cell_of, cell_partitions
from learn_assets.defs.resources import LakeResource
from learn_assets.lake import Lake
from learn_assets.library_errors import values_hidden
from learn_assets.reporting.freshness import result_inputs
from learn_assets.schemas import registry
from learn_assets.sources.ingest import RAW_TABLES, source_fingerprint
from learn_assets.study import EncoderChoice, Study
from learn_assets.study.windows import Window

WINDOW_STEPS = ("window_models",)
_MODEL_STEPS = tuple(
    step for step in registry.made_in(registry.RISK_MODELS) if step not in jobs.EMBEDDING_ASSETS
)
DATA_STEPS = (
    *(f"raw_{table}" for table in RAW_TABLES),
    "rxnorm_release",
    *(f"validate_{table}" for table in RAW_TABLES),
    "code_list",
    "packaged_description",
    "vocabulary_models",
    "data_quality",
    "record_models",
)


@dataclass(frozen=True)
class StageRun:
    """One run of a stage: the job, its partition, and the fingerprint of what goes in.

    `refused` names tables it would read that stand in the lake although they failed a check,
    `waits_for` a stage that has to remake such tables first.
    """

    job: str
    inputs: str
    current: bool
    partition_key: str | dg.MultiPartitionKey | None = None
    refused: tuple[str, ...] = ()
    waits_for: str = ""

    @property
    def label(self) -> str:
        """Return the job and the partition in words."""
        return self.job if self.partition_key is None else f"{self.job} {self.partition_key}"


def source_state(study: Study, lake: Lake) -> str:
    """Return one fingerprint of every source file."""
    return "|".join(
        source_fingerprint(study, lake, table) for table in (*RAW_TABLES, "rxnorm_release")
    )


def data_run(study: Study, lake: Lake) -> StageRun:
    """Return the run of the unpartitioned tables."""
    inputs = data_inputs(study, lake)
    current = provenance.is_current(lake, DATA_STEPS, inputs)
    return StageRun(registry.DATA_TABLES, inputs, current)


def data_inputs(study: Study, lake: Lake) -> str:
    """Return the fingerprint of all that the unpartitioned tables are made from."""
    return provenance.data_inputs(study, source_state(study, lake))


def window_runs(study: Study, lake: Lake) -> list[StageRun]:
    """Return one run a window."""
    return [
        StageRun(
            registry.COHORT_TABLES,
            inputs := provenance.window_inputs(study, lake, window),
            provenance.is_current(lake, WINDOW_STEPS, inputs, window),
            window.key,
            provenance.refused(lake, provenance.WINDOW_TABLES),
        )
        for window in study.windows
    ]


def cell_runs(study: Study, lake: Lake) -> list[StageRun]:
    """Return one run a cell, in the order of the study."""
    return [
        StageRun(
            registry.RISK_MODELS,
            provenance.cell_inputs(study, lake, window, encoder),
            _has_models(study, lake, window, encoder),
            cell_key(window, encoder),
            provenance.refused(lake, provenance.CELL_TABLES, window),
        )
        for window in study.windows
        for encoder in study.encoders
    ]


def _has_models(study: Study, lake: Lake, window: Window, encoder: EncoderChoice) -> bool:
    """Return whether all of a cell was made from what is in the lake now."""
    inputs = provenance.cell_inputs(study, lake, window, encoder)
    return embeddings_run(study, lake, window, encoder).current and provenance.is_current(
        lake, _MODEL_STEPS, inputs, window, encoder
    )


def _waits_for(study: Study, lake: Lake, window: Window, encoder: EncoderChoice) -> str:
    return "" if _has_models(study, lake, window, encoder) else registry.RISK_MODELS


def sensitivity_runs(study: Study, lake: Lake) -> list[StageRun]:
    """Return one run a cell, in the order of the study."""
    return [
        StageRun(
            registry.SENSITIVITY,
            inputs := provenance.sensitivity_inputs(study, lake, window, encoder),
            provenance.is_current(
                lake, registry.made_in(registry.SENSITIVITY), inputs, window, encoder
            ),
            cell_key(window, encoder),
            provenance.refused(lake, provenance.SENSITIVITY_TABLES),
            _waits_for(study, lake, window, encoder),
        )
        for window in study.windows
        for encoder in study.encoders
    ]


def embeddings_run(study: Study, lake: Lake, window: Window, encoder: EncoderChoice) -> StageRun:
    """Return the run of one cell's embeddings alone."""
    inputs = provenance.embedding_inputs(study, lake, window, encoder)
    return StageRun(
        jobs.EMBEDDINGS,
        inputs,
        provenance.is_current(lake, jobs.EMBEDDING_ASSETS, inputs, window, encoder),
        cell_key(window, encoder),
        provenance.refused(lake, provenance.embedding_tables(encoder), window),
    )


def transfer_runs(study: Study, lake: Lake) -> list[StageRun]:
    """Return one run a cell when the study names models of other sites, else none."""
    if not study.external_models:
        return []
    return [
        StageRun(
            registry.TRANSFER,
            inputs := provenance.transfer_inputs(study, lake, window, encoder),
            provenance.is_current(
                lake, registry.made_in(registry.TRANSFER), inputs, window, encoder
            ),
            cell_key(window, encoder),
            waits_for=_waits_for(study, lake, window, encoder),
        )
        for window in study.windows
        for encoder in study.encoders
    ]


def result_run(study: Study, lake: Lake) -> StageRun:
    """Return the run of leaderboards and report; a cell that failed does not keep them waiting."""
    inputs = result_inputs(study, lake)
    current = provenance.is_current(lake, registry.made_in(registry.RESULTS), inputs)
    return StageRun(registry.RESULTS, inputs, current)


@dataclass(frozen=True)
class CellStep:
    """What an asset of one window x encoder cell works on."""

    lake: Lake
    window: Window
    encoder: EncoderChoice


@contextmanager
def cell_step(
    context: dg.AssetExecutionContext,
    study: Study,
    resource: LakeResource,
    inputs_of: Callable[[Study, Lake, Window, EncoderChoice], str] = provenance.cell_inputs,
) -> Iterator[CellStep]:
    """Yield the cell of a run; when the asset ends well, mark what it was made from.

    inputs_of: what fingerprints the inputs of its stage.
    """
    lake = resource.open()
    window, encoder = cell_of(context, study)
    inputs = inputs_of(study, lake, window, encoder)
    with marked_step(context, lake, inputs, window, encoder):
        yield CellStep(lake, window, encoder)


def cell_asset(
    study: Study,
    name: str,
    deps: Sequence[str | dg.AssetDep],
    description: str,
    *,
    group: str = "evaluation",
    kinds: Collection[str] = ("polars", "parquet"),
    is_table: bool = True,
) -> Callable[[Callable[..., dg.MaterializeResult]], dg.AssetsDefinition]:
    """Return the decorator of an asset that is made once per cell; a table has a contract."""
    return dg.asset(
        name=name,
        group_name=group,
        owners=[study.owner],
        kinds=set(kinds),
        partitions_def=cell_partitions(study),
        deps=deps,
        metadata={COLUMN_SCHEMA: column_schema(name)} if is_table else None,
        description=description,
    )


@contextmanager
def data_step(
    context: dg.AssetExecutionContext, study: Study, resource: LakeResource
) -> Iterator[Lake]:
    """Yield the lake to a step without partitions; mark it when it ends well."""
    lake = resource.open()
    with marked_step(context, lake, data_inputs(study, lake)):
        yield lake


@contextmanager
def result_step(
    context: dg.AssetExecutionContext, study: Study, resource: LakeResource
) -> Iterator[Lake]:
    """Yield the lake to a step that shows every cell; mark it when it ends well."""
    lake = resource.open()
    with marked_step(context, lake, result_inputs(study, lake)):
        yield lake


@contextmanager
def marked_step(
    context: dg.AssetExecutionContext,
    lake: Lake,
    inputs: str,
    window: Window | str | None = None,
    encoder: EncoderChoice | None = None,
) -> Iterator[None]:
    """Hide patients' values from errors of a step; mark it when it ends well."""
    finish = begin_step(context, lake, inputs, window, encoder)
    with values_hidden():
        yield
    finish()


def begin_step(
    context: dg.AssetExecutionContext,
    lake: Lake,
    inputs: str,
    window: Window | str | None = None,
    encoder: EncoderChoice | None = None,
) -> Callable[[], None]:
    """Look at what a step reads and return what marks it as finished.

    A table that changes meanwhile leaves the step out of date, and so does running a part of it.
    """
    definition = context.assets_def
    writes = _names(definition.node_keys_by_output_name.values())
    upstream = (key for keys in definition.asset_deps.values() for key in keys)
    reads = provenance.fingerprints(lake, _names(upstream) - writes, window, encoder)
    whole = _names(context.selected_asset_keys) == writes

    def finish() -> None:
        if whole:
            step = definition.op.name
            provenance.mark(lake, step, inputs, window, encoder, reads=reads, writes=writes)

    return finish


def _names(keys: Iterable[dg.AssetKey]) -> set[str]:
    return {key.path[-1] for key in keys}
