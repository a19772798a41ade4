"""ParquetSink: writes a table in pieces, so that no table has to fit in memory."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Self

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq


class ParquetSink:
    """One Parquet file under construction; a file without rows still gets its columns."""

    def __init__(self, path: Path, schema: pl.Schema, buffer_rows: int = 131_072) -> None:
        self.rows = 0
        self._schema = schema
        self._arrow: pa.Schema = pl.DataFrame(schema=schema).to_arrow().schema
        self._writer = pq.ParquetWriter(path, self._arrow, compression="zstd")
        self._buffer: list[pl.DataFrame] = []
        self._buffered = 0
        self._buffer_rows = buffer_rows

    def write(self, frame: pl.DataFrame) -> None:
        """Append rows; the frame must have the columns of the schema, in any order."""
        if frame.is_empty():
            return
        self._buffer.append(frame.select(self._schema.names()))
        self._buffered += frame.height
        self.rows += frame.height
        if self._buffered >= self._buffer_rows:
            self._flush()

    def _flush(self) -> None:
        if self._buffer:
            frame = pl.concat(self._buffer).cast(dict(self._schema.items()))
            self._writer.write_table(frame.to_arrow().cast(self._arrow))
        self._buffer = []
        self._buffered = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self._flush()
        self._writer.close()
