"""Discharges: registry files into the tables `discharges` and `discarded_discharges`.

What belongs here: the stream from files to the lake and its accounts. What a cell means stands in
`readings.py`, which row stays in `pruning.py`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import polars as pl

from learn_assets.lake import Lake
from learn_assets.schemas.registry import empty_frame
from learn_assets.sources.files import SourceError, SourceFile, single_file
from learn_assets.sources.headers import file_shapes
from learn_assets.sources.raw_tables import parsed_blocks
from learn_assets.sources.sink import ParquetSink
from learn_assets.study.subtypes import DischargeFiles, PruningRules
from learn_assets.subtypes.layout import COLUMNS, DISCHARGE_LAYOUT
from learn_assets.subtypes.pruning import with_reason
from learn_assets.subtypes.readings import OPTIONAL, read_cells
from learn_assets.subtypes.spss import read_sav
from learn_assets.validation.values import ids_with_lost_digits

_MALFORMED = pl.Schema({"source_row": pl.Int64(), "reason": pl.String()})


@dataclass(frozen=True)
class DischargeReport:
    """What became of the rows of every file; no value of any row.

    `discarded` counts rows by reason; `unreadable` counts cells, by column, that are filled in a
    kept row but cannot be read.
    """

    files: tuple[str, ...]
    rows_read: int
    kept: int
    discarded: dict[str, int]
    unreadable: dict[str, int]


@dataclass
class _Accounts:
    """Running counts while files are read, and the running numbers of admissions and patients."""

    rows: int = 0
    kept: int = 0
    discarded: Counter[str] = field(default_factory=Counter)
    unreadable: Counter[str] = field(default_factory=Counter)
    patients: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Block:
    """Rows with the columns they have so far, and malformed lines (source_row, reason)."""

    rows: pl.DataFrame
    malformed: pl.DataFrame


def read_discharges(source: DischargeFiles, rules: PruningRules, lake: Lake) -> DischargeReport:
    """Write both tables from every file of the source, block by block, and return the accounts.

    Every row read is in exactly one of the two tables. SourceError names the file, line and column
    when a file is absent, has no usable header, or has not a single readable admission date.
    """
    accounts = _Accounts()
    labels: list[str] = []
    with lake.staging() as staging:
        paths = {name: staging / f"{name}.parquet" for name in ("kept", "discarded")}
        with (
            ParquetSink(paths["kept"], empty_frame("discharges").schema) as kept,
            ParquetSink(paths["discarded"], empty_frame("discarded_discharges").schema) as refused,
        ):
            for file in _files(source):
                labels.append(file.label)
                for block in _typed_blocks(file, source.placeholders):
                    stays, leaves = _split(block, rules, file.label, accounts)
                    kept.write(stays)
                    refused.write(leaves)
        _assert_conserved(accounts, kept.rows, refused.rows)
        lake.commit("discarded_discharges", paths["discarded"])
        lake.commit("discharges", paths["kept"])
    return DischargeReport(
        files=tuple(labels),
        rows_read=accounts.rows,
        kept=accounts.kept,
        discarded=dict(sorted(accounts.discarded.items())),
        unreadable={name: accounts.unreadable[name] for name in OPTIONAL},
    )


def _files(source: DischargeFiles) -> list[SourceFile]:
    return [single_file(path) for path in source.files]


def _text_blocks(file: SourceFile) -> Iterator[_Block]:
    if file.name.lower().endswith(".sav"):
        if file.member is not None:
            raise SourceError(f"{file.label}: unpack the SPSS file, it is read in place")
        for frame in read_sav(file.path):
            yield _Block(frame, pl.DataFrame(schema=_MALFORMED))
        return
    for shape in file_shapes([file], DISCHARGE_LAYOUT):
        wanted = [name for name in COLUMNS if name in shape.columns]
        for parsed in parsed_blocks(shape):
            # The other columns, and the text of malformed lines, end here.
            yield _Block(
                parsed.rows.select(*wanted, "source_row"),
                parsed.malformed.select("source_row", "reason"),
            )


def _typed_blocks(file: SourceFile, placeholders: Sequence[str]) -> Iterator[_Block]:
    """Yield typed rows; SourceError at the end of a file without one readable admission date."""
    first_row, readable = None, False
    for block in _text_blocks(file):
        _refuse_lost_links(block.rows, file.label)
        typed = read_cells(block.rows, placeholders)
        if first_row is None and not typed.is_empty():
            first_row = typed["source_row"][0]
        readable = readable or typed["admission_date"].is_not_null().any()
        yield _Block(typed, block.malformed)
    if first_row is not None and not readable:
        raise SourceError(
            f"{file.label}, from line {first_row}, column of the admission date: no date is "
            "written DDMMYYYY HHMM (or DD/MM/YYYY, or YYYY-MM-DD); write them so or mend the header"
        )


def _refuse_lost_links(rows: pl.DataFrame, label: str) -> None:
    """Raise SourceError when the numbers of patients have lost their last digits."""
    if "patient_link" not in rows.columns:
        return
    lost = ids_with_lost_digits(rows, "patient_link")
    if not lost.is_empty():
        raise SourceError(
            f"{label}, row {lost.item(0, 'source_row')}: the patient's number is in scientific "
            "notation or came through a floating-point number, so that patients would be merged; "
            "export it as text"
        )


def _split(
    block: _Block, rules: PruningRules, label: str, accounts: _Accounts
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the rows that stay and those that do not, and add both to the accounts."""
    judged = with_reason(block.rows, rules)
    stays = judged.filter(pl.col("reason").is_null())
    refused = judged.filter(pl.col("reason").is_not_null()).select("source_row", "reason")
    leaves = pl.concat([refused, block.malformed]).sort("source_row")
    numbers = pl.int_range(accounts.kept + 1, accounts.kept + stays.height + 1, eager=True)
    accounts.rows += judged.height + block.malformed.height
    accounts.kept += stays.height
    accounts.discarded.update(leaves["reason"].to_list())
    accounts.unreadable.update({name: stays[f"{name}_unreadable"].sum() for name in OPTIONAL})
    numbered = stays.with_columns(
        numbers.cast(pl.String).alias("admission_id"),
        pl.Series("patient_number", _patient_numbers(stays["patient_link"], accounts), pl.String),
    )
    return numbered, leaves.with_columns(pl.lit(label).alias("source_file"))


def _patient_numbers(links: pl.Series, accounts: _Accounts) -> list[str | None]:
    """Return a running number for each link, so that the registry's own stays out of the lake."""
    known = accounts.patients
    return [
        None if link is None else known.setdefault(link, str(len(known) + 1))
        for link in links.to_list()
    ]


def _assert_conserved(accounts: _Accounts, kept: int, discarded: int) -> None:
    if kept + discarded != accounts.rows:
        raise RuntimeError(
            f"{accounts.rows} rows were read, but {kept} kept and {discarded} discarded; report it"
        )
