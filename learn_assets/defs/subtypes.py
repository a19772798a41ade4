"""Group subtypes: discharges of a registry, their descriptions and the comparisons by sex."""

from collections.abc import Callable, Iterator
from typing import Any

import dagster as dg
import polars as pl

from learn_assets.defs.checks import contract_checks
from learn_assets.defs.metadata import (
    COLUMN_SCHEMA,
    about_count,
    column_schema,
    figure_entry,
    shown_count,
    table_description,
    table_result,
    table_spec,
)
from learn_assets.defs.resources import LakeResource
from learn_assets.defs.subtypes_stages import discharge_step
from learn_assets.disclosure import shown_share
from learn_assets.lake import Lake, TableStamp
from learn_assets.schemas.registry import SUBTYPES_DATA, made_in
from learn_assets.study.subtypes import SubtypeStudy
from learn_assets.subtypes.descriptions import (
    code_titles,
    describe_codes,
    diagnosis_mentions,
    mention_coverage,
)
from learn_assets.subtypes.discharges import read_discharges
from learn_assets.subtypes.figures import discharge_figures
from learn_assets.subtypes.language.texts import write_diagnosis_texts
from learn_assets.subtypes.manuscript import FOLDER, SOURCES, write_manuscript_files
from learn_assets.subtypes.pruning import CHOSEN
from learn_assets.subtypes.sex_comparison import sex_comparison, sex_description
from learn_assets.subtypes.source import resolve_discharges
from learn_assets.subtypes.substances import substance_table
from learn_assets.validation.loss import assert_rows_kept

GROUP = "subtypes"
_READ = ("discharges", "discarded_discharges")
# Functions of the table of discharges alone.
_COMPARISONS: dict[str, Callable[[pl.DataFrame], pl.DataFrame]] = {
    "sex_description": sex_description,
    "sex_comparison": sex_comparison,
    "substance_table": substance_table,
}


def subtype_assets(study: SubtypeStudy) -> list[dg.AssetsDefinition]:
    """Return the assets that hold both sexes."""
    comparisons = [_comparison(study, table) for table in _COMPARISONS]
    return [
        _discharges(study),
        _diagnosis_description(study),
        _diagnosis_texts(study),
        *comparisons,
        _discharge_tables(study),
    ]


def subtype_asset_checks(study: SubtypeStudy) -> list[dg.AssetChecksDefinition]:
    """Return the contract of each table of both sexes, and the coverage of descriptions."""
    contracts = contract_checks(study, made_in(SUBTYPES_DATA))
    return [*contracts, _description_coverage(study)]


def subtype_jobs(_study: SubtypeStudy) -> list[Any]:
    """Return the job of both sexes."""
    return [
        dg.define_asset_job(
            SUBTYPES_DATA,
            dg.AssetSelection.assets(*made_in(SUBTYPES_DATA)),
            description="Discharges of both sexes, their descriptions and comparisons.",
        )
    ]


def _discharges(study: SubtypeStudy) -> dg.AssetsDefinition:
    @dg.multi_asset(
        name="read_discharges",
        specs=[
            table_spec(
                table,
                group=GROUP,
                owner=study.owner,
                kinds={"polars", "pandera", "parquet"},
                deps=[],
            )
            for table in _READ
        ],
    )
    def discharges(
        context: dg.AssetExecutionContext, lake: LakeResource
    ) -> Iterator[dg.MaterializeResult]:
        with discharge_step(context, study, lake) as opened:
            report = read_discharges(resolve_discharges(study, opened), study.pruning, opened)
            unreadable: dict[str, Any] = {
                f"{column}_unreadable": shown_count(study, count)
                for column, count in report.unreadable.items()
                if count
            }
            yield table_result(
                study,
                "discharges",
                _stamp(opened, "discharges"),
                files=len(report.files),
                rows_read_about=about_count(study, report.rows_read),
                **unreadable,
            )
            yield table_result(
                study,
                "discarded_discharges",
                _stamp(opened, "discarded_discharges"),
                counts=report.discarded,
            )
            assert_rows_kept(
                study,
                "discharges",
                report.rows_read,
                report.discarded,
                "discarded_discharges",
                no_loss=CHOSEN,
            )

    return discharges


def _diagnosis_description(study: SubtypeStudy) -> dg.AssetsDefinition:
    @_table_asset(study, "diagnosis_description", deps=["discharges"])
    def diagnosis_description(
        context: dg.AssetExecutionContext, lake: LakeResource
    ) -> dg.MaterializeResult:
        with discharge_step(context, study, lake) as opened:
            mentions = diagnosis_mentions(opened.scan("discharges"))
            described = describe_codes(mentions, code_titles(study.descriptions.code_file))
            stamp = opened.write("diagnosis_description", described)
            return table_result(
                study,
                "diagnosis_description",
                stamp,
                counts={
                    f"codes_{source}": described.filter(pl.col("source") == source).height
                    for source in ("exact", "parent", "none")
                },
                coverage_of_mentions=_shown_coverage(study, described),
            )

    return diagnosis_description


def _diagnosis_texts(study: SubtypeStudy) -> dg.AssetsDefinition:
    @_table_asset(study, "diagnosis_texts", deps=["discharges", "diagnosis_description"])
    def diagnosis_texts(
        context: dg.AssetExecutionContext, lake: LakeResource
    ) -> dg.MaterializeResult:
        with discharge_step(context, study, lake) as opened:
            return table_result(study, "diagnosis_texts", write_diagnosis_texts(opened))

    return diagnosis_texts


def _description_coverage(study: SubtypeStudy) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset="diagnosis_description",
        name="coverage",
        blocking=True,
        description="Enough mentions of diagnoses have a description.",
    )
    def coverage(lake: LakeResource) -> dg.AssetCheckResult:
        described = lake.open().read("diagnosis_description")
        minimum = study.descriptions.minimum_coverage
        passed = mention_coverage(described) >= minimum
        return dg.AssetCheckResult(
            passed=passed,
            description=None
            if passed
            else f"{_shown_coverage(study, described)} of the mentions of diagnoses have a "
            f"description, {minimum:.0%} are needed. The table `diagnosis_description` lists the "
            "codes without one. Give `descriptions.code_file` of the years of the discharges, or "
            "lower `descriptions.minimum_coverage` in the study file.",
            metadata={"coverage": _shown_coverage(study, described), "minimum": minimum},
        )

    return coverage


def _shown_coverage(study: SubtypeStudy, described: pl.DataFrame) -> str:
    total = int(described["mentions"].sum())
    with_text = round(mention_coverage(described) * total)
    return shown_share(with_text, total, study.privacy.minimum_cell)


def _comparison(study: SubtypeStudy, table: str) -> dg.AssetsDefinition:
    @_table_asset(study, table, deps=["discharges"])
    def comparison(context: dg.AssetExecutionContext, lake: LakeResource) -> dg.MaterializeResult:
        with discharge_step(context, study, lake) as opened:
            compared = _COMPARISONS[table](opened.read("discharges"))
            return table_result(study, table, opened.write(table, compared))

    return comparison


def _discharge_tables(study: SubtypeStudy) -> dg.AssetsDefinition:
    @_table_asset(study, "discharge_tables", deps=list(SOURCES))
    def discharge_tables(
        context: dg.AssetExecutionContext, lake: LakeResource
    ) -> dg.MaterializeResult:
        with discharge_step(context, study, lake) as opened:
            files = write_manuscript_files(study, opened)
            minimum = study.privacy.minimum_cell
            figures = discharge_figures(opened.read("discharges"), {}, minimum)
            shown: dict[str, Any] = {name: figure_entry(figure) for name, figure in figures.items()}
            return table_result(
                study,
                "discharge_tables",
                opened.write("discharge_tables", files),
                folder=dg.MetadataValue.path(opened.folder(FOLDER)),
                files=files.height,
                synthetic_data=str(study.synthetic),
                **shown,
            )

    return discharge_tables


def _table_asset(
    study: SubtypeStudy, table: str, deps: list[str]
) -> Callable[[Callable[..., dg.MaterializeResult]], dg.AssetsDefinition]:
    """Return the decorator of an asset that writes one table of both sexes."""
    return dg.asset(
        name=table,
        group_name=GROUP,
        owners=[study.owner],
        kinds={"polars", "parquet"},
        deps=deps,
        metadata={COLUMN_SCHEMA: column_schema(table)},
        description=table_description(table),
    )


def _stamp(lake: Lake, table: str) -> TableStamp:
    stamp = lake.stamp(table)
    if stamp is None:
        raise dg.Failure(f"the table {table} was not written")
    return stamp
