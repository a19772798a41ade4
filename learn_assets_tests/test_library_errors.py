from __future__ import annotations

import sys
from collections.abc import Callable

import duckdb
import polars as pl
import pyarrow as pa
import pytest
from dagster._utils.error import serializable_error_info_from_exc_info

from learn_assets.library_errors import TableOperationError, values_hidden

PATIENT = "p-4711"
COLUMN = pl.DataFrame({"patient_id": [PATIENT]})
FAILURES: dict[str, Callable[[], object]] = {
    "cast": lambda: COLUMN.select(pl.col("patient_id").cast(pl.Int64)),
    "date": lambda: COLUMN.select(pl.col("patient_id").str.to_date("%Y%m%d")),
    "literal": lambda: COLUMN.select(pl.lit(PATIENT).cast(pl.Int64)),
    "duckdb": lambda: duckdb.sql(f"select cast('{PATIENT}' as integer)").fetchall(),
    "arrow": lambda: pa.array([PATIENT]).cast(pa.int64()),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_no_value_is_in_what_dagster_keeps_of_an_error(failure: str) -> None:
    with pytest.raises(Exception, match=PATIENT):
        FAILURES[failure]()
    try:
        with values_hidden():
            FAILURES[failure]()
    except TableOperationError:
        kept = serializable_error_info_from_exc_info(sys.exc_info()).to_string()
    assert "TableOperationError" in kept
    assert PATIENT not in kept


def test_our_own_errors_pass_unchanged() -> None:
    with pytest.raises(KeyError, match="no window"), values_hidden():
        raise KeyError("no window x")
