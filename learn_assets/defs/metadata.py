"""What an asset shows in the UI: column schema, row counts and fingerprints, never a value."""

from typing import Any

import dagster as dg

from learn_assets.lake import TableStamp
from learn_assets.schemas import TABLES, schema_of


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
    known = table in TABLES or table.endswith("_quarantine")
    return dg.AssetSpec(
        key=table,
        group_name=group,
        owners=[owner],
        kinds=kinds,
        deps=deps,
        description=description or table_description(table),
        partitions_def=partitions_def,
        metadata=dg.TableMetadataSet(column_schema=column_schema(table)) if known else None,
    )


def table_result(
    table: str, stamp: TableStamp, **numbers: dg.MetadataValue | int | float | str
) -> dg.MaterializeResult:
    """Return the result of a table asset: its rows, its fingerprint and the numbers given."""
    return dg.MaterializeResult(
        asset_key=table,
        data_version=dg.DataVersion(stamp.fingerprint),
        metadata={
            **dg.TableMetadataSet(row_count=stamp.rows),
            "fingerprint": stamp.fingerprint,
            **numbers,
        },
    )
