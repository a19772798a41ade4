"""check_table: a table held against its Pandera contract, answered in counts, never in values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandera.polars as pa
import polars as pl
import pyarrow.parquet as pq
from pandera.config import ValidationDepth, config_context

from learn_assets.schemas.registry import schema_of

_BATCH_ROWS = 500_000


@dataclass(frozen=True)
class CheckFailure:
    """One check that failed: on which column, and for how many rows (1 when it is no row's)."""

    column: str
    check: str
    count: int


@dataclass(frozen=True)
class CheckOutcome:
    """Whether a table holds its contract, and where not."""

    passed: bool
    failures: tuple[CheckFailure, ...]


def check_table(table: pl.DataFrame | Path, name: str) -> CheckOutcome:
    """Hold a table, or the Parquet file of one, against the contract of that name.

    Columns and types first; if they hold, every value is looked at, in batches of 500,000 rows, and
    a unique column is compared over the whole table. KeyError when no contract has that name.
    """
    schema = schema_of(name).to_schema()
    keys = [column for column, field in schema.columns.items() if field.unique]
    # Pandera would compare keys within a batch only, and list the repeated values.
    by_row = schema.update_columns({key: {"unique": False} for key in keys}) if keys else schema
    failures = _failures(_without_rows(table), by_row)
    if not failures:
        for batch in _batches(table):
            failures.update(_failures(batch, by_row))
        failures.update({(key, "unique"): _repeated(table, key) for key in keys})
    found = tuple(
        CheckFailure(column, check, count)
        for (column, check), count in sorted(failures.items())
        if count
    )
    return CheckOutcome(passed=not found, failures=found)


def _without_rows(table: pl.DataFrame | Path) -> pl.DataFrame:
    return _lazy(table).clear().collect()


def _lazy(table: pl.DataFrame | Path) -> pl.LazyFrame:
    if isinstance(table, pl.DataFrame):
        return table.lazy()
    return pl.scan_parquet(table, glob=False)


def _batches(table: pl.DataFrame | Path) -> Iterator[pl.DataFrame]:
    if isinstance(table, pl.DataFrame):
        yield from table.iter_slices(_BATCH_ROWS)
        return
    for batch in pq.ParquetFile(table).iter_batches(batch_size=_BATCH_ROWS):
        frame = pl.from_arrow(batch)
        if isinstance(frame, pl.DataFrame):
            yield frame


def _failures(batch: pl.DataFrame, schema: pa.DataFrameSchema) -> Counter[tuple[str, str]]:
    # On a LazyFrame, or when the environment says so, Pandera looks at the schema alone.
    with config_context(validation_enabled=True, validation_depth=ValidationDepth.SCHEMA_AND_DATA):
        try:
            schema.validate(batch, lazy=True)
        except pa.errors.SchemaErrors as errors:
            return Counter(_places(errors))
    return Counter()


def _places(errors: pa.errors.SchemaErrors) -> Iterator[tuple[str, str]]:
    """Yield column and check of each failure case; the case itself is a patient's value."""
    cases = errors.failure_cases.select("column", "check", "failure_case", "schema_context")
    for column, check, case, context in cases.iter_rows():
        of_table = context == "DataFrameSchema"
        yield (str(case) if of_table else str(column)), str(check)


def _repeated(table: pl.DataFrame | Path, key: str) -> int:
    """Return how many rows repeat a key that stood before."""
    counted = _lazy(table).select((pl.len() - pl.col(key).n_unique()).alias("repeated"))
    return int(counted.collect().item())
