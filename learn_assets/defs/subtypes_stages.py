"""Stages of a subtypes study: which runs are out of date, in the order they are made."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import dagster as dg

from learn_assets import provenance
from learn_assets.defs.resources import LakeResource
from learn_assets.defs.stages import StageRun, begin_step
from learn_assets.lake import Lake
from learn_assets.library_errors import values_hidden
from learn_assets.schemas import SUBTYPE_TABLES
from learn_assets.subtypes.freshness import discharge_inputs
from learn_assets.subtypes.study import SubtypeStudy

SUBTYPES_DATA = "subtypes_data"
DATA_STEPS = (
    "read_discharges",
    "diagnosis_description",
    "sex_description",
    "sex_comparison",
    "substance_table",
    "discharge_tables",
)


def data_runs(study: SubtypeStudy, lake: Lake) -> list[StageRun]:
    """Return the run of the tables that hold both sexes."""
    inputs = discharge_inputs(study)
    current = provenance.is_current(lake, DATA_STEPS, inputs, checked=SUBTYPE_TABLES)
    return [StageRun(SUBTYPES_DATA, inputs, current)]


@contextmanager
def discharge_step(
    context: dg.AssetExecutionContext, study: SubtypeStudy, resource: LakeResource
) -> Iterator[Lake]:
    """Yield the lake to a step of both sexes; mark it when it ends well."""
    lake = resource.open()
    finish = begin_step(context, lake, discharge_inputs(study))
    with values_hidden():
        yield lake
    finish()


SUBTYPE_STAGES: tuple[Callable[[SubtypeStudy, Lake], list[StageRun]], ...] = (data_runs,)
