"""SPSS files of the registry: a .sav read in chunks as the text that a CSV of it would hold."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from learn_assets.sources.files import SourceError
from learn_assets.sources.headers import squash
from learn_assets.subtypes.layout import DISCHARGE_LAYOUT
from learn_assets.validation.values import LARGEST_EXACT

CHUNK_ROWS = 50_000


def read_sav(path: Path, chunk_rows: int = CHUNK_ROWS) -> Iterator[pl.DataFrame]:
    """Yield text columns of the layout and source_row (record from 1), chunk by chunk.

    Only columns of the layout are read. SourceError when pyreadstat is not installed, the file is
    no .sav or ends too early, or a needed column is absent.
    """
    try:
        import pyreadstat
    except ImportError:
        raise SourceError(
            f"{path.name} is an SPSS file; install the extra that reads it: "
            "pip install 'learn-assets[subtypes]'"
        ) from None
    columns = _columns(path)
    first = 1
    chunks = pyreadstat.read_file_in_chunks(
        pyreadstat.read_sav,
        path,
        chunksize=chunk_rows,
        usecols=list(columns),
        output_format="dict",
    )
    for values in _until_damaged(chunks, path):
        frame = pl.DataFrame(
            {canonical: _texts(values[name]) for name, canonical in columns.items()},
            schema=dict.fromkeys(columns.values(), pl.String),
        )
        rows = pl.int_range(first, first + frame.height, dtype=pl.Int64, eager=True)
        yield frame.with_columns(rows.alias("source_row"))
        first += frame.height


def _until_damaged(
    chunks: Iterator[tuple[dict[str, list[Any]], Any]], path: Path
) -> Iterator[dict[str, list[Any]]]:
    """Yield the values of chunks; SourceError when the file ends before its last row."""
    import pyreadstat

    try:
        for values, _ in chunks:
            yield values
    except pyreadstat.ReadstatError as error:
        raise SourceError(
            f"{path.name} is damaged or cut short ({error}); fetch or export it again"
        ) from None


def _columns(path: Path) -> dict[str, str]:
    """Return which column of the file is which of the layout."""
    import pyreadstat

    try:
        _, described = pyreadstat.read_sav(path, metadataonly=True)
    except pyreadstat.ReadstatError as error:
        raise SourceError(
            f"{path.name} is not a readable SPSS file ({error}); export it again as .sav"
        ) from None
    names = {squash(name): name for name in reversed(described.column_names)}
    found: dict[str, str] = {}
    for canonical, aliases in DISCHARGE_LAYOUT.aliases.items():
        name = next((names[alias] for alias in aliases if alias in names), None)
        if name is not None:
            found.setdefault(name, canonical)
    missing = [name for name in DISCHARGE_LAYOUT.required if name not in found.values()]
    if missing:
        accepted = {name: DISCHARGE_LAYOUT.aliases[name] for name in missing}
        raise SourceError(
            f"{path.name}: no column for {', '.join(missing)}; names understood: {accepted}"
        )
    return found


def _texts(values: object) -> list[str | None]:
    return [_text(value) for value in np.asarray(values, dtype=object).tolist()]


def _text(value: object) -> str | None:
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return None
    if isinstance(value, datetime.datetime):
        return value.strftime("%d%m%Y %H%M")
    if isinstance(value, datetime.date):
        return value.strftime("%d%m%Y")
    if isinstance(value, float) and value.is_integer():
        # From there on two whole numbers may be one float: `.0` tells that digits are lost.
        return str(int(value)) if abs(value) < LARGEST_EXACT else f"{int(value)}.0"
    return str(value)
