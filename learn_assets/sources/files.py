"""Finding and opening the files of an extract: plain, gzip, or members of zip archives."""

from __future__ import annotations

import gzip
import re
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast


class SourceError(ValueError):
    """An extract that cannot be read; the message names the file and the remedy."""


@dataclass(frozen=True)
class SourceFile:
    """One readable file: a path, or a member of the zip archive at that path."""

    path: Path
    member: str | None = None

    @property
    def name(self) -> str:
        """Base name of the file itself, whatever holds it."""
        return Path(self.member or self.path.name).name

    @property
    def label(self) -> str:
        """What `source_file` says of a row: base name, with the archive before it if zipped."""
        return self.name if self.member is None else f"{self.path.name}/{self.member}"

    @contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """Yield the uncompressed bytes. SourceError when the file is damaged or locked."""
        try:
            with self._stream() as stream:
                yield stream
        except (EOFError, gzip.BadGzipFile, zlib.error, zipfile.BadZipFile) as error:
            raise SourceError(
                f"{self.label} is damaged or cut short ({error}); fetch it again"
            ) from error

    @contextmanager
    def _stream(self) -> Iterator[BinaryIO]:
        if self.member is not None:
            with zipfile.ZipFile(self.path) as archive:
                if archive.getinfo(self.member).flag_bits & 1:
                    raise SourceError(f"{self.label} is encrypted; unpack it with its password")
                with archive.open(self.member) as stream:
                    yield cast(BinaryIO, stream)
        elif self.path.suffix.lower() == ".gz":
            with gzip.open(self.path) as stream:
                yield cast(BinaryIO, stream)
        else:
            with self.path.open("rb") as stream:
                yield stream

    def fingerprint(self) -> str:
        """Return a cheap token that changes when the file does (name, size, time of change)."""
        status = self.path.stat()
        return f"{self.label}|{status.st_size}|{status.st_mtime_ns}"


def find_files(folder: Path, stems: Iterable[str]) -> tuple[SourceFile, ...]:
    """Return the files of the first stem that has any, in name order; empty when none has.

    `diagnosis` finds diagnosis.csv, diagnosis.csv.gz, numbered parts such as diagnosis_002.csv, and
    members of any zip archive in the folder; `folder` may be a zip archive itself. SourceError when
    the folder is absent or one file stands there twice, compressed and not.
    """
    if not folder.exists():
        raise SourceError(f"the folder {folder} does not exist; correct `source.folder`")
    inventory = list(_inventory(folder))
    for stem in stems:
        pattern = re.compile(
            rf"{re.escape(stem)}([ _.-]?\d+)?\.(csv|tsv|txt)(\.gz)?", re.IGNORECASE
        )
        found = [file for file in inventory if pattern.fullmatch(file.name)]
        if found:
            _refuse_twins(found)
            return tuple(sorted(found, key=lambda file: file.label))
    return ()


def single_file(path: Path) -> SourceFile:
    """Return the one file at a path (a zip must hold exactly one). SourceError otherwise."""
    if not path.exists():
        raise SourceError(f"{path} does not exist; correct the path in the study")
    if path.suffix.lower() != ".zip":
        return SourceFile(path)
    members = list(_members(path))
    if len(members) != 1:
        raise SourceError(f"{path.name} holds {len(members)} files; pack exactly one in it")
    return members[0]


def visible_files(folder: Path, pattern: str = "*") -> tuple[Path, ...]:
    """Return the files at any depth of a folder, sorted, without hidden ones.

    Tools keep copies of their own in hidden folders, such as `.ipynb_checkpoints`.
    """
    return tuple(
        path
        for path in sorted(folder.rglob(pattern))
        if path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )


def _inventory(folder: Path) -> Iterator[SourceFile]:
    if folder.is_file():
        yield from _members(folder)
        return
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() == ".zip":
            yield from _members(path)
        elif path.is_file():
            yield SourceFile(path)


def _members(path: Path) -> Iterator[SourceFile]:
    if not zipfile.is_zipfile(path):
        raise SourceError(f"{path.name} is not a readable zip archive; fetch it again")
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            hidden = "__MACOSX" in info.filename or Path(info.filename).name.startswith(".")
            if not (info.is_dir() or hidden):
                yield SourceFile(path, info.filename)


def _refuse_twins(found: list[SourceFile]) -> None:
    seen: dict[str, SourceFile] = {}
    for file in found:
        logical = file.name.lower().removesuffix(".gz")
        if logical in seen:
            raise SourceError(
                f"{seen[logical].label} and {file.label} are the same file twice; keep one of them"
            )
        seen[logical] = file
