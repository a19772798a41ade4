"""Texts: the descriptions of each admission's diagnoses in order, boundaries kept, as a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq

from learn_assets.digests import digest_of
from learn_assets.lake import Lake, TableStamp
from learn_assets.schemas.registry import empty_frame
from learn_assets.subtypes.description_vectors import NO_DESCRIPTION

SEPARATOR = "; "
_BLOCK_ROWS = 16_384
_COLUMNS = ("admission_id", "patient_number", "sex", "diagnoses")


def write_diagnosis_texts(lake: Lake) -> TableStamp:
    """Write the table `diagnosis_texts` from discharges and descriptions, block by block."""
    lake.scan("discharges")
    descriptions = code_texts(lake.read("diagnosis_description"))
    return lake.write("diagnosis_texts", _frames(lake.path("discharges"), descriptions))


def code_texts(described: pl.DataFrame) -> dict[str, str]:
    """Return the text of each code of `diagnosis_description`; one without any gets a stand-in."""
    return {
        code: text or NO_DESCRIPTION
        for code, text in described.select("code", "description").iter_rows()
    }


def diagnosis_texts(discharges: pl.DataFrame, descriptions: Mapping[str, str]) -> pl.DataFrame:
    """Return the texts of some discharges, in their order.

    `descriptions` lists one text a diagnosis, principal first, a code that stands twice once;
    `text` joins them. `text_key` is the same for admissions with the same descriptions in any
    order, which are alike to a model that shuffles them. ValueError counts codes without an entry
    in `descriptions` (`code_texts`).
    """
    codes = discharges["diagnoses"].explode(empty_as_null=False).unique().to_list()
    if absent := sum(code not in descriptions for code in codes):
        raise ValueError(f"{absent} codes are not described; materialize diagnosis_description")
    listed = [
        [descriptions[code] for code in dict.fromkeys(codes)]
        for codes in discharges["diagnoses"].to_list()
    ]
    return discharges.select(
        "admission_id",
        "patient_number",
        "sex",
        pl.Series("descriptions", listed, pl.List(pl.String)),
        pl.Series("text", [SEPARATOR.join(texts) for texts in listed], pl.String),
        pl.Series("text_key", [text_key(texts) for texts in listed], pl.String),
    )


def text_key(descriptions: Sequence[str]) -> str:
    """Return a sha256 of descriptions, whatever their order."""
    return digest_of(sorted(descriptions))


def _frames(path: Path, descriptions: Mapping[str, str]) -> Iterator[pl.DataFrame]:
    empty = empty_frame("diagnosis_texts")
    yield empty
    for batch in pq.ParquetFile(path).iter_batches(_BLOCK_ROWS, columns=list(_COLUMNS)):
        block = pl.from_arrow(batch)
        if not isinstance(block, pl.DataFrame):
            raise TypeError("a record batch did not become a frame")
        yield diagnosis_texts(block, descriptions).select(empty.columns)
