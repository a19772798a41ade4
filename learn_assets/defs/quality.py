"""Group quality: expectations of the data as a whole; what fails as an error stops the cohort."""

from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg

from learn_assets.defs.metadata import table_result, table_spec
from learn_assets.defs.resources import LakeResource
from learn_assets.defs.stages import begin_step, data_inputs
from learn_assets.library_errors import values_hidden
from learn_assets.quality.assessment import MEASURED_TABLES, assess
from learn_assets.quality.findings import Finding, failed, findings
from learn_assets.reporting.markdown import markdown_table
from learn_assets.study import Study
from learn_assets.study.expectations import CATEGORIES

TABLE = "data_quality"


def assets(study: Study) -> list[dg.AssetsDefinition]:
    """Return the table of expectations, which carries a blocking check a category."""
    return [_data_quality(study)]


def _data_quality(study: Study) -> dg.AssetsDefinition:
    spec = table_spec(
        TABLE,
        group="quality",
        owner=study.owner,
        kinds={"polars", "greatexpectations", "parquet"},
        deps=list(MEASURED_TABLES),
    )

    @dg.multi_asset(
        name=TABLE,
        specs=[spec],
        check_specs=[
            dg.AssetCheckSpec(
                name=category,
                asset=TABLE,
                blocking=True,
                description=f"Expectations of {category}; those of severity `error` block.",
            )
            for category in CATEGORIES
        ],
    )
    def data_quality(context: dg.AssetExecutionContext, lake: LakeResource) -> Iterator[Any]:
        opened = lake.open()
        finish = begin_step(context, opened, data_inputs(study, opened))
        with values_hidden():
            frame = assess(study, opened)
            stamp = opened.write(TABLE, frame)
        found = findings(frame)
        wrong = failed(found)
        for finding in wrong:
            tell = context.log.error if finding.is_error else context.log.warning
            tell(f"{finding.name}: {finding.found}, expected {finding.expected}")
        yield table_result(
            study,
            TABLE,
            stamp,
            failed=len(wrong),
            not_judged=sum(finding.passed is None for finding in found),
            failures=dg.MetadataValue.md(_markdown(wrong)),
        )
        yield from (_check(category, wrong) for category in CATEGORIES)
        # What is blocked is judged again by the next run, although nothing has changed.
        if not any(finding.is_error for finding in wrong):
            finish()

    return data_quality


def _check(category: str, wrong: Sequence[Finding]) -> dg.AssetCheckResult:
    mine = [finding for finding in wrong if finding.category == category]
    blocks = any(finding.is_error for finding in mine)
    return dg.AssetCheckResult(
        asset_key=TABLE,
        check_name=category,
        passed=not mine,
        severity=dg.AssetCheckSeverity.ERROR if blocks else dg.AssetCheckSeverity.WARN,
        description=_paragraph(mine) if mine else None,
        metadata={finding.name: f"{finding.found}, {finding.expected}" for finding in mine},
    )


def _paragraph(wrong: Sequence[Finding]) -> str:
    found = "; ".join(
        f"`{item.name}` ({item.measure}) is {item.found}, expected {item.expected}"
        for item in wrong
    )
    return (
        f"{found}. Mend the source, or change the threshold or severity of an expectation under "
        "`quality.expectations` in the study file (docs/data_quality.md)."
    )


def _markdown(wrong: Sequence[Finding]) -> str:
    if not wrong:
        return "Every expectation that could be judged holds."
    cells = [(i.severity, i.name, i.measure, str(i.expected), str(i.found)) for i in wrong]
    return markdown_table(["severity", "expectation", "measured", "expected", "found"], cells)
