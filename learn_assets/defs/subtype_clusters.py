"""Group subtypes: clusters of each sex, from vectors to their meaning, one partition a sex."""

from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg
import polars as pl

from learn_assets.defs.checks import contract_checks
from learn_assets.defs.metadata import table_result, table_spec
from learn_assets.defs.partitions import sex_partitions
from learn_assets.defs.resources import LakeResource
from learn_assets.defs.subtypes_stages import CLUSTER_STEPS, SexStep, sex_step
from learn_assets.schemas.registry import SUBTYPE_CLUSTERS, made_in
from learn_assets.study.subtypes import SubtypeStudy
from learn_assets.subtypes.admissions import SexAdmissions, admissions_of
from learn_assets.subtypes.description_vectors import description_store
from learn_assets.subtypes.evidence import (
    BASELINE,
    MAIN,
    ROLES,
    select_counts,
    selection_frame,
    verdict_frame,
)
from learn_assets.subtypes.freshness import vector_sources
from learn_assets.subtypes.membership import (
    find_members,
    nuisance_frame,
    published_labels,
    subtypes_frame,
)
from learn_assets.subtypes.representations import Representation
from learn_assets.subtypes.spaces import (
    baseline_representation,
    embed_admissions,
    embedded_of,
    embedding_frames,
    main_representation,
)
from learn_assets.subtypes.validation_tables import replication_frame, validation_frame
from learn_assets.subtypes.weights import described_weights

GROUP = "subtypes"
_SOURCES = ("discharges", "diagnosis_description")
_EMBEDDED = ("discharge_embeddings", "embedding_directions")
_CHOSEN = ("cluster_selection", "cluster_verdict")
_CLUSTERED = ("subtypes", "nuisance_audit")
_VALIDATED = ("subtype_validation", "subtype_replication")


def subtype_assets(study: SubtypeStudy) -> list[dg.AssetsDefinition]:
    """Return the assets of one sex."""
    return [
        _embed_discharges(study),
        _select_clusters(study),
        _cluster_discharges(study),
        _disease_weights(study),
        _validate_subtypes(study),
    ]


def subtype_asset_checks(study: SubtypeStudy) -> list[dg.AssetChecksDefinition]:
    """Return the contract of each table of a sex, and the audit of its clusters."""
    contracts = contract_checks(study, made_in(SUBTYPE_CLUSTERS))
    return [*contracts, _nuisance_check(study)]


def subtype_jobs(_study: SubtypeStudy) -> list[Any]:
    """Return the job of one sex."""
    return [
        dg.define_asset_job(
            SUBTYPE_CLUSTERS,
            dg.AssetSelection.assets(*made_in(SUBTYPE_CLUSTERS)),
            description="Vectors, clusters, audit, meaning and validation of one sex.",
        )
    ]


def _step(study: SubtypeStudy, name: str, tables: Sequence[str], deps: Sequence[str]) -> Any:
    """Return the decorator of a step that writes tables of one sex."""
    if name not in CLUSTER_STEPS:
        raise ValueError(f"{name} is not among the steps that freshness looks at")
    return dg.multi_asset(
        name=name,
        partitions_def=sex_partitions(),
        # A model may need the device; the other steps are arithmetic.
        pool="gpu" if tables == _EMBEDDED else None,
        specs=[
            table_spec(
                table,
                group=GROUP,
                owner=study.owner,
                kinds={"polars", "scikitlearn", "parquet"},
                deps=list(deps),
            )
            for table in tables
        ],
    )


def _embed_discharges(study: SubtypeStudy) -> dg.AssetsDefinition:
    @_step(study, "embed_discharges", _EMBEDDED, vector_sources(study))
    def embed_discharges(
        context: dg.AssetExecutionContext, lake: LakeResource
    ) -> Iterator[dg.MaterializeResult]:
        with sex_step(context, study, lake) as step:
            admissions = _admissions(step)
            main = _representations(study, step, admissions)[MAIN]
            embedded = embed_admissions(admissions, main)
            frames = embedding_frames(admissions, embedded)
            facts = {"representation": main.name, "dimensions": embedded.vectors.shape[1]}
            for table, frame in zip(_EMBEDDED, frames, strict=True):
                yield _written(study, step, table, frame, **facts)

    return embed_discharges


def _select_clusters(study: SubtypeStudy) -> dg.AssetsDefinition:
    @_step(study, "select_clusters", _CHOSEN, (*vector_sources(study), *_EMBEDDED))
    def select_clusters(
        context: dg.AssetExecutionContext, lake: LakeResource
    ) -> Iterator[dg.MaterializeResult]:
        with sex_step(context, study, lake) as step:
            admissions = _admissions(step)
            representations = _representations(study, step, admissions)
            selections = select_counts(admissions, representations, study.clusters)
            names = {role: one.name for role, one in representations.items()}
            verdicts = verdict_frame(admissions, names, selections, study.clusters)
            yield _written(study, step, "cluster_selection", selection_frame(step.sex, selections))
            told = verdicts.filter(pl.col("representation") == MAIN)
            yield _written(
                study,
                step,
                "cluster_verdict",
                verdicts,
                clusters=int(told["clusters"].item()),
                verdict=str(told["verdict"].item()),
                published_rule=str(told["published_verdict"].item()),
            )

    return select_clusters


def _cluster_discharges(study: SubtypeStudy) -> dg.AssetsDefinition:
    @_step(study, "cluster_discharges", _CLUSTERED, (*_SOURCES, *_EMBEDDED, "cluster_verdict"))
    def cluster_discharges(
        context: dg.AssetExecutionContext, lake: LakeResource
    ) -> Iterator[dg.MaterializeResult]:
        with sex_step(context, study, lake) as step:
            admissions = _admissions(step)
            options = study.clusters
            found = find_members(admissions, _vectors(step), _counts(step), options)
            store = description_store(step.lake, options.encoder)
            published = published_labels(admissions, _names(step), options, store)
            yield _written(study, step, "subtypes", subtypes_frame(admissions, found))
            audited = {**found.labels, **published}
            audit = nuisance_frame(admissions, audited, options.maximum_nuisance)
            yield _written(study, step, "nuisance_audit", audit)

    return cluster_discharges


def _nuisance_check(study: SubtypeStudy) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset="subtypes",
        name="nuisance",
        blocking=True,
        partitions_def=sex_partitions(),
        description="Clusters do not follow from the number of diagnoses.",
    )
    def nuisance(context: dg.AssetCheckExecutionContext, lake: LakeResource) -> dg.AssetCheckResult:
        audit = lake.open().read("nuisance_audit", context.partition_key)
        main = audit.filter(pl.col("representation") == MAIN)
        above = main.filter(pl.col("blocking") & ~pl.col("below_maximum"))
        return dg.AssetCheckResult(
            passed=above.is_empty(),
            description=_paragraph(study, above),
            metadata={
                row["nuisance"]: round(row["adjusted_mutual_information"], 3)
                for row in main.iter_rows(named=True)
            },
        )

    return nuisance


def _paragraph(study: SubtypeStudy, above: pl.DataFrame) -> str | None:
    if above.is_empty():
        return None
    shared = ", ".join(
        f"{row['adjusted_mutual_information']:.2f} with {row['nuisance'].replace('_', ' ')}"
        for row in above.iter_rows(named=True)
    )
    return (
        f"The adjusted mutual information of the clusters is {shared}, and "
        f"{study.clusters.maximum_nuisance:g} is the most that `clusters.maximum_nuisance` allows. "
        "The clusters follow how records are kept, so no subtype is described. Try another "
        "`clusters.representation` or report that there are no subtypes."
    )


def _disease_weights(study: SubtypeStudy) -> dg.AssetsDefinition:
    @_step(study, "disease_weights", ("disease_weights",), (*_SOURCES, "subtypes"))
    def disease_weights(
        context: dg.AssetExecutionContext, lake: LakeResource
    ) -> Iterator[dg.MaterializeResult]:
        with sex_step(context, study, lake) as step:
            admissions = _admissions(step)
            weights = described_weights(
                admissions.coded,
                _labels(step),
                _names(step),
                minimum_admissions=study.privacy.minimum_cell,
            )
            frame = weights.select(pl.lit(step.sex).alias("sex"), pl.all())
            yield _written(study, step, "disease_weights", frame)

    return disease_weights


def _validate_subtypes(study: SubtypeStudy) -> dg.AssetsDefinition:
    @_step(
        study,
        "validate_subtypes",
        _VALIDATED,
        (*vector_sources(study), "cluster_verdict", "subtypes"),
    )
    def validate_subtypes(
        context: dg.AssetExecutionContext, lake: LakeResource
    ) -> Iterator[dg.MaterializeResult]:
        with sex_step(context, study, lake) as step:
            admissions = _admissions(step)
            main = _representations(study, step, admissions)[MAIN]
            replicated = replication_frame(admissions, main, _counts(step)[MAIN], study.clusters)
            validated = validation_frame(admissions, _labels(step))
            for table, frame in zip(_VALIDATED, (validated, replicated), strict=True):
                yield _written(study, step, table, frame)

    return validate_subtypes


def _admissions(step: SexStep) -> SexAdmissions:
    return admissions_of(step.lake.read("discharges"), step.sex)


def _names(step: SexStep) -> dict[str, str]:
    described = step.lake.read("diagnosis_description").drop_nulls("description")
    return dict(described.select("code", "description").iter_rows())


def _representations(
    study: SubtypeStudy, step: SexStep, admissions: SexAdmissions
) -> dict[str, Representation]:
    main = main_representation(
        admissions, study.clusters, _names(step), step.lake, study.language_model
    )
    found = {MAIN: main, BASELINE: baseline_representation(study.clusters)}
    return {role: found[role] for role in ROLES}


def _vectors(step: SexStep) -> Any:
    tables = (step.lake.read(table, step.sex) for table in _EMBEDDED)
    return embedded_of(*tables).vectors


def _counts(step: SexStep) -> dict[str, int]:
    verdicts = step.lake.read("cluster_verdict", step.sex)
    return dict(verdicts.select("representation", "clusters").iter_rows())


def _labels(step: SexStep) -> Any:
    return step.lake.read("subtypes", step.sex)["cluster"].to_numpy()


def _written(
    study: SubtypeStudy, step: SexStep, table: str, frame: pl.DataFrame, **facts: Any
) -> dg.MaterializeResult:
    stamp = step.lake.write(table, frame, window=step.sex)
    return table_result(study, table, stamp, **facts)
