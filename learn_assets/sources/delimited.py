"""Delimited text to text columns, block by block, with every unreadable line set aside.

A physical line is a record: a quoted field that runs over a line end counts as an unbalanced quote.
Lines without a quote are split vectorized; well-formed quoted lines go through Polars' reader; only
what is left is looked at one by one, with Python's `csv`, whose answer is the definition.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import BinaryIO

import polars as pl

from learn_assets.sources.files import SourceError, SourceFile

BLOCK_BYTES = 16 * 1024 * 1024
# No header is wider: what is came without line ends, or is no table.
LONGEST_HEADER_BYTES = 1024 * 1024
SOURCE_ROW = "source_row"
MALFORMED_SCHEMA = pl.Schema({SOURCE_ROW: pl.Int64(), "reason": pl.String(), "record": pl.String()})
# A repetition count above this makes the compiled expression large; such rows take the slow road.
_WIDEST_PATTERN = 200
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_SIXTEEN_BIT_MARKS = (b"\xff\xfe", b"\xfe\xff")


class MalformedReason(StrEnum):
    """Why a line is not a row."""

    WRONG_COLUMN_COUNT = "wrong_column_count"
    BAD_ENCODING = "bad_encoding"
    UNBALANCED_QUOTE = "unbalanced_quote"


@dataclass(frozen=True)
class Dialect:
    """How fields stand in a line."""

    separator: str = ","
    quoted: bool = True


@dataclass(frozen=True)
class Block:
    """Whole lines of a file; `first_line` is the 1-based number of the first of them."""

    first_line: int
    data: bytes


@dataclass(frozen=True)
class ParsedBlock:
    """Rows (text columns and source_row) and malformed lines (source_row, reason, record)."""

    rows: pl.DataFrame
    malformed: pl.DataFrame


def read_blocks(stream: BinaryIO, label: str, block_bytes: int = BLOCK_BYTES) -> Iterator[Block]:
    """Yield a byte stream as blocks of whole lines, without the byte order mark.

    SourceError for UTF-16 files, whose lines cannot be told apart as bytes, for files whose lines
    end in CR alone, and for a first line of more than LONGEST_HEADER_BYTES.
    """
    head = stream.read(2 * LONGEST_HEADER_BYTES)
    if head[:2] in _SIXTEEN_BIT_MARKS:
        raise SourceError(f"{label} is UTF-16; save it as UTF-8")
    head = head.removeprefix(_BYTE_ORDER_MARK)
    _check_first_line(head, label)
    first_line = 1
    # Joined once a line ends: adding chunk to chunk would copy a long line again and again.
    pieces: list[bytes] = []
    for chunk in _chunks(head, stream, block_bytes):
        end = chunk.rfind(b"\n") + 1
        if end == 0:
            pieces.append(chunk)
            continue
        data = b"".join([*pieces, chunk[:end]])
        pieces = [chunk[end:]]
        yield Block(first_line, data)
        first_line += data.count(b"\n")
    if rest := b"".join(pieces):
        yield Block(first_line, rest)


def _chunks(head: bytes, stream: BinaryIO, block_bytes: int) -> Iterator[bytes]:
    for start in range(0, len(head), block_bytes):
        yield head[start : start + block_bytes]
    while chunk := stream.read(block_bytes):
        yield chunk


def _check_first_line(head: bytes, label: str) -> None:
    lines = head.lstrip(b"\r\n")
    number = head[: len(head) - len(lines)].count(b"\n") + 1
    line = lines.partition(b"\n")[0]
    if b"\r" in line.rstrip(b"\r"):
        raise carriage_return_error(label, number)
    if len(line) > LONGEST_HEADER_BYTES:
        raise SourceError(
            f"{label}, line {number}: longer than {LONGEST_HEADER_BYTES} bytes, and no header is; "
            "check that it is a delimited text file with line ends"
        )


def carriage_return_error(label: str, line: int) -> SourceError:
    """Return the error of a file with a line that CR alone cuts into several rows."""
    return SourceError(
        f"{label}, line {line}: the line ends are CR alone (old Mac); save the file with line ends "
        "LF or CRLF, for example: tr '\\r' '\\n' < old.csv > new.csv"
    )


def first_lines(file: SourceFile, count: int) -> list[str]:
    """Return up to so many leading non-empty lines, undecodable bytes replaced."""
    with file.open() as stream:
        lines: list[str] = []
        for block in read_blocks(stream, file.label, block_bytes=65_536):
            text = block.data.decode("utf-8", errors="replace")
            lines += [line.removesuffix("\r") for line in text.split("\n") if line.strip("\r")]
            if len(lines) >= count:
                break
        return lines[:count]


def split_line(line: str, dialect: Dialect) -> list[str] | None:
    """Return the fields of one line, or None when its quotes do not balance."""
    if not dialect.quoted or '"' not in line:
        return line.split(dialect.separator)
    reader = csv.reader([line], delimiter=dialect.separator, strict=True)
    try:
        return next(reader)
    except csv.Error:
        return None


def parse_block(block: Block, columns: list[str], dialect: Dialect) -> ParsedBlock:
    """Split the lines of a block into text columns; empty lines are not rows.

    Returns rows with `columns` and source_row in line order, and the malformed lines.
    """
    lines, undecodable = _decode_lines(block)
    width = len(columns)
    commas = pl.col("line").str.count_matches(dialect.separator, literal=True)
    quote = pl.col("line").str.contains('"', literal=True) if dialect.quoted else pl.lit(False)
    lines = lines.with_columns(quoted=quote, fits=commas == width - 1)
    plain = lines.filter(~pl.col("quoted") & pl.col("fits"))
    short = lines.filter(~pl.col("quoted") & ~pl.col("fits"))
    rows = _split_plain(plain, columns, dialect)
    malformed = [undecodable, _malformed(short, MalformedReason.WRONG_COLUMN_COUNT)]
    quoted = lines.filter("quoted")
    if not quoted.is_empty():
        more_rows, more_malformed = _split_quoted(quoted, columns, dialect)
        rows = pl.concat([rows, *more_rows]).sort(SOURCE_ROW)
        malformed += more_malformed
    return ParsedBlock(rows, pl.concat(malformed).sort(SOURCE_ROW))


def _decode_lines(block: Block) -> tuple[pl.DataFrame, pl.DataFrame]:
    try:
        numbered = _number(block.data.decode("utf-8").split("\n"), block.first_line)
    except UnicodeDecodeError:
        return _decode_one_by_one(block)
    return numbered, pl.DataFrame(schema=MALFORMED_SCHEMA)


def _number(texts: list[str], first_line: int) -> pl.DataFrame:
    numbered = pl.DataFrame({"line": pl.Series(texts, dtype=pl.String)}).with_row_index(
        SOURCE_ROW, offset=first_line
    )
    return numbered.select(
        pl.col(SOURCE_ROW).cast(pl.Int64), pl.col("line").str.strip_suffix("\r")
    ).filter(pl.col("line") != "")


def _decode_one_by_one(block: Block) -> tuple[pl.DataFrame, pl.DataFrame]:
    texts: list[str] = []
    bad: list[tuple[int, str, str]] = []
    for offset, raw in enumerate(block.data.split(b"\n")):
        try:
            texts.append(raw.decode("utf-8"))
        except UnicodeDecodeError:
            texts.append("")
            record = raw.removesuffix(b"\r").decode("utf-8", errors="backslashreplace")
            bad.append((block.first_line + offset, MalformedReason.BAD_ENCODING.value, record))
    undecodable = pl.DataFrame(bad, schema=MALFORMED_SCHEMA, orient="row")
    return _number(texts, block.first_line), undecodable


def _split_plain(lines: pl.DataFrame, columns: list[str], dialect: Dialect) -> pl.DataFrame:
    fields = pl.col("line").str.split_exact(dialect.separator, len(columns) - 1)
    return lines.select(fields.struct.rename_fields(columns).struct.unnest(), pl.col(SOURCE_ROW))


def _split_quoted(
    lines: pl.DataFrame, columns: list[str], dialect: Dialect
) -> tuple[list[pl.DataFrame], list[pl.DataFrame]]:
    if len(columns) > _WIDEST_PATTERN:
        return _split_one_by_one(lines, columns, dialect)
    lines = lines.with_columns(
        regular=pl.col("line").str.contains(_regular_line(len(columns), dialect))
    )
    rows, malformed = _split_one_by_one(lines.filter(~pl.col("regular")), columns, dialect)
    return [_read_regular(lines.filter("regular"), columns, dialect), *rows], malformed


def _regular_line(width: int, dialect: Dialect) -> str:
    separator = f"\\x{ord(dialect.separator):02x}"
    field = f'(?:[^"{separator}]*|"(?:[^"]|"")*")'
    return f"^{field}(?:{separator}{field}){{{width - 1}}}$"


def _read_regular(lines: pl.DataFrame, columns: list[str], dialect: Dialect) -> pl.DataFrame:
    numbers = lines.get_column(SOURCE_ROW)
    if lines.is_empty():
        schema = {name: pl.String() for name in columns}
        return pl.DataFrame(schema=schema).with_columns(numbers)
    text = "\n".join(lines.get_column("line").to_list())
    rows = pl.read_csv(
        io.BytesIO(text.encode()),
        has_header=False,
        new_columns=columns,
        separator=dialect.separator,
        infer_schema=False,
    ).fill_null("")
    if rows.height != lines.height:
        raise SourceError("a block of quoted lines changed its number of rows while it was parsed")
    return rows.with_columns(numbers)


def _split_one_by_one(
    lines: pl.DataFrame, columns: list[str], dialect: Dialect
) -> tuple[list[pl.DataFrame], list[pl.DataFrame]]:
    good: list[list[str | int]] = []
    bad: list[tuple[int, str, str]] = []
    for number, line in lines.select(SOURCE_ROW, "line").iter_rows():
        fields = split_line(line, dialect)
        if fields is None:
            bad.append((number, MalformedReason.UNBALANCED_QUOTE.value, line))
        elif len(fields) != len(columns):
            bad.append((number, MalformedReason.WRONG_COLUMN_COUNT.value, line))
        else:
            good.append([*fields, number])
    schema = {name: pl.String() for name in columns} | {SOURCE_ROW: pl.Int64()}
    return (
        [pl.DataFrame(good, schema=schema, orient="row")],
        [pl.DataFrame(bad, schema=MALFORMED_SCHEMA, orient="row")],
    )


def _malformed(lines: pl.DataFrame, reason: MalformedReason) -> pl.DataFrame:
    return lines.select(
        SOURCE_ROW, pl.lit(reason.value).alias("reason"), pl.col("line").alias("record")
    )
