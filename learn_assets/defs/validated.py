"""Group validated: canonical tables that hold their contract, each with its quarantine."""

from collections.abc import Iterator

import dagster as dg

from learn_assets.defs.metadata import about_count, shown_count, table_result, table_spec
from learn_assets.defs.resources import LakeResource
from learn_assets.defs.stages import data_step
from learn_assets.lake import Lake
from learn_assets.schemas.registry import ARRIVING
from learn_assets.study import Study
from learn_assets.validation.loss import assert_rows_kept
from learn_assets.validation.validate import ValidationReport, validate_table

EVENT_TABLES = ("diagnosis", "procedure", "medication", "lab_result")


def upstream_of(table: str) -> list[str]:
    """Return the assets a validated table is made from."""
    dated = ["raw_patient", "raw_cohort_table", *(f"raw_{name}" for name in EVENT_TABLES)]
    if table in ("patient", "cohort_table", "observation_period"):
        # All dates of an extract tell where it ends; and a site without patient.csv has its
        # demographics in the cohort table.
        return sorted({*dated, f"raw_{table}"})
    if table in EVENT_TABLES:
        return [*dated, "patient"]
    return [f"raw_{table}"]


def outputs_of(table: str) -> list[str]:
    """Return the tables one validation writes."""
    extra = ["cohort_feature"] if table == "cohort_table" else []
    return [table, *extra, f"{table}_quarantine"]


def validated_asset(study: Study, table: str) -> dg.AssetsDefinition:
    """Return the asset that turns a raw table into the canonical one and its quarantine."""
    deps = upstream_of(table)
    outputs = outputs_of(table)

    @dg.multi_asset(
        name=f"validate_{table}",
        specs=[
            table_spec(
                output,
                group="validated",
                owner=study.owner,
                kinds={"polars", "pandera", "parquet"},
                deps=list(deps),
            )
            for output in outputs
        ],
    )
    def validated(
        context: dg.AssetExecutionContext, lake: LakeResource
    ) -> Iterator[dg.MaterializeResult]:
        with data_step(context, study, lake) as opened:
            report = validate_table(study, opened, table)
            if report.rows_quarantined:
                context.log.warning(
                    f"{table}: {shown_count(study, report.rows_quarantined)} rows quarantined; "
                    f"the table {table}_quarantine has file, line and reason"
                )
            yield from (_result(study, opened, output, report) for output in outputs)
            assert_rows_kept(
                study, table, report.rows_in, dict(report.reasons), f"{table}_quarantine"
            )

    return validated


def _result(
    study: Study, lake: Lake, output: str, report: ValidationReport
) -> dg.MaterializeResult:
    stamp = lake.stamp(output)
    if stamp is None:
        raise dg.Failure(f"validation of {report.table} did not write the table {output}")
    if output.endswith("_quarantine"):
        return table_result(study, output, stamp, counts=dict(report.reasons))
    return table_result(
        study,
        output,
        stamp,
        counts={"rows_quarantined": report.rows_quarantined, **report.counted},
        rows_in_about=about_count(study, report.rows_in),
        # The month alone: the day may be that of one patient's last record.
        dates_until=f"{report.last_day:%Y-%m}" if report.last_day else "not bounded",
    )


def assets(study: Study) -> list[dg.AssetsDefinition]:
    """Return every asset of the group."""
    return [validated_asset(study, table) for table in ARRIVING]
