"""Group subtypes: what shows the clusters of both sexes, made when both have theirs."""

from collections.abc import Sequence
from typing import Any

import dagster as dg
import polars as pl

from learn_assets.defs.checks import contract_checks
from learn_assets.defs.metadata import (
    COLUMN_SCHEMA,
    column_schema,
    figure_entry,
    table_description,
    table_result,
)
from learn_assets.defs.partitions import on_all_cells
from learn_assets.defs.resources import LakeResource
from learn_assets.defs.subtypes_stages import result_step
from learn_assets.lake import Lake
from learn_assets.reporting.figures import SvgFigure
from learn_assets.schemas.registry import SUBTYPE_CLUSTERS, SUBTYPE_RESULTS, made_in
from learn_assets.study.subtypes import SEXES, SubtypeStudy
from learn_assets.subtypes.audit import assert_audited
from learn_assets.subtypes.cluster_files import (
    FIGURES_FOLDER,
    PAGE_FOLDER,
    TABLES_FOLDER,
    write_cluster_figures,
    write_cluster_tables,
    write_subtype_page,
)
from learn_assets.subtypes.validation_tables import match_frame

GROUP = "subtypes"
_SHOWN = tuple(
    table
    for table in made_in(SUBTYPE_CLUSTERS)
    if table not in {"discharge_embeddings", "embedding_directions"}
)
_OF_BOTH = ("discharges", "subtype_match")


def subtype_assets(study: SubtypeStudy) -> list[dg.AssetsDefinition]:
    """Return the assets that show both sexes' clusters."""
    return [
        _subtype_match(study),
        _subtype_tables(study),
        _subtype_figures(study),
        _subtype_page(study),
    ]


def subtype_asset_checks(study: SubtypeStudy) -> list[dg.AssetChecksDefinition]:
    """Return the contract of each of these tables."""
    return contract_checks(study, made_in(SUBTYPE_RESULTS))


def subtype_jobs(_study: SubtypeStudy) -> list[Any]:
    """Return the job that shows both sexes' clusters."""
    return [
        dg.define_asset_job(
            SUBTYPE_RESULTS,
            dg.AssetSelection.assets(*made_in(SUBTYPE_RESULTS)),
            description="Match of the sexes, tables, figures and page of the clusters.",
        )
    ]


def _step(study: SubtypeStudy, table: str, of_sex: Sequence[str], of_both: Sequence[str]) -> Any:
    """Return the decorator of a step that reads tables of each sex and of both."""
    return dg.asset(
        name=table,
        group_name=GROUP,
        owners=[study.owner],
        kinds={"polars", "parquet"},
        deps=[*(on_all_cells(upstream) for upstream in of_sex), *of_both],
        metadata={COLUMN_SCHEMA: column_schema(table)},
        description=table_description(table),
    )


def _subtype_match(study: SubtypeStudy) -> dg.AssetsDefinition:
    @_step(study, "subtype_match", ("nuisance_audit", "disease_weights"), ())
    def subtype_match(
        context: dg.AssetExecutionContext, lake: LakeResource
    ) -> dg.MaterializeResult:
        with result_step(context, study, lake) as opened:
            assert_audited(opened)
            weights = (opened.read("disease_weights", sex) for sex in SEXES)
            return table_result(
                study, "subtype_match", opened.write("subtype_match", match_frame(*weights))
            )

    return subtype_match


def _subtype_tables(study: SubtypeStudy) -> dg.AssetsDefinition:
    @_step(study, "subtype_tables", _SHOWN, _OF_BOTH)
    def subtype_tables(
        context: dg.AssetExecutionContext, lake: LakeResource
    ) -> dg.MaterializeResult:
        with result_step(context, study, lake) as opened:
            files = write_cluster_tables(study, opened)
            return _files_result(study, opened, "subtype_tables", files, TABLES_FOLDER, {})

    return subtype_tables


def _subtype_figures(study: SubtypeStudy) -> dg.AssetsDefinition:
    @_step(study, "subtype_figures", made_in(SUBTYPE_CLUSTERS), _OF_BOTH)
    def subtype_figures(
        context: dg.AssetExecutionContext, lake: LakeResource
    ) -> dg.MaterializeResult:
        with result_step(context, study, lake) as opened:
            files, figures = write_cluster_figures(study, opened)
            return _files_result(study, opened, "subtype_figures", files, FIGURES_FOLDER, figures)

    return subtype_figures


def _subtype_page(study: SubtypeStudy) -> dg.AssetsDefinition:
    upstream = (*_OF_BOTH, "discharge_tables", "subtype_tables", "subtype_figures")

    @_step(study, "subtype_page", _SHOWN, upstream)
    def subtype_page(context: dg.AssetExecutionContext, lake: LakeResource) -> dg.MaterializeResult:
        with result_step(context, study, lake) as opened:
            files = write_subtype_page(study, opened)
            return _files_result(study, opened, "subtype_page", files, PAGE_FOLDER, {})

    return subtype_page


def _files_result(
    study: SubtypeStudy,
    lake: Lake,
    table: str,
    files: pl.DataFrame,
    folder: str,
    figures: dict[str, SvgFigure],
) -> dg.MaterializeResult:
    shown: dict[str, Any] = {name: figure_entry(figure) for name, figure in figures.items()}
    return table_result(
        study,
        table,
        lake.write(table, files),
        folder=dg.MetadataValue.path(lake.folder(folder)),
        files=files.height,
        synthetic_data=str(study.synthetic),
        **shown,
    )
