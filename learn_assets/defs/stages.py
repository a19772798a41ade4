"""Stages: which partitions of which job are out of date, for schedules and the runner alike."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import dagster as dg

from learn_assets import provenance
from learn_assets.cohort.windows import Window
from learn_assets.defs import jobs
from learn_assets.defs.partitions import cell_key, cell_of
from learn_assets.defs.resources import LakeResource
from learn_assets.lake import Lake
from learn_assets.sources.ingest import RAW_TABLES, source_fingerprint
from learn_assets.study import EncoderChoice, Study

DATA_MARK = "data_tables"
WINDOW_MARK = "cohort_tables"


@dataclass(frozen=True)
class StageRun:
    """One run of a stage: the job, its partition, and the fingerprint of what goes in."""

    job: str
    inputs: str
    current: bool
    partition_key: str | dg.MultiPartitionKey | None = None

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
    inputs = provenance.data_inputs(study, source_state(study, lake))
    return StageRun(jobs.DATA_TABLES, inputs, provenance.is_current(lake, [DATA_MARK], inputs))


def window_runs(study: Study, lake: Lake) -> list[StageRun]:
    """Return one run a window."""
    return [
        StageRun(
            jobs.COHORT_TABLES,
            inputs := provenance.window_inputs(study, lake, window),
            provenance.is_current(lake, [WINDOW_MARK], inputs, window),
            window.key,
        )
        for window in study.windows
    ]


def cell_runs(study: Study, lake: Lake) -> list[StageRun]:
    """Return one run a cell, in the order of the study."""
    return [
        StageRun(
            jobs.RISK_MODELS,
            inputs := provenance.cell_inputs(study, lake, window, encoder),
            provenance.is_current(lake, jobs.CELL_ASSETS, inputs, window, encoder),
            cell_key(window, encoder),
        )
        for window in study.windows
        for encoder in study.encoders
    ]


@dataclass(frozen=True)
class CellStep:
    """What an asset of one window x encoder cell works on."""

    lake: Lake
    window: Window
    encoder: EncoderChoice


@contextmanager
def cell_step(
    context: dg.AssetExecutionContext, study: Study, resource: LakeResource
) -> Iterator[CellStep]:
    """Yield the cell of a run; when the asset ends well, mark what it was made from.

    The inputs are read first, so a table that changes meanwhile leaves the asset out of date.
    """
    lake = resource.open()
    window, encoder = cell_of(context, study)
    inputs = provenance.cell_inputs(study, lake, window, encoder)
    yield CellStep(lake, window, encoder)
    provenance.mark(lake, context.asset_key.path[-1], inputs, window, encoder)
