"""Delimited text: every line becomes a row or is set aside, exactly as Python's csv reads it."""

from __future__ import annotations

import csv
import io
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from learn_assets.sources.delimited import (
    LONGEST_HEADER_BYTES,
    Block,
    Dialect,
    first_lines,
    parse_block,
    parse_blocks,
    read_blocks,
)
from learn_assets.sources.files import SourceError, SourceFile

COLUMNS = ["a", "b", "c"]


@dataclass(frozen=True)
class Expected:
    """What the obvious reader makes of a file."""

    rows: list[tuple[str | int, ...]]
    malformed: list[tuple[int, str]]


def naive(data: bytes, width: int, separator: str = ",") -> Expected:
    """Read a file line by line with Python's csv, as slowly and plainly as can be."""
    expected = Expected([], [])
    lines = [raw.removesuffix(b"\r") for raw in data.split(b"\n")]
    number = 0
    while number < len(lines):
        record, used = naive_record(lines[number:], width, separator)
        number += 1
        if isinstance(record, str):
            expected.malformed.append((number, record))
        elif record is not None:
            expected.rows.append((*record, number))
        number += used - 1
    return expected


def naive_record(
    lines: list[bytes], width: int, separator: str
) -> tuple[list[str] | str | None, int]:
    """Return the fields of the record that begins the lines, or why it is none; and its lines."""
    if not lines[0]:
        return None, 1
    try:
        line = lines[0].decode("utf-8")
    except UnicodeDecodeError:
        return "bad_encoding", 1
    if line.count('"') % 2:
        for last in range(1, len(lines)):
            if lines[last].count(b'"') % 2:
                fields = record_of(lines[: last + 1], separator)
                own_rows = [
                    raw.split(b'"')[0].count(separator.encode()) for raw in lines[1 : last + 1]
                ]
                if fields and len(fields) == width and max(own_rows) < width - 1:
                    return fields, last + 1
                break
    if '"' not in line:
        fields = line.split(separator)
    else:
        fields = strict_fields(line, separator)
        if not fields:
            return "unbalanced_quote", 1
    return (fields if len(fields) == width else "wrong_column_count"), 1


def record_of(lines: list[bytes], separator: str) -> list[str] | None:
    try:
        return strict_fields("\n".join(line.decode("utf-8") for line in lines), separator)
    except UnicodeDecodeError:
        return None


def strict_fields(text: str, separator: str) -> list[str] | None:
    """Return the fields of a text that is one record, else None."""
    lines = [f"{line}\n" for line in text.split("\n")]
    try:
        records = list(csv.reader(lines, delimiter=separator, strict=True))
    except csv.Error:
        return None
    return records[0] if len(records) == 1 else None


def parse(data: bytes, width: int, block_bytes: int, separator: str = ",") -> Expected:
    found = Expected([], [])
    names = [f"column_{position}" for position in range(width)]
    blocks = read_blocks(io.BytesIO(data), "file.csv", block_bytes)
    for _, parsed in parse_blocks(blocks, names, Dialect(separator)):
        found.rows.extend(parsed.rows.iter_rows())
        found.malformed.extend(parsed.malformed.select("source_row", "reason").iter_rows())
    return found


field = st.text(st.sampled_from("ab ,\"'é|0\t"), max_size=6)
line = st.one_of(
    st.lists(field, min_size=1, max_size=5).map(lambda fields: ",".join(fields).encode()),
    st.lists(field, min_size=3, max_size=3).map(
        lambda fields: ",".join('"' + f.replace('"', '""') + '"' for f in fields).encode()
    ),
    st.binary(max_size=8).map(lambda raw: raw.replace(b"\n", b"").replace(b"\r", b"")),
)


@given(
    lines=st.lists(line, max_size=30),
    ending=st.sampled_from([b"\n", b"\r\n"]),
    closed=st.booleans(),
    block_bytes=st.integers(1, 64),
)
def test_reads_what_python_csv_reads(
    lines: list[bytes], ending: bytes, closed: bool, block_bytes: int
) -> None:
    data = ending.join(lines) + (ending if closed else b"")
    # The first bytes could spell a byte order mark, which has tests of its own.
    data = b"x,y,z" + ending + data
    assert parse(data, 3, block_bytes) == naive(data, 3)


@given(
    lines=st.lists(
        st.lists(st.text(st.sampled_from('ab ,"'), max_size=5), min_size=1, max_size=4),
        max_size=20,
    )
)
def test_tab_separated_files_follow_the_same_rules(lines: list[list[str]]) -> None:
    data = "\n".join("\t".join(fields) for fields in [["x", "y"], *lines]).encode()
    assert parse(data, 2, 4096, "\t") == naive(data, 2, "\t")


def test_quoted_field_keeps_separator_and_doubled_quote() -> None:
    parsed = parse_block(Block(1, b'1,"a, ""b""",2\n'), COLUMNS, Dialect())
    assert parsed.rows.row(0) == ("1", 'a, "b"', "2", 1)


def test_each_kind_of_bad_line_is_set_aside_with_its_number() -> None:
    data = b'1,2,3\n1,2\n1,"2,3\n\n1,\xff,3\n4,5,6\n1,2,3,4\n'
    parsed = parse_block(Block(1, data), COLUMNS, Dialect())
    assert parsed.rows.get_column("source_row").to_list() == [1, 6]
    assert list(parsed.malformed.iter_rows()) == [
        (2, "wrong_column_count", "1,2"),
        (3, "unbalanced_quote", '1,"2,3'),
        (5, "bad_encoding", "1,\\xff,3"),
        (7, "wrong_column_count", "1,2,3,4"),
    ]


def test_quotes_are_plain_characters_where_the_dialect_says_so() -> None:
    parsed = parse_block(Block(1, b'a|"b|c\n'), COLUMNS, Dialect("|", quoted=False))
    assert parsed.rows.row(0) == ("a", '"b', "c", 1)


def test_wide_quoted_lines_are_read_too() -> None:
    names = [f"column_{position}" for position in range(500)]
    line = ",".join(['"a,b"', *["0"] * 499])
    parsed = parse_block(Block(1, line.encode()), names, Dialect())
    assert parsed.rows.row(0)[:2] == ("a,b", "0")
    assert parsed.malformed.is_empty()


def test_byte_order_mark_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"\xef\xbb\xbfpatient_id,code\n1,2\n")
    assert first_lines(SourceFile(path), 1) == ["patient_id,code"]


def test_sixteen_bit_text_is_refused_with_a_remedy() -> None:
    stream = io.BytesIO("patient_id\n1\n".encode("utf-16"))
    with pytest.raises(SourceError, match="UTF-8"):
        list(read_blocks(stream, "patient.csv"))


def test_line_longer_than_a_block_stays_whole() -> None:
    blocks = list(read_blocks(io.BytesIO(b"a" * 100 + b"\nb\n"), "a.csv", block_bytes=8))
    assert b"".join(block.data for block in blocks) == b"a" * 100 + b"\nb\n"
    assert blocks[0].data.startswith(b"a" * 100 + b"\n")


@pytest.mark.parametrize("data", [b"a,b\r1,2\r", b"\r\ra,b\r1,2", b"\n\na,b\r1,2\n3,4\n"])
def test_line_ends_of_cr_alone_are_named(data: bytes) -> None:
    line = 3 if data.startswith(b"\n") else 1
    with pytest.raises(SourceError, match=rf"a\.csv, line {line}: .* CR .* tr "):
        list(read_blocks(io.BytesIO(data), "a.csv"))


def test_a_header_without_end_is_refused_before_the_file_is_read() -> None:
    stream = io.BytesIO(b"a," * (8 * LONGEST_HEADER_BYTES))
    with pytest.raises(SourceError, match=r"a\.csv, line 1: longer than"):
        list(read_blocks(stream, "a.csv", block_bytes=1024))
    assert stream.tell() <= 2 * LONGEST_HEADER_BYTES


def test_a_long_line_takes_time_in_proportion_to_its_length() -> None:
    line = b"a" * 2**25
    started = time.process_time()
    blocks = list(read_blocks(io.BytesIO(b"x\n" + line), "a.csv", block_bytes=4096))
    assert blocks[-1].data == line
    # Copied once for each chunk, it took more than half a minute.
    assert time.process_time() - started < 5
