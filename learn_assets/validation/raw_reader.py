"""Raw tables of the lake in batches, each row with its position in the whole source."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl
import pyarrow.parquet as pq

from learn_assets.lake import Lake, MissingTableError

POSITION = "__position"
# File k's line n stands at k * stride + n: unique, in source order, and the line can be read off.
FILE_STRIDE = 10_000_000_000
_BATCH_ROWS = 250_000
_PROVENANCE = ("source_file", "source_row")


@dataclass(frozen=True)
class RawTable:
    """A raw table and its malformed lines."""

    lake: Lake
    table: str

    def __post_init__(self) -> None:
        for name in (self.name, self.malformed_name):
            if self.lake.stamp(name) is None:
                raise MissingTableError(
                    f"table `{name}` is not in the lake; materialize raw_{self.table} first"
                )

    @property
    def name(self) -> str:
        """Name of the table of rows."""
        return f"raw_{self.table}"

    @property
    def malformed_name(self) -> str:
        """Name of the table of lines that are no rows."""
        return f"raw_{self.table}_malformed"

    @property
    def rows(self) -> int:
        """Rows, malformed lines not counted."""
        stamp = self.lake.stamp(self.name)
        return 0 if stamp is None else stamp.rows

    @property
    def text_columns(self) -> list[str]:
        """Columns that hold text of the source."""
        schema = self.lake.scan(self.name).collect_schema()
        return [name for name in schema.names() if name not in _PROVENANCE]

    def malformed(self) -> pl.DataFrame:
        """Return the malformed lines: source_file, source_row, reason, record."""
        return self.lake.read(self.malformed_name)

    def file_numbers(self) -> dict[str, int]:
        """Return the files in name order, numbered from 0."""
        files = [
            self.lake.scan(name).select(pl.col("source_file").unique())
            for name in (self.name, self.malformed_name)
        ]
        labels = pl.concat(files).collect().get_column("source_file").unique().sort()
        return {label: number for number, label in enumerate(labels)}

    def batches(self, columns: list[str] | None = None) -> Iterator[pl.DataFrame]:
        """Yield rows in source order with their POSITION (Int64); all columns unless some."""
        numbers = self.file_numbers()
        wanted = None if columns is None else [*columns, *_PROVENANCE]
        reader = pq.ParquetFile(self.lake.path(self.name))
        for batch in reader.iter_batches(batch_size=_BATCH_ROWS, columns=wanted):
            frame = pl.from_arrow(batch)
            if isinstance(frame, pl.DataFrame):
                yield frame.with_columns(position(numbers))


def position(file_numbers: dict[str, int]) -> pl.Expr:
    """Return the position of a row in the whole source, from its file and line."""
    number = pl.col("source_file").replace_strict(file_numbers, default=None, return_dtype=pl.Int64)
    return (number * FILE_STRIDE + pl.col("source_row")).alias(POSITION)
