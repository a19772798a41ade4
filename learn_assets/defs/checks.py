"""Asset checks: one factory turns each table's contract into a blocking check of counts only."""

from collections.abc import Callable, Iterable

import dagster as dg

from learn_assets import provenance
from learn_assets.defs.metadata import shown_count
from learn_assets.defs.partitions import partitions_of
from learn_assets.defs.resources import LakeResource
from learn_assets.lake import Lake
from learn_assets.library_errors import values_hidden
from learn_assets.schemas.registry import TABLES
from learn_assets.study import BaseStudy, Study
from learn_assets.validation.contracts import CheckOutcome, check_table


def place_of(context: dg.AssetCheckExecutionContext) -> tuple[str | None, str | None]:
    """Return the window key (or other single key) and the encoder id under check, or None."""
    if not context.has_partition_key:
        return None, None
    key = context.partition_key
    if isinstance(key, dg.MultiPartitionKey):
        return key.keys_by_dimension["window"], key.keys_by_dimension["encoder"]
    return key, None


def judged(
    context: dg.AssetCheckExecutionContext,
    lake: Lake,
    table: str,
    judge: Callable[[], CheckOutcome],
) -> CheckOutcome:
    """Judge a table and record the verdict: a table that failed is never taken for finished."""
    place = place_of(context)
    stamp = lake.stamp(table, *place)
    with values_hidden():
        outcome = judge()
    if stamp is not None:
        provenance.record_verdict(lake, table, stamp.fingerprint, *place, passed=outcome.passed)
    return outcome


def check_result(study: BaseStudy, outcome: CheckOutcome) -> dg.AssetCheckResult:
    """Return what Dagster stores of a check: which rule failed for how many rows, no value."""
    failed = {
        f"{failure.column}: {failure.check}": shown_count(study, failure.count)
        for failure in outcome.failures
    }
    rules = "; ".join(f"`{rule}` for {rows} rows" for rule, rows in failed.items())
    return dg.AssetCheckResult(
        passed=outcome.passed,
        description=None
        if outcome.passed
        else f"The table breaks its contract: {rules}. Nothing is made from it. Look at these "
        "columns of the table at the site; if the source is right there, report a defect.",
        metadata=failed,
    )


def contract_check(
    study: BaseStudy, table: str, partitions: dg.PartitionsDefinition | None
) -> dg.AssetChecksDefinition:
    """Return the blocking check that holds a table against its Pandera contract."""

    @dg.asset_check(
        asset=table,
        name="contract",
        blocking=True,
        partitions_def=partitions,
        description="Columns, types, ranges, allowed values and keys, as the contract says.",
    )
    def contract(context: dg.AssetCheckExecutionContext, lake: LakeResource) -> dg.AssetCheckResult:
        opened = lake.open()
        path = opened.path(table, *place_of(context))
        outcome = judged(context, opened, table, lambda: check_table(path, table))
        return check_result(study, outcome)

    return contract


def asset_checks(study: Study) -> list[dg.AssetChecksDefinition]:
    """Return the contract check of each table of a study of progression."""
    return contract_checks(study, TABLES)


def contract_checks(study: BaseStudy, tables: Iterable[str]) -> list[dg.AssetChecksDefinition]:
    """Return the contract check of each table."""
    return [contract_check(study, table, partitions_of(study, table)) for table in tables]
