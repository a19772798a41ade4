"""RxNorm release files (RRF) into four narrow tables, streamed.

Source of the column orders: RxNorm technical documentation, sections on RXNCONSO, RXNSAT, RXNREL
and RXNATOMARCHIVE.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from learn_assets.lake import Lake
from learn_assets.sources.delimited import Dialect
from learn_assets.sources.files import SourceError, SourceFile
from learn_assets.sources.headers import FileShape
from learn_assets.sources.raw_tables import parsed_blocks
from learn_assets.sources.reports import IngestReport
from learn_assets.sources.sink import ParquetSink

_DIALECT = Dialect(separator="|", quoted=False)
# Every line ends with a pipe, so a nameless field follows the last column.
_TRAILING = "trailing"


@dataclass(frozen=True)
class RrfTable:
    """One release file: its columns in order, and the table that is kept of it."""

    table: str
    file_name: str
    columns: tuple[str, ...]
    schema: pl.Schema
    keep: Callable[[pl.DataFrame], pl.DataFrame]


def _keep_conso(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.select(
        pl.col("RXCUI").alias("rxcui"),
        pl.col("LAT").alias("language"),
        pl.col("SUPPRESS").alias("suppress"),
        pl.col("SAB").alias("source"),
        pl.col("TTY").alias("term_type"),
        pl.col("STR").alias("name"),
        "source_row",
    )


def _keep_sat(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.filter(pl.col("ATN") == "NDC").select(
        pl.col("RXCUI").alias("rxcui"),
        pl.col("ATN").alias("attribute"),
        pl.col("ATV").alias("value"),
        pl.col("SAB").alias("source"),
        pl.col("SUPPRESS").alias("suppress"),
        "source_row",
    )


def _keep_rel(rows: pl.DataFrame) -> pl.DataFrame:
    # Relations between atoms have no concept ids; RELA says more than REL where it is given.
    relation = pl.when(pl.col("RELA") != "").then(pl.col("RELA")).otherwise(pl.col("REL"))
    return rows.filter((pl.col("RXCUI1") != "") & (pl.col("RXCUI2") != "")).select(
        pl.col("RXCUI1").alias("rxcui1"),
        relation.alias("relation"),
        pl.col("RXCUI2").alias("rxcui2"),
    )


def _keep_archive(rows: pl.DataFrame) -> pl.DataFrame:
    old, new = pl.col("RXCUI"), pl.col("MERGED_TO_RXCUI")
    return rows.filter((old != "") & (new != "") & (old != new)).select(
        old.alias("rxcui_old"), new.alias("rxcui_new")
    )


def _text(*names: str) -> dict[str, pl.DataType]:
    return {name: pl.String() for name in names}


RRF_TABLES: tuple[RrfTable, ...] = (
    RrfTable(
        "rxnconso",
        "RXNCONSO.RRF",
        (
            *("RXCUI", "LAT", "TS", "LUI", "STT", "SUI", "ISPREF", "RXAUI", "SAUI", "SCUI"),
            *("SDUI", "SAB", "TTY", "CODE", "STR", "SRL", "SUPPRESS", "CVF", _TRAILING),
        ),
        pl.Schema(
            _text("rxcui", "language", "suppress", "source", "term_type", "name")
            | {"source_row": pl.Int64()}
        ),
        _keep_conso,
    ),
    RrfTable(
        "rxnsat",
        "RXNSAT.RRF",
        (
            *("RXCUI", "LUI", "SUI", "RXAUI", "STYPE", "CODE", "ATUI", "SATUI", "ATN", "SAB"),
            *("ATV", "SUPPRESS", "CVF", _TRAILING),
        ),
        pl.Schema(
            _text("rxcui", "attribute", "value", "source", "suppress") | {"source_row": pl.Int64()}
        ),
        _keep_sat,
    ),
    RrfTable(
        "rxnrel",
        "RXNREL.RRF",
        (
            *("RXCUI1", "RXAUI1", "STYPE1", "REL", "RXCUI2", "RXAUI2", "STYPE2", "RELA", "RUI"),
            *("SRUI", "SAB", "SL", "DIR", "RG", "SUPPRESS", "CVF", _TRAILING),
        ),
        pl.Schema(_text("rxcui1", "relation", "rxcui2")),
        _keep_rel,
    ),
    RrfTable(
        "rxnatomarchive",
        "RXNATOMARCHIVE.RRF",
        (
            *("RXAUI", "AUI", "STR", "ARCHIVE_TIMESTAMP", "CREATED_TIMESTAMP"),
            *("UPDATED_TIMESTAMP", "CODE", "IS_BRAND", "LAT", "LAST_RELEASED", "SAUI", "VSAB"),
            *("RXCUI", "SAB", "TTY", "MERGED_TO_RXCUI", _TRAILING),
        ),
        pl.Schema(_text("rxcui_old", "rxcui_new")),
        _keep_archive,
    ),
)


def find_release(folder: Path | None) -> dict[str, SourceFile]:
    """Return the release files at or under a folder, by table; {} without a folder.

    SourceError when the study names a folder that has neither RXNCONSO.RRF nor RXNSAT.RRF, or one
    file twice.
    """
    if folder is None:
        return {}
    found: dict[str, SourceFile] = {}
    for spec in RRF_TABLES:
        wanted = (spec.file_name.lower(), f"{spec.file_name.lower()}.gz")
        paths = [path for path in sorted(folder.rglob("*")) if path.name.lower() in wanted]
        if len(paths) > 1:
            raise SourceError(
                f"{spec.file_name} stands {len(paths)} times under {folder}; "
                "let `source.rxnorm` name one release's rrf folder"
            )
        if paths:
            found[spec.table] = SourceFile(paths[0])
    if not found.keys() & {"rxnconso", "rxnsat"}:
        raise SourceError(
            f"no RXNCONSO.RRF or RXNSAT.RRF under {folder}; "
            "let `source.rxnorm` name the rrf folder of an RxNorm release"
        )
    return found


def ingest_release(lake: Lake, folder: Path | None) -> tuple[IngestReport, ...]:
    """Write `rxnconso`, `rxnsat`, `rxnrel` and `rxnatomarchive`, empty where a file is absent.

    SourceError when a file's lines do not have the documented number of columns at all.
    """
    found = find_release(folder)
    return tuple(_ingest_file(lake, spec, found.get(spec.table)) for spec in RRF_TABLES)


def _ingest_file(lake: Lake, spec: RrfTable, file: SourceFile | None) -> IngestReport:
    read = malformed = 0
    with lake.staging() as staging:
        path = staging / f"{spec.table}.parquet"
        with ParquetSink(path, spec.schema) as sink:
            if file is not None:
                read, malformed = _read_release_file(file, spec, sink)
        lake.commit(spec.table, path)
    files = () if file is None else (file.label,)
    return IngestReport(spec.table, files, read, malformed)


def _read_release_file(file: SourceFile, spec: RrfTable, sink: ParquetSink) -> tuple[int, int]:
    read = malformed = 0
    for parsed in parsed_blocks(FileShape(file, spec.columns, _DIALECT, header_lines=0)):
        read += parsed.rows.height + parsed.malformed.height
        malformed += parsed.malformed.height
        sink.write(spec.keep(parsed.rows))
    if read and malformed == read:
        raise SourceError(
            f"{file.label}: no line has the {len(spec.columns) - 1} columns of {spec.file_name} "
            "closed by a pipe; check that it is the file of an RxNorm release"
        )
    return read, malformed
