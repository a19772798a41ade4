"""The entry points of ingest: a study's source into the raw tables of its lake."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from learn_assets.lake import Lake
from learn_assets.sources.files import SourceFile, single_file, visible_files
from learn_assets.sources.meds import ingest_meds, meds_files
from learn_assets.sources.omop import ingest_omop
from learn_assets.sources.omop_database import omop_path
from learn_assets.sources.raw_tables import ingest_delimited
from learn_assets.sources.reports import IngestReport
from learn_assets.sources.resolve import ExtractSource, resolve_source
from learn_assets.sources.rrf import find_release, ingest_release
from learn_assets.sources.trinetx import LAYOUTS, TableFiles, table_files
from learn_assets.study import MedsSource, OmopSource, Study, SyntheticSource

__all__ = ["RAW_TABLES", "IngestReport", "ingest_rxnorm", "ingest_table", "source_fingerprint"]

RAW_TABLES: tuple[str, ...] = tuple(LAYOUTS)
# Tables that OMOP and MEDS do not have; they come as files of their own.
_BESIDE = ("genetic_score", "care_site")


def ingest_table(study: Study, lake: Lake, table: str) -> IngestReport:
    """Write `raw_<table>` (every column text, source_file, source_row) and its malformed twin.

    `table` is one of RAW_TABLES; one that the source does not have is written empty. SourceError
    names the file that is missing or unreadable and the remedy.
    """
    if table not in LAYOUTS:
        raise KeyError(f"no raw table {table}; there are {', '.join(RAW_TABLES)}")
    source = resolve_source(study, lake)
    if _stands_beside(source, table):
        return ingest_delimited(lake, table, files_beside(source, table))
    if isinstance(source, OmopSource):
        return ingest_omop(source, lake, table)
    if isinstance(source, MedsSource):
        return ingest_meds(source, lake, table)
    return ingest_delimited(lake, table, table_files(source, table))


def ingest_rxnorm(study: Study, lake: Lake) -> tuple[IngestReport, ...]:
    """Write `rxnconso`, `rxnsat`, `rxnrel` and `rxnatomarchive`, empty where a file is absent."""
    return ingest_release(lake, resolve_source(study, lake).rxnorm)


def source_fingerprint(study: Study, lake: Lake, table: str) -> str:
    """Return a cheap sha256 over name, size and time of the files behind a raw table.

    `table` may also be `rxnorm_release`. A synthetic source is told by its settings alone.
    """
    digest = hashlib.sha256(table.encode())
    for part in _fingerprint_parts(study, lake, table):
        digest.update(b"\0" + part.encode())
    return digest.hexdigest()


def files_beside(source: ExtractSource, table: str) -> TableFiles:
    """Return the file of a table that stands beside a source, if one does."""
    path = {"genetic_score": source.genetic_score, "care_site": source.care_site}[table]
    return TableFiles(() if path is None else (single_file(path),), LAYOUTS[table])


def _stands_beside(source: ExtractSource, table: str) -> bool:
    from_person = isinstance(source, OmopSource) and source.person_care_site
    return table in _BESIDE and not (table == "care_site" and from_person)


def _fingerprint_parts(study: Study, lake: Lake, table: str) -> Iterator[str]:
    if isinstance(study.source, SyntheticSource):
        yield study.source.model_dump_json()
        return
    source = resolve_source(study, lake)
    if table == "rxnorm_release":
        files = find_release(source.rxnorm).values()
        yield from sorted(file.fingerprint() for file in files)
    else:
        yield from (file.fingerprint() for file in _files_of(source, table))


def _files_of(source: ExtractSource, table: str) -> tuple[SourceFile, ...]:
    if _stands_beside(source, table):
        return files_beside(source, table).files
    if isinstance(source, OmopSource):
        path = omop_path(source)
        files = visible_files(path) if path.is_dir() else (path,)
        return tuple(SourceFile(file) for file in files)
    if isinstance(source, MedsSource):
        return tuple(SourceFile(file) for file in meds_files(source))
    return table_files(source, table).files
