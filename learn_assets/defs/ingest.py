"""Group ingest: the source's files as they were read, every column as text."""

import dagster as dg

from learn_assets.defs.metadata import COLUMN_SCHEMA, about_count, shown_count
from learn_assets.defs.resources import LakeResource
from learn_assets.defs.stages import data_step
from learn_assets.sources.ingest import ingest_rxnorm, ingest_table, source_fingerprint
from learn_assets.sources.raw_tables import raw_schema
from learn_assets.sources.trinetx import LAYOUTS
from learn_assets.study import Study

RAW_TABLES: dict[str, str] = {
    "patient": "Demographics as the source has them.",
    "diagnosis": "Diagnosis records as read.",
    "procedure": "Procedure records as read.",
    "medication": "Drug records as read.",
    "lab_result": "Laboratory results as read.",
    "terminology": "Descriptions of codes that the site ships.",
    "cohort_table": "The extract's own cohort table; empty when there is none.",
    "genetic_score": "Genetic risk scores; empty when there are none.",
    "observation_period": "Spans in which patients were observed (OMOP); else empty.",
    "care_site": "Institution of a network that treats each patient; empty when not stated.",
}


def raw_asset(study: Study, table: str) -> dg.AssetsDefinition:
    """Return the asset that reads one raw table."""

    @dg.asset(
        name=f"raw_{table}",
        group_name="ingest",
        owners=[study.owner],
        kinds={"polars", "parquet"},
        metadata={COLUMN_SCHEMA: _columns(table)},
        description=RAW_TABLES[table],
    )
    def raw(context: dg.AssetExecutionContext, lake: LakeResource) -> dg.MaterializeResult:
        with data_step(context, study, lake) as opened:
            report = ingest_table(study, opened, table)
            for note in report.notes:
                context.log.warning(note)
            return dg.MaterializeResult(
                data_version=dg.DataVersion(source_fingerprint(study, opened, table)),
                metadata={
                    "rows_read_about": about_count(study, report.rows_read),
                    "rows_malformed": shown_count(study, report.rows_malformed),
                    "rows_of_no_table_about": about_count(study, report.rows_of_no_table),
                    "files": len(report.files),
                },
            )

    return raw


def rxnorm_asset(study: Study) -> dg.AssetsDefinition:
    """Return the asset that reads the RxNorm release files."""

    @dg.asset(
        name="rxnorm_release",
        group_name="ingest",
        owners=[study.owner],
        kinds={"polars", "parquet"},
        description="RXNCONSO, RXNSAT (NDC rows), RXNREL and RXNATOMARCHIVE; empty when absent.",
    )
    def rxnorm_release(
        context: dg.AssetExecutionContext, lake: LakeResource
    ) -> dg.MaterializeResult:
        with data_step(context, study, lake) as opened:
            reports = ingest_rxnorm(study, opened)
            return dg.MaterializeResult(
                metadata={f"rows_{report.table}": report.rows_read for report in reports}
            )

    return rxnorm_release


def assets(study: Study) -> list[dg.AssetsDefinition]:
    """Return every asset of the group."""
    return [*(raw_asset(study, table) for table in RAW_TABLES), rxnorm_asset(study)]


def _columns(table: str) -> dg.TableSchema:
    """Return the columns every source gives this raw table; a site's further ones follow them."""
    schema = raw_schema(tuple(LAYOUTS[table].aliases))
    return dg.TableSchema(
        columns=[dg.TableColumn(name=name, type=str(kind)) for name, kind in schema.items()]
    )
