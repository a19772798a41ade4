"""Library errors: what Polars, DuckDB and Arrow say when they fail, without the values they quote.

What belongs here: the one filter between a library's message, which may quote a patient's value,
and whoever keeps or prints messages.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import duckdb
import polars as pl
import pyarrow as pa

HIDDEN = "<hidden>"

# Polars puts names of columns between single quotes, the others values.
_QUOTED = re.compile(r"\[[^\n]*\]|\"[^\n]*\"")
_QUOTED_EITHER_WAY = re.compile(r"'[^\n]*'|\"[^\n]*\"")


class TableOperationError(RuntimeError):
    """A library failed on a table; the message is the library's first line without values."""


@contextmanager
def values_hidden() -> Iterator[None]:
    """Turn errors of the table libraries into TableOperationError, leaving no way to the original.

    Everything after the first line goes: it repeats the expression or the SQL, literals included.
    """
    try:
        yield
    except pl.exceptions.PolarsError as error:
        raise TableOperationError(_described(error, _QUOTED)) from None
    except (duckdb.Error, pa.ArrowException) as error:
        raise TableOperationError(_described(error, _QUOTED_EITHER_WAY)) from None


def _described(error: Exception, quoted: re.Pattern[str]) -> str:
    first_line = str(error).partition("\n")[0]
    return (
        f"{type(error).__name__}: {quoted.sub(HIDDEN, first_line)} "
        "(values are hidden; repeat the step in a notebook at the site to see them)"
    )
