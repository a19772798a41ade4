"""Lake: where each table lives under LEARN_HOME, atomic writes, row counts and fingerprints.

What belongs here: paths, stamps and the only code that puts a Parquet file in its final place.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq

from learn_assets.staging import held, private_folder, staged_folder_of_ours
from learn_assets.study.windows import Window

_BATCH_ROWS = 262_144


class LakeHomeError(OSError):
    """The folder for lakes, or Dagster's, cannot be used; the message says which and the remedy."""


class MissingTableError(FileNotFoundError):
    """A table was asked for that no run has written yet."""


@dataclass(frozen=True)
class TableStamp:
    """What stands beside a table: its rows, columns and the fingerprint of its content.

    `fingerprint` is a sha256 over column names, types and values in row order, so it does not
    depend on compression or row groups. It is stable within one Polars version.
    """

    rows: int
    fingerprint: str
    columns: dict[str, str]


class Lake:
    """The tables and artifacts of one study at one site."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()

    @classmethod
    def open(cls, study_name: str, home: Path) -> Lake:
        """Return the lake of a study under LEARN_HOME, or under `home` when that is not set.

        The lake is for its owner alone (mode 0700); a home that was there before keeps its mode.
        LakeHomeError when the lake cannot be made there.
        """
        base = Path(os.environ.get("LEARN_HOME") or home)
        lake = cls(base / study_name)
        try:
            private_folder(lake.root)
        except OSError as error:
            raise LakeHomeError(
                f"no lake can be made in {base.resolve()} ({error.strerror}); set LEARN_HOME to a "
                "folder you own and can write to"
            ) from error
        return lake

    def path(
        self, table: str, window: Window | str | None = None, encoder: str | None = None
    ) -> Path:
        """Return where a table lives; the one place that knows it."""
        if encoder is not None and window is None:
            raise ValueError(f"table {table}: an encoder without a window has no place in the lake")
        folder = self.root / "tables"
        if window is not None:
            folder /= window.key if isinstance(window, Window) else window
        if encoder is not None:
            folder /= encoder
        return folder / f"{table}.parquet"

    def folder(
        self, name: str, window: Window | str | None = None, encoder: str | None = None
    ) -> Path:
        """Return (and make, mode 0700) the folder of artifacts that are not tables."""
        folder = self.root / name
        if window is not None:
            folder /= window.key if isinstance(window, Window) else window
        if encoder is not None:
            folder /= encoder
        private_folder(folder)
        return folder

    def stamp(
        self, table: str, window: Window | str | None = None, encoder: str | None = None
    ) -> TableStamp | None:
        """Return the stamp of a table, or None when the table has not been written."""
        path = self.path(table, window, encoder)
        stamp_path = _stamp_path(path)
        if not (path.exists() and stamp_path.exists()):
            return None
        return TableStamp(**json.loads(stamp_path.read_text(encoding="utf-8")))

    def scan(
        self, table: str, window: Window | str | None = None, encoder: str | None = None
    ) -> pl.LazyFrame:
        """Return a table lazily. MissingTableError says what to materialize."""
        if self.stamp(table, window, encoder) is None:
            key = window.key if isinstance(window, Window) else window
            place = f"table `{table}`" if key is None else f"table `{table}` for {key}"
            raise MissingTableError(
                f"{place} is not in the lake {self.root}; materialize that asset first"
            )
        return pl.scan_parquet(self.path(table, window, encoder), glob=False)

    def read(
        self, table: str, window: Window | str | None = None, encoder: str | None = None
    ) -> pl.DataFrame:
        """Return a table in memory. MissingTableError says what to materialize."""
        return self.scan(table, window, encoder).collect()

    def write(
        self,
        table: str,
        frames: pl.DataFrame | Iterable[pl.DataFrame],
        *,
        window: Window | str | None = None,
        encoder: str | None = None,
    ) -> TableStamp:
        """Write a table atomically from one frame or a stream of frames of one schema.

        ValueError when the stream is empty: an empty table still needs a frame with its columns.
        """
        batches = iter([frames]) if isinstance(frames, pl.DataFrame) else iter(frames)
        with self.staging() as staging:
            staged = staging / f"{table}.parquet"
            _write_batches(staged, batches, table)
            return self.commit(table, staged, window=window, encoder=encoder)

    def commit(
        self,
        table: str,
        staged: Path,
        *,
        window: Window | str | None = None,
        encoder: str | None = None,
    ) -> TableStamp:
        """Put a finished Parquet file in its place and stamp it.

        The old stamp goes first and the new one last, so a kill in between leaves no table
        rather than a stamp that belongs to other content. One writer at a time puts its pair in
        place, so two runs of one window never mix theirs.
        """
        stamp = fingerprint_file(staged)
        path = self.path(table, window, encoder)
        private_folder(path.parent)
        stamp_path = _stamp_path(path)
        staged_stamp = staged.with_suffix(".stamp.json")
        staged_stamp.write_text(json.dumps(asdict(stamp), indent=1), encoding="utf-8")
        for file in (staged, staged_stamp):
            file.chmod(0o600)
            _sync(file)
        with held(path.parent):
            if self.stamp(table, window, encoder) != stamp:
                stamp_path.unlink(missing_ok=True)
            staged.replace(path)
            staged_stamp.replace(stamp_path)
        return stamp

    @contextmanager
    def staging(self) -> Iterator[Path]:
        """Yield a private folder on the lake's own file system, removed afterwards."""
        with staged_folder_of_ours(self.folder("staging")) as folder:
            yield folder


def fingerprint_file(path: Path) -> TableStamp:
    """Return rows, columns and content fingerprint of a Parquet file, reading it in batches."""
    source = pq.ParquetFile(path)
    digest = hashlib.sha256()
    schema = pl.scan_parquet(path, glob=False).collect_schema()
    columns = {name: str(dtype) for name, dtype in schema.items()}
    digest.update(json.dumps(columns).encode())
    for batch in source.iter_batches(batch_size=_BATCH_ROWS):
        frame = pl.from_arrow(batch)
        if not isinstance(frame, pl.DataFrame):
            raise TypeError("a record batch did not become a frame")
        _update_digest(digest, frame)
    return TableStamp(source.metadata.num_rows, digest.hexdigest(), columns)


def _update_digest(digest: hashlib._Hash, frame: pl.DataFrame) -> None:
    # Two 64-bit row hashes side by side: per row, so the size of a batch leaves no trace.
    pair = np.column_stack([frame.hash_rows(seed=seed).to_numpy() for seed in (1, 2)])
    digest.update(pair.tobytes())


def _write_batches(path: Path, batches: Iterator[pl.DataFrame], table: str) -> None:
    first = next(batches, None)
    if first is None:
        raise ValueError(f"table {table}: nothing to write; pass an empty frame with its columns")
    schema = first.to_arrow().schema
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        writer.write_table(first.to_arrow(), row_group_size=_BATCH_ROWS)
        for batch in batches:
            writer.write_table(batch.to_arrow().cast(schema), row_group_size=_BATCH_ROWS)


def _stamp_path(path: Path) -> Path:
    return path.with_suffix(".stamp.json")


def _sync(path: Path) -> None:
    with path.open("rb") as handle:
        os.fsync(handle.fileno())
