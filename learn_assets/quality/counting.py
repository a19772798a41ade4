"""Counting: records by the values of text columns, in memory that grows with values alone.

What belongs here: the only SQL of data quality. Polars streams such a count too, but keeps the text
of every record it has seen: 460 MB after 12 million records where DuckDB needs 55.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import duckdb
import polars as pl

from learn_assets.duckdb_session import open_duckdb, parquet_relation
from learn_assets.lake import Lake


def records_by(lake: Lake, table: str, *columns: str, where: str = "true") -> pl.DataFrame:
    """Return distinct values of the columns with their records (`records` Int64)."""
    return _counted(lake, f"{_source(lake, table)} where {where}", columns)


def records_by_sex(lake: Lake, table: str, *columns: str) -> pl.DataFrame:
    """Return the same by `sex` of the patient as well; records of unknown patients are left out."""
    patient = f"(select patient_id, sex from {_source(lake, 'patient')})"
    joined = f"{_source(lake, table)} join {patient} using (patient_id)"
    return _counted(lake, joined, (*columns, "sex"))


def _counted(lake: Lake, source: str, columns: tuple[str, ...]) -> pl.DataFrame:
    names = ", ".join(columns)
    query = f"select {names}, count(*)::bigint as records from {source} group by {names}"
    with _connection(lake) as connection:
        return connection.sql(query).pl()


def _source(lake: Lake, table: str) -> str:
    # A table that is not there is the lake's error to explain.
    lake.scan(table)
    return parquet_relation([lake.path(table)])


@contextmanager
def _connection(lake: Lake) -> Iterator[duckdb.DuckDBPyConnection]:
    with lake.staging() as staging, open_duckdb(staging) as connection:
        yield connection
