"""Delimited text to text columns, block by block, with every unreadable line set aside.

A line is a record, and so are several where a quoted field runs over line ends (RFC 4180). A stray
quotation mark opens no record: what follows it must close it and leave as many fields as columns.
Lines without a quote are split vectorized; well-formed quoted lines go through Polars' reader; only
what is left is looked at one by one, with Python's `csv`, whose answer is the definition.
"""

from __future__ import annotations

import csv
import io
import sys
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
# No text in UTF-8 has so many bytes of 0; in UTF-16 every other byte of a plain letter is one.
_ZEROS_OF_SIXTEEN_BIT = 0.2
_MOST_LINES_OF_A_RECORD = 200


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
    """Rows (text columns and source_row) and malformed lines (source_row, reason, record).

    continued: non-empty lines that belong to a row begun on an earlier line. rest: lines at the end
    that may be the beginning of a record, to be put before the next block.
    """

    rows: pl.DataFrame
    malformed: pl.DataFrame
    continued: int = 0
    rest: Block | None = None


def read_blocks(stream: BinaryIO, label: str, block_bytes: int = BLOCK_BYTES) -> Iterator[Block]:
    """Yield a byte stream as blocks of whole lines, without the byte order mark.

    SourceError for UTF-16 files, whose lines cannot be told apart as bytes, for files whose lines
    end in CR alone, and for a first line of more than LONGEST_HEADER_BYTES.
    """
    head = stream.read(2 * LONGEST_HEADER_BYTES)
    if head[:2] in _SIXTEEN_BIT_MARKS:
        raise SourceError(f"{label} is UTF-16; save it as UTF-8")
    beginning = head[:4096]
    if beginning.count(0) > _ZEROS_OF_SIXTEEN_BIT * len(beginning):
        raise SourceError(f"{label} is UTF-16 without a byte order mark; save it as UTF-8")
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


def parse_blocks(
    blocks: Iterator[Block], columns: list[str], dialect: Dialect
) -> Iterator[tuple[Block, ParsedBlock]]:
    """Yield each block as it was parsed, with the lines that the one before left over."""
    rest = b""
    for body, is_last in _with_last(blocks):
        block = Block(body.first_line - rest.count(b"\n"), rest + body.data)
        parsed = parse_block(block, columns, dialect, is_last=is_last)
        rest = b"" if parsed.rest is None else parsed.rest.data
        yield block, parsed


def _with_last(blocks: Iterator[Block]) -> Iterator[tuple[Block, bool]]:
    """Yield blocks, and whether each is the last."""
    held = next(blocks, None)
    while held is not None:
        following = next(blocks, None)
        yield held, following is None
        held = following


def parse_block(
    block: Block, columns: list[str], dialect: Dialect, *, is_last: bool = True
) -> ParsedBlock:
    """Split the lines of a block into text columns; empty lines are not rows.

    is_last: no block follows, so that nothing is left over. Returns rows with `columns` and
    source_row in line order, and the malformed lines.
    """
    numbered, undecodable = _decode_lines(block)
    records = _Records(numbered)
    if dialect.quoted:
        unread = set(undecodable.get_column(SOURCE_ROW))
        records = _joined(numbered, unread, len(columns), dialect, is_last=is_last)
    lines = records.lines.filter(pl.col("line") != "")
    width = len(columns)
    commas = pl.col("line").str.count_matches(dialect.separator, literal=True)
    quote = pl.col("line").str.contains('"', literal=True) if dialect.quoted else pl.lit(False)
    lines = lines.with_columns(quoted=quote, fits=commas == width - 1)
    plain = lines.filter(~pl.col("quoted") & pl.col("fits"))
    short = lines.filter(~pl.col("quoted") & ~pl.col("fits"))
    rows = _split_plain(plain, columns, dialect)
    # Lines that are left over are judged with the next block.
    undecodable = undecodable.filter(pl.col(SOURCE_ROW) < records.left_from)
    malformed = [undecodable, _malformed(short, MalformedReason.WRONG_COLUMN_COUNT)]
    quoted = lines.filter("quoted")
    if not quoted.is_empty():
        more_rows, more_malformed = _split_quoted(quoted, columns, dialect)
        rows = pl.concat([rows, *more_rows]).sort(SOURCE_ROW)
        malformed += more_malformed
    return ParsedBlock(
        rows,
        pl.concat(malformed).sort(SOURCE_ROW),
        records.continued,
        _lines_from(block, records.left_from),
    )


@dataclass(frozen=True)
class _Records:
    """Lines with each record on one; `left_from` numbers the first line that is left over."""

    lines: pl.DataFrame
    continued: int = 0
    left_from: int = sys.maxsize


def _joined(
    numbered: pl.DataFrame, unread: set[int], width: int, dialect: Dialect, *, is_last: bool
) -> _Records:
    """Return lines with those of a record in one, where a quoted field runs over line ends.

    unread: numbers of lines that are no text, which no record may hold.
    """
    odd = numbered.select(
        pl.arg_where(pl.col("line").str.count_matches('"', literal=True) % 2 == 1)
    ).to_series()
    places = odd.to_list()
    if not places:
        return _Records(numbered)
    texts = numbered.get_column("line").to_list()
    first = int(numbered.item(0, SOURCE_ROW))
    gone: set[int] = set()
    free, left = 0, len(texts)
    for opens, closes in zip(places, [*places[1:], len(texts)], strict=True):
        if opens < free or closes - opens >= _MOST_LINES_OF_A_RECORD:
            continue
        if closes == len(texts):
            left = left if is_last else opens
            continue
        record = "\n".join(texts[opens : closes + 1])
        whole = unread.isdisjoint(range(first + opens, first + closes + 1))
        if (
            whole
            and not _holds_a_row(texts[opens + 1 : closes + 1], width, dialect)
            and _is_record(record, width, dialect)
        ):
            texts[opens] = record
            gone.update(range(opens + 1, closes + 1))
            free = closes + 1
    continued = sum(1 for place in gone if texts[place])
    kept = [place for place in range(left) if place not in gone]
    lines = numbered.with_columns(pl.Series("line", texts, dtype=pl.String))[kept]
    left_from = sys.maxsize if left == len(texts) else int(numbered.item(left, SOURCE_ROW))
    return _Records(lines, continued, left_from)


def _holds_a_row(lines: list[str], width: int, dialect: Dialect) -> bool:
    """Say whether a line that would go on with a text has the separators of a row before any quote.

    Two stray quotation marks would take all rows between them into one text.
    """
    return any(
        line.partition('"')[0].count(dialect.separator) >= width - 1 for line in lines if width > 1
    )


def _is_record(text: str, width: int, dialect: Dialect) -> bool:
    lines = (f"{line}\n" for line in text.split("\n"))
    reader = csv.reader(lines, delimiter=dialect.separator, strict=True)
    try:
        records = list(reader)
    except csv.Error:
        return False
    return len(records) == 1 and len(records[0]) == width


def _lines_from(block: Block, first_line: int) -> Block | None:
    skipped = first_line - block.first_line
    lines = block.data.split(b"\n")
    if skipped >= len(lines):
        return None
    return Block(first_line, b"\n".join(lines[skipped:]))


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
    return numbered.select(pl.col(SOURCE_ROW).cast(pl.Int64), pl.col("line").str.strip_suffix("\r"))


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
