"""Stages of a subtypes study: which runs are out of date, in the order they are made."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import dagster as dg

from learn_assets import provenance
from learn_assets.defs.language import language_runs
from learn_assets.defs.resources import LakeResource
from learn_assets.defs.stages import StageRun, marked_step
from learn_assets.lake import Lake
from learn_assets.schemas.registry import (
    SUBTYPE_CLUSTERS,
    SUBTYPE_RESULTS,
    SUBTYPES_DATA,
    made_in,
)
from learn_assets.study.subtypes import SEXES, Sex, SubtypeStudy
from learn_assets.subtypes.freshness import (
    DISCHARGE_SOURCES,
    cluster_inputs,
    discharge_inputs,
    result_inputs,
)

DATA_STEPS = (
    "read_discharges",
    "diagnosis_description",
    "diagnosis_texts",
    "sex_description",
    "sex_comparison",
    "substance_table",
    "discharge_tables",
)
CLUSTER_STEPS = (
    "embed_discharges",
    "select_clusters",
    "cluster_discharges",
    "disease_weights",
    "validate_subtypes",
)


def data_runs(study: SubtypeStudy, lake: Lake) -> list[StageRun]:
    """Return the run of the tables that hold both sexes."""
    inputs = discharge_inputs(study)
    current = provenance.is_current(lake, DATA_STEPS, inputs)
    return [StageRun(SUBTYPES_DATA, inputs, current)]


def cluster_runs(study: SubtypeStudy, lake: Lake) -> list[StageRun]:
    """Return one run a sex."""
    return [
        StageRun(
            SUBTYPE_CLUSTERS,
            inputs := cluster_inputs(study, lake, sex),
            provenance.is_current(lake, CLUSTER_STEPS, inputs, sex),
            sex,
            provenance.refused(lake, DISCHARGE_SOURCES),
        )
        for sex in SEXES
    ]


def result_runs(study: SubtypeStudy, lake: Lake) -> list[StageRun]:
    """Return the run of what shows the clusters of both sexes."""
    inputs = result_inputs(study, lake)
    current = provenance.is_current(lake, made_in(SUBTYPE_RESULTS), inputs)
    return [StageRun(SUBTYPE_RESULTS, inputs, current)]


@contextmanager
def discharge_step(
    context: dg.AssetExecutionContext, study: SubtypeStudy, resource: LakeResource
) -> Iterator[Lake]:
    """Yield the lake to a step of both sexes; mark it when it ends well."""
    lake = resource.open()
    with marked_step(context, lake, discharge_inputs(study)):
        yield lake


@dataclass(frozen=True)
class SexStep:
    """What an asset of one sex works on."""

    lake: Lake
    sex: Sex


@contextmanager
def sex_step(
    context: dg.AssetExecutionContext, study: SubtypeStudy, resource: LakeResource
) -> Iterator[SexStep]:
    """Yield lake and sex to a step of one sex; mark it when it ends well."""
    lake = resource.open()
    sex = next(known for known in SEXES if known == context.partition_key)
    with marked_step(context, lake, cluster_inputs(study, lake, sex), sex):
        yield SexStep(lake, sex)


@contextmanager
def result_step(
    context: dg.AssetExecutionContext, study: SubtypeStudy, resource: LakeResource
) -> Iterator[Lake]:
    """Yield the lake to a step that shows the clusters of both sexes; mark it when it ends well."""
    lake = resource.open()
    with marked_step(context, lake, result_inputs(study, lake)):
        yield lake


SUBTYPE_STAGES: tuple[Callable[[SubtypeStudy, Lake], list[StageRun]], ...] = (
    data_runs,
    language_runs,
    cluster_runs,
    result_runs,
)
