"""OmopDatabase: the tables of an OMOP CDM as text, from DuckDB, CSV or Parquet files.

What belongs here: finding tables and streaming their columns. What they mean is in `omop.py`.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb
import polars as pl

from learn_assets.duckdb_session import open_duckdb, parquet_relation
from learn_assets.sources.delimited import Dialect, first_lines
from learn_assets.sources.files import SourceError, SourceFile, find_files, visible_files
from learn_assets.sources.headers import (
    SAMPLE_LINES,
    FileShape,
    TableLayout,
    file_shapes,
    squash,
)
from learn_assets.sources.raw_tables import stage_delimited
from learn_assets.study import OmopSource

_BATCH_ROWS = 200_000
_NAMELESS = re.compile(r"column\d+")


@dataclass(frozen=True)
class OmopTable:
    """One table: what SQL reads it from, its columns (lower case -> as named), and its name.

    `label` is what `source_file` says; `row_number` is the SQL that numbers its rows from the
    source; `rows_before` counts leading rows that are no data; `malformed` holds unreadable lines;
    `decimals` names the columns (lower case) of type DECIMAL, whose digits are all there; `notes`
    are those of its files (`FileShape`).
    """

    relation: str
    columns: dict[str, str]
    label: str
    row_number: str = "row_number() OVER ()"
    rows_before: int = 0
    malformed: pl.DataFrame | None = None
    decimals: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()


class OmopDatabase:
    """Read-only access to an OMOP CDM, every column as text, rows in source order."""

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, folder: Path | None, schema: str, staging: Path
    ) -> None:
        self.connection = connection
        self._folder = folder
        self._schema = schema
        self._staging = staging
        self._tables: dict[str, OmopTable | None] = {}

    def table(self, name: str) -> OmopTable | None:
        """Return a table of the CDM, or None when the source has none of that name."""
        if name not in self._tables:
            self._tables[name] = (
                self._stored_table(name) if self._folder is None else self._file_table(name)
            )
        return self._tables[name]

    def required(self, name: str) -> OmopTable:
        """Return a table of the CDM; SourceError when there is none."""
        table = self.table(name)
        if table is None:
            raise SourceError(
                f"the OMOP source has no table {name}; "
                "correct `source.path` (or `source.database_schema`) in the study"
            )
        return table

    def batches(self, table: OmopTable, columns: Sequence[str]) -> Iterator[pl.DataFrame]:
        """Yield the columns as text, empty where the table lacks one, with source_row."""
        wanted = ", ".join(f"{text_of(table, name)} AS {name}" for name in columns)
        query = (
            f"SELECT {wanted}, CAST(source_row AS BIGINT) AS source_row "
            f"FROM (SELECT *, {table.row_number} AS source_row FROM {table.relation}) "
            f"WHERE source_row > {table.rows_before}"
        )
        reader = self.connection.execute(query).to_arrow_reader(_BATCH_ROWS)
        for batch in reader:
            frame = pl.from_arrow(batch)
            if isinstance(frame, pl.DataFrame):
                yield frame

    def frame(self, query: str) -> pl.DataFrame:
        """Return the result of a query over relations of this database."""
        return self.connection.execute(query).pl()

    def _stored_table(self, name: str) -> OmopTable | None:
        found = self.connection.execute(
            "SELECT table_name FROM information_schema.tables "
            "WHERE lower(table_schema) = lower(?) AND lower(table_name) = ?",
            [self._schema, name],
        ).fetchone()
        if found is None:
            return None
        relation = f'"{self._schema}"."{found[0]}"'
        return self._described(OmopTable(relation, {}, name))

    def _file_table(self, name: str) -> OmopTable | None:
        parquet = _parquet_files(self._existing_folder(), name)
        if parquet:
            return self._described(OmopTable(parquet_relation(parquet), {}, f"{name}.parquet"))
        files = find_files(self._existing_folder(), (name,))
        return self._staged_table(name, files) if files else None

    def _existing_folder(self) -> Path:
        if self._folder is None:
            raise TypeError("an OMOP source in a DuckDB file has no folder")
        return self._folder

    def _staged_table(self, name: str, files: tuple[SourceFile, ...]) -> OmopTable:
        layout = TableLayout(required=(), aliases=_anything_goes(files))
        shapes = [_omop_dialect(shape) for shape in file_shapes(files, layout)]
        stage_delimited(shapes, self._staging, name)
        malformed = pl.read_parquet(self._staging / f"{name}_malformed.parquet", glob=False)
        staged = parquet_relation([self._staging / f"{name}.parquet"])
        relation = (
            f"(SELECT * EXCLUDE (source_file, source_row), source_row AS file_line FROM {staged})"
        )
        one_file = len(shapes) == 1
        # Lines of several files share numbers, so there the order of all rows is the number.
        number = "file_line" if one_file else "row_number() OVER ()"
        label = files[0].label if one_file else f"{name}.csv"
        notes = tuple(f"{shape.file.label}: {note}" for shape in shapes for note in shape.notes)
        return self._described(OmopTable(relation, {}, label, number, 0, malformed, notes=notes))

    def _described(self, table: OmopTable) -> OmopTable:
        described = self.connection.execute(f"DESCRIBE SELECT * FROM {table.relation}").fetchall()
        names = [str(row[0]) for row in described]
        if not all(_NAMELESS.fullmatch(name) for name in names):
            decimals = (str(row[0]).lower() for row in described if str(row[1])[:7] == "DECIMAL")
            columns = {name.lower(): name for name in names}
            return replace(table, columns=columns, decimals=frozenset(decimals))
        # Some exports load an empty CSV as one row that holds the header.
        header = self.connection.execute(f"SELECT * FROM {table.relation} LIMIT 1").fetchone()
        promoted = {
            str(cell).lower(): name for cell, name in zip(header or (), names, strict=False)
        }
        return replace(table, columns=promoted, rows_before=1)


def text_of(table: OmopTable, column: str) -> str:
    """Return SQL that reads a column as text, empty text as NULL, ids without decimals of 0.

    An id with more digits than a float holds keeps its `.0`, which tells that it may be wrong.
    """
    if column not in table.columns:
        return "CAST(NULL AS VARCHAR)"
    # An empty field of a CSV file is the NULL of a database.
    text = f"""nullif(trim(CAST("{table.columns[column]}" AS VARCHAR)), '')"""
    digits = "{1,}" if column in table.decimals else "{1,15}"
    whole = f"^([+-]?[0-9]{digits})\\.0+$"
    return f"regexp_replace({text}, '{whole}', '\\1')" if column.endswith("_id") else text


def id_of(table: OmopTable, column: str) -> str:
    """Return SQL that reads a column as a whole number, NULL where it is none or absent."""
    if column not in table.columns:
        return "CAST(NULL AS BIGINT)"
    return f'TRY_CAST(TRY_CAST("{table.columns[column]}" AS DOUBLE) AS BIGINT)'


@contextmanager
def open_omop(source: OmopSource, staging: Path) -> Iterator[OmopDatabase]:
    """Yield the database of a study; CSV tables are staged in the folder `staging`.

    SourceError when the path does not exist, is no DuckDB file, or the sample package is missing.
    """
    path = omop_path(source)
    folder = path if path.is_dir() else None
    with open_duckdb(staging) if folder else _open_database(path, staging) as connection:
        yield OmopDatabase(connection, folder, source.database_schema, staging)


def omop_path(source: OmopSource) -> Path:
    """Return the DuckDB file or folder of an OMOP source. SourceError when it does not exist."""
    path = source.path or _packaged_database(source.package or "")
    if not path.exists():
        raise SourceError(f"{path} does not exist; correct `source.path` in the study")
    return path


def _packaged_database(package: str) -> Path:
    module, _, _ = package.partition(":")
    # Looked up without importing: the package opens its own database for writing.
    spec = importlib.util.find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        raise SourceError(f"the package {module} is not installed; run: pip install {module}")
    return Path(spec.submodule_search_locations[0]) / "data" / "eunomia.duckdb"


def _open_database(path: Path, staging: Path) -> duckdb.DuckDBPyConnection:
    try:
        return open_duckdb(staging, path)
    except duckdb.Error as error:
        raise SourceError(
            f"{path.name} cannot be opened as a DuckDB file; check `source.path`, "
            "and that no other program has it open for writing"
        ) from error


def _parquet_files(folder: Path, name: str) -> list[Path]:
    for entry in sorted(folder.iterdir()):
        if entry.name.lower() == f"{name}.parquet" and entry.is_file():
            return [entry]
        if entry.name.lower() in (name, f"{name}.parquet") and entry.is_dir():
            return list(visible_files(entry, "*.parquet"))
    return []


def _anything_goes(files: tuple[SourceFile, ...]) -> dict[str, tuple[str, ...]]:
    """Return aliases that accept each file's own header."""
    names: dict[str, tuple[str, ...]] = {}
    for file in files:
        header = _header(first_lines(file, SAMPLE_LINES))
        cells = re.split(r"[\t,;|]", header.replace('"', ""))
        names |= {cell.strip().lower(): (squash(cell),) for cell in cells if cell.strip()}
    return names


def _header(lines: list[str]) -> str:
    """Return the first line that names an id, as every table of the data model does, or line 1."""
    named = (line for line in lines if re.search(r"\b[a-z_]+_id\b", line, re.IGNORECASE))
    return next(named, lines[0] if lines else "")


def _omop_dialect(shape: FileShape) -> FileShape:
    """Vocabulary downloads are tab separated and use quotes as plain characters."""
    header = _header(first_lines(shape.file, SAMPLE_LINES))
    quoted = shape.dialect.separator != "\t" or '"' in header
    return replace(shape, dialect=Dialect(shape.dialect.separator, quoted))
