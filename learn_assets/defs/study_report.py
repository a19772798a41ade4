"""Group evaluation: the report of the study, from every table that a section of it shows."""

import dagster as dg

from learn_assets.defs.partitions import on_all_cells
from learn_assets.defs.resources import LakeResource
from learn_assets.defs.stages import result_step
from learn_assets.reporting.report import write_report
from learn_assets.schemas.registry import in_report, partitioned_by
from learn_assets.study import Study


def assets(study: Study) -> list[dg.AssetsDefinition]:
    """Return the report of the study."""
    return [_study_report(study)]


def _study_report(study: Study) -> dg.AssetsDefinition:
    @dg.asset(
        name="study_report",
        group_name="evaluation",
        owners=[study.owner],
        kinds={"html"},
        deps=[on_all_cells(table) if partitioned_by(table) else table for table in in_report()],
        description="One self-contained page with every result, TRIPOD+AI and risk of bias; and "
        "study.json with its numbers.",
    )
    def study_report(context: dg.AssetExecutionContext, lake: LakeResource) -> dg.MaterializeResult:
        with result_step(context, study, lake) as opened:
            written = write_report(study, opened)
        sections = list(written.report.walk())
        return dg.MaterializeResult(
            metadata={
                "page": dg.MetadataValue.path(written.page),
                "numbers": dg.MetadataValue.path(written.numbers),
                "sections": len(sections),
                "synthetic_data": str(study.synthetic),
            }
        )

    return study_report
