"""Manuscript: tables and figures of the discharges as files in the lake, all of them or none new.

What belongs here: which files there are and how they reach their folder.
"""

from __future__ import annotations

import hashlib

import polars as pl

from learn_assets.lake import Lake
from learn_assets.study.subtypes import SubtypeStudy
from learn_assets.subtypes.figures import discharge_figures
from learn_assets.subtypes.publication import as_csv, as_word
from learn_assets.subtypes.tables import publication_tables

FOLDER = "discharge_tables"
SOURCES = (
    "discharges",
    "discarded_discharges",
    "diagnosis_description",
    "sex_description",
    "sex_comparison",
    "substance_table",
)


class AlteredFileError(RuntimeError):
    """A file of a folder of results is absent or was altered; the message says which."""


def write_manuscript_files(study: SubtypeStudy, lake: Lake) -> pl.DataFrame:
    """Write every table (CSV, Word) and figure (SVG), and return file, title and sha256 of each.

    Small counts are masked by the study's `privacy.minimum_cell`. MissingTableError when a table
    they are made from is not in the lake.
    """
    minimum = study.privacy.minimum_cell
    tables = {name: lake.read(name) for name in SOURCES}
    described = tables["diagnosis_description"].drop_nulls("description")
    names = dict(described.select("code", "description").iter_rows())
    files: dict[str, tuple[str, bytes]] = {}
    for table in publication_tables(tables, minimum):
        files[f"{table.name}.csv"] = (table.title, as_csv(table))
        files[f"{table.name}.docx"] = (table.title, as_word(table))
    figures = discharge_figures(tables["discharges"], names, minimum)
    for name, figure in figures.items():
        files[f"figure_{name}.svg"] = (figure.title, figure.document().encode())
    return put_files(lake, FOLDER, files)


def put_files(lake: Lake, folder: str, files: dict[str, tuple[str, bytes]]) -> pl.DataFrame:
    """Write files (name -> title, content) to a folder, and return file, title and sha256 of each.

    Files that the table of that name lists and this run does not make are removed, no others.
    """
    _put(lake, folder, {name: content for name, (_, content) in files.items()})
    rows = [
        (name, title, hashlib.sha256(content).hexdigest())
        for name, (title, content) in files.items()
    ]
    schema = {"file": pl.String, "title": pl.String, "sha256": pl.String}
    return pl.DataFrame(rows, schema=schema, orient="row").sort("file")


def read_files(lake: Lake, folder: str) -> dict[str, tuple[str, bytes]]:
    """Return title and content of each file that the table of a folder's name lists.

    AlteredFileError when a file is not there or not as it was written.
    """
    found = {}
    for name, title, sha256 in lake.read(folder).select("file", "title", "sha256").iter_rows():
        path = lake.folder(folder) / name
        content = path.read_bytes() if path.is_file() else b""
        if hashlib.sha256(content).hexdigest() != sha256:
            raise AlteredFileError(
                f"{path} is not the file that was written; materialize `{folder}` again"
            )
        found[name] = (title, content)
    return found


def _put(lake: Lake, name_of_folder: str, files: dict[str, bytes]) -> None:
    folder = lake.folder(name_of_folder)
    with lake.staging() as staging:
        for name, content in files.items():
            (staging / name).write_bytes(content)
        # What an earlier run made and this one does not would be taken for a result of this one.
        for stale in sorted(_listed(lake, name_of_folder) - set(files)):
            (folder / stale).unlink(missing_ok=True)
        for name in files:
            (staging / name).replace(folder / name)


def _listed(lake: Lake, folder: str) -> set[str]:
    return set(lake.read(folder)["file"]) if lake.stamp(folder) else set()
