"""What an asset shows in the UI: column schema, row counts and fingerprints, never a value."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import dagster as dg

from learn_assets.disclosure import shown_parts
from learn_assets.lake import TableStamp
from learn_assets.reporting.figures import SvgFigure
from learn_assets.schemas.registry import ASSETS, schema_of
from learn_assets.study import BaseStudy

# Names that the Dagster UI gives a place of their own.
COLUMN_SCHEMA = "dagster/column_schema"
ROW_COUNT = "dagster/row_count"


def column_schema(table: str) -> dg.TableSchema:
    """Return a table's columns, types and descriptions, read from its Pandera contract."""
    columns = schema_of(table).to_schema().columns
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                name=name,
                type=str(column.dtype),
                description=column.description,
                constraints=dg.TableColumnConstraints(
                    nullable=column.nullable, unique=column.unique
                ),
            )
            for name, column in columns.items()
        ]
    )


def table_description(table: str) -> str:
    """Return the first line of what the contract says a table holds."""
    return (schema_of(table).__doc__ or "").strip().splitlines()[0]


def table_spec(
    table: str,
    *,
    group: str,
    owner: str,
    kinds: set[str],
    deps: list[Any],
    description: str | None = None,
    partitions_def: dg.PartitionsDefinition | None = None,
) -> dg.AssetSpec:
    """Return the spec of a table asset: key, description, owner, kinds and column schema."""
    return dg.AssetSpec(
        key=table,
        group_name=group,
        owners=[owner],
        kinds=kinds,
        deps=deps,
        description=description or table_description(table),
        partitions_def=partitions_def,
        metadata={COLUMN_SCHEMA: column_schema(table)},
    )


def shown_count(study: BaseStudy, count: int) -> int | str:
    """Return a count as metadata may show it: masked when small enough to point at people."""
    return (
        count
        if count == 0 or count >= study.privacy.minimum_cell
        else (f"<{study.privacy.minimum_cell}")
    )


def about_count(study: BaseStudy, count: int) -> int | str:
    """Return a total to the nearest hundred, so that subtracting from it gives no small count."""
    if count < 100:
        return "fewer than 100" if count else 0
    return shown_count(study, round(count, -2))


def figure_entry(figure: SvgFigure | None) -> dg.MetadataValue:
    """Return a figure as metadata shows it, or that there was nothing to draw."""
    if figure is None:
        return dg.MetadataValue.text("not drawn: too few patients")
    return dg.MetadataValue.md(figure.markdown())


def table_result(
    study: BaseStudy,
    table: str,
    stamp: TableStamp,
    *,
    counts: Mapping[str, int] = MappingProxyType({}),
    **facts: dg.MetadataValue | float | str,
) -> dg.MaterializeResult:
    """Return the result of a table asset: rows, fingerprint, facts, and counts.

    Small counts are masked, and `counts` are taken for parts of the table's rows or of another
    number on show, so a part that would give a masked one away is withheld.
    """
    is_shown = ASSETS[table].fingerprint != "hidden"
    parts = shown_parts(list(counts.values()), study.privacy.minimum_cell)
    rows = shown_count(study, stamp.rows)
    # The UI draws the row count of a table from a number only.
    rows_entry: dict[str, int | str] = {ROW_COUNT if isinstance(rows, int) else "rows": rows}
    return dg.MaterializeResult(
        asset_key=table,
        data_version=dg.DataVersion(stamp.fingerprint) if is_shown else None,
        metadata={
            **rows_entry,
            **({"fingerprint": stamp.fingerprint} if is_shown else {}),
            **{
                name: part.text if part.value is None else part.value
                for name, part in zip(counts, parts, strict=True)
            },
            **facts,
        },
    )
