"""MEDS: a dataset of the Medical Event Data Standard as the raw tables of the lake.

A dataset is Parquet shards under `data/` with a row an event (subject_id, time, code and values)
and, if there is one, `metadata/codes.parquet` with descriptions and parents of codes.
Standard: Medical Event Data Standard 0.4, https://medical-event-data-standard.github.io.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb
import polars as pl

from learn_assets.duckdb_session import open_duckdb, parquet_relation, sql_text
from learn_assets.lake import Lake
from learn_assets.sources.files import SourceError, visible_files
from learn_assets.sources.meds_codes import (
    DEMOGRAPHICS,
    PACKAGED_RULES,
    Meaning,
    Written,
    columns_of,
    meanings_of,
)
from learn_assets.sources.raw_tables import RawSinks, raw_sinks
from learn_assets.sources.reports import IngestReport
from learn_assets.study import MedsCodeRule, MedsSource

BIRTH, DEATH = "MEDS_BIRTH", "MEDS_DEATH"
_NEEDED = ("subject_id", "time", "code")
# Columns that name the encounter in datasets of meds_etl, MIMIC_IV_MEDS and OMOP_MEDS.
_ENCOUNTERS = ("visit_id", "hadm_id", "visit_occurrence_id", "encounter_id")
_KINDS = ("diagnosis", "procedure", "medication", "lab_result")
_EVENT_COLUMNS = ("patient_id", "encounter_id", "code_system", "code", "date", "meds_code")
_LAB_COLUMNS = (*_EVENT_COLUMNS, "value_number", "value_text", "unit")
_PATIENT_COLUMNS = ("patient_id", "sex", "race", "ethnicity", "year_of_birth", "death_date")
_TERMINOLOGY_COLUMNS = ("code_system", "code", "description", "meds_code")
# MIMIC_IV_MEDS writes the unit of a result at the end of its code.
_UNIT_IN_CODE = r"LAB//(?:RESULT//)?[^/]+//(.+)"
_METADATA = ("code", "description", "parent_codes")
_BATCH_ROWS = 200_000
# Columns of the relation of events that are not the dataset's, or are read under another name.
_OWN = ("subject_id", "code", "filename", "source_file", "source_row")


@dataclass(frozen=True)
class MedsDataset:
    """An open dataset: SQL relation of its events, their columns, shards, and what codes mean.

    The relation `meanings` of the connection holds `meanings`, a row a code and what `looked_at`
    (columns) has of it.
    """

    connection: duckdb.DuckDBPyConnection
    events: str
    columns: frozenset[str]
    folder: Path
    shards: tuple[Path, ...]
    descriptions: Mapping[str, str]
    meanings: Mapping[Written, Meaning]
    looked_at: tuple[str, ...]

    @property
    def same_meaning(self) -> str:
        """Return the SQL condition that a row of `meanings` is that of an event."""
        further = (
            f'AND m."where {name}" IS NOT DISTINCT FROM {self.column(name)}'
            for name in self.looked_at
        )
        return " ".join(["m.meds_code = e.code", *further])

    @property
    def further_columns(self) -> tuple[str, ...]:
        """Return the columns that tell one event from another besides subject and code."""
        return tuple(sorted(self.columns - set(_OWN)))

    @property
    def labels(self) -> tuple[str, ...]:
        """Return the shards as `source_file` names them."""
        return tuple(str(shard.relative_to(self.folder)) for shard in self.shards)

    def column(self, name: str) -> str:
        """Return SQL that reads a column as text, NULL when the dataset lacks it."""
        return f'CAST(e."{name}" AS VARCHAR)' if name in self.columns else "NULL"

    def batches(self, query: str) -> Iterator[pl.DataFrame]:
        """Yield the result of a query in pieces."""
        reader = self.connection.execute(query).to_arrow_reader(_BATCH_ROWS)
        for batch in reader:
            frame = pl.from_arrow(batch)
            if isinstance(frame, pl.DataFrame):
                yield frame

    def count(self, condition: str) -> int:
        """Return how many events meet a condition on event `e` and its meaning `m`."""
        query = (
            f"SELECT count(*) FROM {self.events} e LEFT JOIN meanings m ON {self.same_meaning} "
            f"WHERE {condition}"
        )
        found = self.connection.execute(query).fetchone()
        return int(found[0]) if found else 0


def ingest_meds(source: MedsSource, lake: Lake, table: str) -> IngestReport:
    """Write a raw table of a MEDS dataset; tables that the standard does not know are empty.

    Events whose code no rule knows are of no table and counted in the report. SourceError when a
    folder or column is missing, or when nothing in the dataset is a diagnosis by the rules.
    """
    if table not in (*_KINDS, "patient", "terminology"):
        with raw_sinks(lake, table, ("patient_id",)):
            return IngestReport(table, (), 0, 0)
    with lake.staging() as staging, open_meds(source, staging) as dataset:
        if table == "patient":
            return _ingest_subjects(dataset, lake)
        if table == "terminology":
            return _ingest_descriptions(dataset, lake)
        return _ingest_events(dataset, lake, table)


def meds_files(source: MedsSource) -> tuple[Path, ...]:
    """Return the shards and the metadata of codes. SourceError when there is no shard."""
    shards = visible_files(source.folder / "data", "*.parquet")
    if not shards:
        raise SourceError(
            f"{source.folder / 'data'} has no Parquet file; correct `source.folder` in the study: "
            "it is the folder that holds data/ and metadata/"
        )
    codes = _codes_file(source)
    return (*shards, codes) if codes.exists() else shards


@contextmanager
def open_meds(source: MedsSource, staging: Path) -> Iterator[MedsDataset]:
    """Yield the dataset of a study; `staging` takes what does not fit in memory."""
    shards = [path for path in meds_files(source) if path != _codes_file(source)]
    with open_duckdb(staging) as connection:
        events = _events_of(source.folder, shards)
        described = connection.execute(f"DESCRIBE SELECT * FROM {events}").fetchall()
        columns = frozenset(str(row[0]) for row in described)
        missing = [name for name in _NEEDED if name not in columns]
        if missing:
            raise SourceError(
                f"the shards of {source.folder} have no column {', '.join(missing)}; "
                "is it a dataset of MEDS 0.3 or later?"
            )
        descriptions, parents = _code_metadata(connection, source)
        rules = (*_known_rules(source, columns), *_possible(PACKAGED_RULES, columns))
        looked_at = columns_of(rules)
        wanted = ", ".join(["code", *(f'CAST("{name}" AS VARCHAR)' for name in looked_at)])
        written = connection.execute(f"SELECT DISTINCT {wanted} FROM {events} e")
        found: set[Written] = {tuple(row) for row in written.fetchall() if row[0] is not None}
        found |= {(code, *(None for _ in looked_at)) for code in descriptions}
        codes = sorted({str(item[0]) for item in found})
        meanings = meanings_of(found, parents, rules)
        if not any(item.kind == "diagnosis" for item in meanings.values()):
            raise SourceError(
                f"no code in {source.folder} is a diagnosis by the rules; codes begin with "
                f"{_beginnings(codes)}: say in `source.codes` what they mean"
            )
        connection.register("meanings", _meaning_frame(meanings, looked_at).to_arrow())
        yield MedsDataset(
            connection,
            events,
            columns,
            source.folder,
            tuple(shards),
            descriptions,
            meanings,
            looked_at,
        )


def _known_rules(source: MedsSource, columns: frozenset[str]) -> tuple[MedsCodeRule, ...]:
    """Return the study's rules. SourceError when one looks at a column that no shard has."""
    missing = sorted(set(columns_of(source.codes)) - columns)
    if missing:
        raise SourceError(
            f"the shards of {source.folder} have no column {', '.join(missing)}, which "
            f"`source.codes` looks at; they have {', '.join(sorted(columns - set(_OWN)))}"
        )
    return source.codes


def _possible(rules: Sequence[MedsCodeRule], columns: frozenset[str]) -> tuple[MedsCodeRule, ...]:
    return tuple(rule for rule in rules if columns.issuperset(rule.where))


def _ingest_events(dataset: MedsDataset, lake: Lake, table: str) -> IngestReport:
    # Two events of a day that differ in time, dose or any other column are two events.
    further = dataset.further_columns
    columns = _LAB_COLUMNS if table == "lab_result" else _EVENT_COLUMNS
    columns = (*columns, *(f"meds_{name}" for name in further))
    encounter = next((name for name in _ENCOUNTERS if name in dataset.columns), "encounter_id")
    unit = f"nullif(regexp_extract(e.code, '^{_UNIT_IN_CODE}$', 1), '')"
    selected = f"""
        SELECT CAST(e.subject_id AS VARCHAR) AS patient_id,
            {dataset.column(encounter)} AS encounter_id,
            m.code_system, m.code, CAST(CAST(e.time AS DATE) AS VARCHAR) AS date, m.meds_code,
            {dataset.column("numeric_value")} AS value_number,
            {dataset.column("text_value")} AS value_text,
            coalesce({dataset.column("unit")}, {unit}) AS unit,
            {"".join(f'{dataset.column(name)} AS "meds_{name}", ' for name in further)}
            e.source_file, e.source_row
        FROM {dataset.events} e JOIN meanings m ON {dataset.same_meaning}
        WHERE m.kind = '{table}'"""
    with raw_sinks(lake, table, columns) as sinks:
        # A join keeps no order, and putting all events in order would hold all of them.
        for shard in dataset.shards:
            one = f"AND e.filename = {sql_text(str(shard))} ORDER BY e.source_row"
            for batch in dataset.batches(f"{selected} {one}"):
                sinks.rows.write(batch)
        if table == "diagnosis":
            _write_codeless(dataset, sinks)
    elsewhere = f"m.kind IS NULL AND e.code NOT IN ('{BIRTH}', '{DEATH}')"
    return _report(table, dataset, sinks, rows_of_no_table=dataset.count(elsewhere))


def _ingest_subjects(dataset: MedsDataset, lake: Lake) -> IngestReport:
    # Of several statements the last one counts, by name where they have the same time.
    latest = ", ".join(
        f"arg_max(m.code, coalesce(strftime(e.time, '%Y%m%d%H%M%S'), '') || m.code) "
        f"FILTER (m.kind = '{name}') AS {name}"
        for name in DEMOGRAPHICS
    )
    query = f"""
        SELECT CAST(e.subject_id AS VARCHAR) AS patient_id, {latest},
            CAST(year(min(e.time) FILTER (e.code = '{BIRTH}')) AS VARCHAR) AS year_of_birth,
            CAST(CAST(min(e.time) FILTER (e.code = '{DEATH}') AS DATE) AS VARCHAR) AS death_date,
            min(e.source_file) AS source_file, min(e.source_row) AS source_row
        FROM {dataset.events} e LEFT JOIN meanings m ON {dataset.same_meaning}
        WHERE e.subject_id IS NOT NULL GROUP BY e.subject_id ORDER BY e.subject_id"""
    with raw_sinks(lake, "patient", _PATIENT_COLUMNS) as sinks:
        for batch in dataset.batches(query):
            sinks.rows.write(batch)
    return _report("patient", dataset, sinks)


def _ingest_descriptions(dataset: MedsDataset, lake: Lake) -> IngestReport:
    described = _meaning_frame(dataset.meanings, dataset.looked_at).with_columns(
        pl.col("meds_code")
        .replace_strict(dict(dataset.descriptions), default=None, return_dtype=pl.String)
        .alias("description")
    )
    # Codes of one parent, such as a test in several units, share its description: the first does.
    rows = (
        described.filter(pl.col("kind").is_in(_KINDS) & pl.col("description").is_not_null())
        .sort("meds_code")
        .unique(["code_system", "code"], keep="first", maintain_order=True)
        .with_row_index("source_row", offset=1)
        .with_columns(
            pl.lit("metadata/codes.parquet").alias("source_file"),
            pl.col("source_row").cast(pl.Int64),
        )
    )
    with raw_sinks(lake, "terminology", _TERMINOLOGY_COLUMNS) as sinks:
        sinks.rows.write(rows)
    return IngestReport("terminology", ("metadata/codes.parquet",), rows.height, 0)


def _write_codeless(dataset: MedsDataset, sinks: RawSinks) -> None:
    """Keep events without a code, which the standard forbids, where they can be counted."""
    query = f"""SELECT e.source_file, e.source_row, 'no code, so of no kind' AS reason,
        '' AS record FROM {dataset.events} e WHERE e.code IS NULL
        ORDER BY e.source_file, e.source_row"""
    for batch in dataset.batches(query):
        sinks.malformed.write(batch)


def _report(
    table: str, dataset: MedsDataset, sinks: RawSinks, rows_of_no_table: int = 0
) -> IngestReport:
    rows = sinks.rows.rows + sinks.malformed.rows
    return IngestReport(table, dataset.labels, rows, sinks.malformed.rows, rows_of_no_table)


def _events_of(folder: Path, shards: Sequence[Path]) -> str:
    """Return SQL of all events, each with its file (relative to the folder) and row."""
    relation = parquet_relation(shards, "filename = true", "file_row_number = true")
    start = len(str(folder)) + 2
    return (
        f"(SELECT * EXCLUDE (file_row_number), substr(filename, {start}) AS source_file, "
        f"file_row_number + 1 AS source_row FROM {relation})"
    )


def _code_metadata(
    connection: duckdb.DuckDBPyConnection, source: MedsSource
) -> tuple[dict[str, str], dict[str, list[str]]]:
    path = _codes_file(source)
    if not path.exists():
        return {}, {}
    relation = parquet_relation([path])
    described = connection.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()
    columns = {str(row[0]) for row in described}
    wanted = [name if name in columns else f"NULL AS {name}" for name in _METADATA]
    rows = connection.execute(f"SELECT {', '.join(wanted)} FROM {relation}").fetchall()
    descriptions = {str(code): str(text) for code, text, _ in rows if code and text}
    parents = {str(code): [str(item) for item in above] for code, _, above in rows if above}
    return descriptions, parents


def _meaning_frame(meanings: Mapping[Written, Meaning], looked_at: Sequence[str]) -> pl.DataFrame:
    columns = ("meds_code", *(f"where {name}" for name in looked_at))
    rows = [(*key, item.kind, item.code_system, item.code) for key, item in meanings.items()]
    schema = dict.fromkeys((*columns, "kind", "code_system", "code"), pl.String)
    return pl.DataFrame(rows, schema=schema, orient="row").sort(columns)


def _beginnings(codes: Sequence[str]) -> str:
    """Return a few beginnings of codes up to the first slash, which name vocabularies."""
    found = sorted({code.split("/")[0] for code in codes if "/" in code})
    return ", ".join(found[:8]) or "no vocabulary at all"


def _codes_file(source: MedsSource) -> Path:
    return source.folder / "metadata" / "codes.parquet"
