"""Group subtypes: discharges of a registry, their descriptions and the comparisons by sex."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from learn_assets.defs.checks import contract_check
from learn_assets.defs.metadata import about_count, shown_count, table_result, table_spec
from learn_assets.defs.resources import LakeResource
from learn_assets.defs.subtypes_stages import SUBTYPES_DATA, discharge_step
from learn_assets.lake import Lake, TableStamp
from learn_assets.subtypes.discharges import read_discharges
from learn_assets.subtypes.source import resolve_discharges
from learn_assets.subtypes.study import SubtypeStudy

GROUP = "subtypes"
DISCHARGE_TABLES = ("discharges", "discarded_discharges")


def subtype_definitions(study: SubtypeStudy, resources: dict[str, Any]) -> dg.Definitions:
    """Return the Definitions of a subtypes study."""
    data = discharge_assets(study)
    return dg.Definitions(
        assets=data,
        asset_checks=[contract_check(study, table) for table in DISCHARGE_TABLES],
        jobs=[
            dg.define_asset_job(
                SUBTYPES_DATA,
                dg.AssetSelection.assets(*data),
                description="Discharges of both sexes, their descriptions and comparisons.",
            )
        ],
        resources=resources,
        executor=dg.in_process_executor,
    )


def discharge_assets(study: SubtypeStudy) -> list[dg.AssetsDefinition]:
    """Return the assets that hold both sexes."""
    return [_discharges(study)]


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
            for table in DISCHARGE_TABLES
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

    return discharges


def _stamp(lake: Lake, table: str) -> TableStamp:
    stamp = lake.stamp(table)
    if stamp is None:
        raise dg.Failure(f"the table {table} was not written")
    return stamp
