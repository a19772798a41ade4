"""Buckets: a table cut by ranges of its key, so that sorting and comparing rows fit in memory.

The cuts are quantiles of the key. A bucket holds whole patients and buckets follow each other in
key order, so the result is sorted throughout and does not depend on where the cuts fall.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import polars as pl

from learn_assets.sources.sink import ParquetSink

ROWS_A_BUCKET = 1_000_000
_MOST_BUCKETS = 256
_SAMPLE = 100_000
_BUFFER_ROWS = 20_000


def bucket_count(rows: int, rows_a_bucket: int = ROWS_A_BUCKET) -> int:
    """Return into how many buckets a table of so many rows is cut."""
    return min(_MOST_BUCKETS, max(1, -(-rows // rows_a_bucket)))


def cut_points(keys: Iterator[pl.Series], rows: int, buckets: int) -> pl.Series:
    """Return up to `buckets - 1` increasing keys that cut a table into parts of like size."""
    if buckets == 1:
        return pl.Series(dtype=pl.String)
    step = max(1, rows // _SAMPLE)
    sampled = [key.drop_nulls().gather_every(step) for key in keys]
    sample = pl.concat(sampled).sort()
    if sample.is_empty():
        return sample
    places = [sample.len() * number // buckets for number in range(1, buckets)]
    return sample.gather(places).unique().sort()


class Buckets:
    """Rows spilled to one file a bucket while the source is read once."""

    def __init__(self, folder: Path, schema: pl.Schema, key: str, cuts: pl.Series) -> None:
        self._key = key
        self._cuts = cuts
        self._paths = [folder / f"bucket_{number}.parquet" for number in range(cuts.len() + 1)]
        self._sinks = [ParquetSink(path, schema, _BUFFER_ROWS) for path in self._paths]
        self._stack = ExitStack()

    def add(self, rows: pl.DataFrame) -> None:
        """Put rows into their buckets; the key must not be null."""
        if self._cuts.is_empty():
            self._sinks[0].write(rows)
            return
        number = self._cuts.search_sorted(rows.get_column(self._key), side="right")
        parts = rows.with_columns(number.alias("__bucket")).partition_by(
            "__bucket", as_dict=True, include_key=False
        )
        for (bucket,), part in parts.items():
            self._sinks[int(bucket)].write(part)

    def frames(self) -> Iterator[pl.DataFrame]:
        """Yield the buckets in key order, once the `with` block that filled them has ended."""
        for path in self._paths:
            yield pl.read_parquet(path, glob=False)
            path.unlink()

    def __enter__(self) -> Self:
        for sink in self._sinks:
            self._stack.enter_context(sink)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.__exit__(kind, error, trace)
