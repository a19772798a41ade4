"""DuckDB session: how every part of the package opens DuckDB and names Parquet files in SQL.

What belongs here: settings that make a query give the same rows on every machine, and the one place
that turns a path into SQL. dbt opens its own connection, with the settings in
`dbt_like_sql/profiles.yml`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import duckdb

_MEMORY = "2GB"
_WILDCARD = re.compile(r"[\[*?]")


def open_duckdb(spill: Path, database: Path | None = None) -> duckdb.DuckDBPyConnection:
    """Return a connection in UTC, so that a time with a zone is of the same day on every machine.

    database: a DuckDB file, opened for reading only; None: in memory. spill: folder for what does
    not fit in 2 GB. duckdb.Error when the file cannot be opened.
    """
    if database is None:
        connection = duckdb.connect(":memory:")
    else:
        connection = duckdb.connect(str(database), read_only=True)
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET preserve_insertion_order = true")
    connection.execute(f"SET memory_limit = '{_MEMORY}'")
    connection.execute(f"SET temp_directory = {sql_text(str(spill))}")
    return connection


def parquet_relation(paths: Sequence[Path], *options: str) -> str:
    """Return SQL that reads exactly these files and takes no column from a folder such as `a=b`.

    The files' columns are matched by name. options: further named arguments of `read_parquet`.
    ValueError as for `literal_pattern`.
    """
    listed = ", ".join(sql_text(literal_pattern(path)) for path in paths)
    arguments = (f"[{listed}]", "union_by_name = true", "hive_partitioning = false", *options)
    return f"read_parquet({', '.join(arguments)})"


def literal_pattern(path: Path) -> str:
    """Return the pattern that matches this path alone: DuckDB takes each path for a pattern.

    ValueError for a path that no pattern can match, because DuckDB splits a pattern at a backslash.
    """
    text = str(path)
    if "\\" in text and _WILDCARD.search(text):
        raise ValueError(
            f"DuckDB cannot read {text}: its path holds a backslash and one of [ * ?; "
            "rename the folder or file so that it holds no backslash"
        )
    return _WILDCARD.sub(r"[\g<0>]", text)


def sql_text(text: str) -> str:
    """Return a text as a literal of SQL."""
    return "'" + text.replace("'", "''") + "'"
