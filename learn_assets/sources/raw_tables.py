"""Raw tables: delimited files into `raw_<table>` and `raw_<table>_malformed` of the lake."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from learn_assets.lake import Lake
from learn_assets.sources.delimited import (
    Block,
    ParsedBlock,
    carriage_return_error,
    parse_blocks,
    read_blocks,
)
from learn_assets.sources.files import SourceError
from learn_assets.sources.headers import FileShape, TableLayout, file_shapes
from learn_assets.sources.reports import IngestReport
from learn_assets.sources.sink import ParquetSink
from learn_assets.sources.trinetx import TableFiles

MALFORMED_SCHEMA = pl.Schema(
    {
        "source_file": pl.String(),
        "source_row": pl.Int64(),
        "reason": pl.String(),
        "record": pl.String(),
    }
)


@dataclass(frozen=True)
class RawSinks:
    """The two files of a raw table while they are written."""

    rows: ParquetSink
    malformed: ParquetSink


def raw_schema(columns: Sequence[str]) -> pl.Schema:
    """Return the columns of a raw table: text, then source_file and source_row."""
    text = {name: pl.String() for name in columns}
    return pl.Schema({**text, "source_file": pl.String(), "source_row": pl.Int64()})


@contextmanager
def raw_sinks(lake: Lake, table: str, columns: Sequence[str]) -> Iterator[RawSinks]:
    """Yield sinks for a raw table and its malformed twin; both reach the lake at the end."""
    with lake.staging() as staging:
        rows_path = staging / f"raw_{table}.parquet"
        malformed_path = staging / f"raw_{table}_malformed.parquet"
        with (
            ParquetSink(rows_path, raw_schema(columns)) as rows,
            ParquetSink(malformed_path, MALFORMED_SCHEMA) as malformed,
        ):
            yield RawSinks(rows, malformed)
        lake.commit(f"raw_{table}_malformed", malformed_path)
        lake.commit(f"raw_{table}", rows_path)


def ingest_delimited(lake: Lake, table: str, table_files: TableFiles) -> IngestReport:
    """Read every file of a table into the lake, in name order; no files give empty tables."""
    shapes = file_shapes(table_files.files, table_files.layout)
    columns = table_columns(shapes, table_files.layout)
    with raw_sinks(lake, table, columns) as sinks:
        for shape in shapes:
            read_file(shape, sinks, columns)
    return IngestReport(
        table=table,
        files=tuple(file.label for file in table_files.files),
        rows_read=sinks.rows.rows + sinks.malformed.rows,
        rows_malformed=sinks.malformed.rows,
        notes=tuple(f"{shape.file.label}: {note}" for shape in shapes for note in shape.notes),
    )


def stage_delimited(shapes: Sequence[FileShape], folder: Path, name: str) -> RawSinks:
    """Read files into two Parquet files of a folder, `<name>` and `<name>_malformed`."""
    columns = list(dict.fromkeys(column for shape in shapes for column in shape.columns))
    rows = ParquetSink(folder / f"{name}.parquet", raw_schema(columns))
    malformed = ParquetSink(folder / f"{name}_malformed.parquet", MALFORMED_SCHEMA)
    with rows, malformed:
        for shape in shapes:
            read_file(shape, RawSinks(rows, malformed), columns)
    return RawSinks(rows, malformed)


def table_columns(shapes: Sequence[FileShape], layout: TableLayout) -> list[str]:
    """Return the columns of a table: those the layout always has, then what the files add."""
    found = (column for shape in shapes for column in shape.columns)
    columns = list(dict.fromkeys([*layout.canonical, *found]))
    return columns if layout.keep_unknown else list(layout.canonical)


def read_file(shape: FileShape, sinks: RawSinks, columns: Sequence[str]) -> None:
    """Append the rows and malformed lines of one file; a column it lacks stays empty."""
    label = pl.lit(shape.file.label).alias("source_file")
    wanted = [
        pl.col(name) if name in shape.columns else pl.lit(None, pl.String).alias(name)
        for name in columns
    ]
    for parsed in parsed_blocks(shape):
        sinks.rows.write(parsed.rows.select(*wanted, label, "source_row"))
        sinks.malformed.write(parsed.malformed.with_columns(label))


def parsed_blocks(shape: FileShape) -> Iterator[ParsedBlock]:
    """Yield the rows and malformed lines of one file, block by block, after its header.

    SourceError when a malformed line is several rows that end in CR alone, or when the rows and
    malformed lines are not as many as the lines of the file.
    """
    with shape.file.open() as stream:
        bodies = _without_header(read_blocks(stream, shape.file.label), shape.header_lines)
        for block, parsed in parse_blocks(bodies, list(shape.columns), shape.dialect):
            _check_line_ends(parsed, shape)
            _check_count(parsed, block, shape)
            yield parsed


def _check_line_ends(parsed: ParsedBlock, shape: FileShape) -> None:
    """Refuse a file that changes to CR line ends: its remaining rows would count as one bad line.

    A CR inside a text is no line end, so a line must hold the separators of two rows.
    """
    separators = pl.col("record").str.count_matches(shape.dialect.separator, literal=True)
    several = parsed.malformed.filter(
        pl.col("record").str.contains("\r", literal=True),
        separators >= 2 * (len(shape.columns) - 1),
    )
    if not several.is_empty():
        raise carriage_return_error(shape.file.label, several.item(0, "source_row"))


def _check_count(parsed: ParsedBlock, block: Block, shape: FileShape) -> None:
    """Compare the reader's count with the non-empty lines, counted in the bytes themselves."""
    expected = _filled_lines(block.data)
    found = parsed.rows.height + parsed.malformed.height + parsed.continued
    found += 0 if parsed.rest is None else _filled_lines(parsed.rest.data)
    if found != expected:
        raise SourceError(
            f"{shape.file.label}, from line {block.first_line}: {expected} lines became {found} "
            "rows and malformed lines; report this as a defect"
        )


def _filled_lines(data: bytes) -> int:
    lines = data.split(b"\n")
    return len(lines) - lines.count(b"") - lines.count(b"\r")


def _without_header(blocks: Iterator[Block], header_lines: int) -> Iterator[Block]:
    """Yield blocks after so many non-empty lines: the header and what stands before it."""
    pending = header_lines
    for block in blocks:
        start = 0
        skipped = 0
        while pending and start < len(block.data):
            end = block.data.find(b"\n", start) + 1 or len(block.data)
            pending -= bool(block.data[start:end].strip(b"\r\n"))
            start = end
            skipped += 1
        if start < len(block.data):
            yield Block(block.first_line + skipped, block.data[start:])
