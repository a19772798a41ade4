"""Staging: what is written whole under a name of ours and then renamed into place.

What belongs here: making, holding, replacing and removing such folders and files. Nothing is
removed but what carries a name that this module gave, so no name that a user chose ever decides
what goes.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

_PREFIX = ".learn-assets-staged-"
_OURS = re.compile(rf"{re.escape(_PREFIX)}[0-9a-f]{{32}}")


def private_folder(path: Path) -> None:
    """Make a folder, and the parents it lacks, that only the owner can open (mode 0700)."""
    if not path.parent.exists():
        private_folder(path.parent)
    path.mkdir(exist_ok=True, mode=0o700)
    if path.stat().st_mode & 0o077:
        path.chmod(0o700)


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold a folder: any other process that wants to hold it waits until the block ends."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def staged_folder(parent: Path) -> Iterator[Path]:
    """Yield a new private folder in `parent`, held while in use and removed afterwards.

    `parent` may be anybody's folder: nothing else in it is touched. What a killed process staged
    there stays.
    """
    folder = parent / f"{_PREFIX}{uuid.uuid4().hex}"
    folder.mkdir(mode=0o700)
    try:
        with held(folder):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def staged_folder_of_ours(parent: Path) -> Iterator[Path]:
    """Yield a `staged_folder` in a folder of the lake, cleared of what killed processes staged.

    So patient data does not outlive the run that staged it. Only folders go that `staged_folder`
    made and no process holds.
    """
    with ExitStack() as stack:
        with held(parent):
            _remove_abandoned(parent)
            folder = stack.enter_context(staged_folder(parent))
        yield folder


def replace_folder(new: Path, folder: Path, retired: Path) -> None:
    """Rename `new` to `folder`; a folder that was there becomes `retired`, on one file system.

    A kill between the two renames leaves no folder, never a mixed one.
    """
    with held(folder.parent):
        if folder.exists():
            folder.replace(retired)
        new.replace(folder)


def write_atomically(path: Path, text: str) -> None:
    """Write a text file under another name first, so that no reader or crash leaves half of it."""
    staged = path.with_suffix(f".{os.getpid()}.tmp")
    with staged.open("w", encoding="utf-8") as handle:
        handle.write(text)
        handle.flush()
        os.fsync(handle.fileno())
    staged.replace(path)


def _remove_abandoned(parent: Path) -> None:
    for folder in parent.iterdir():
        if _OURS.fullmatch(folder.name) is None or folder.is_symlink() or not folder.is_dir():
            continue
        # A folder that is held, or that its process removed a moment ago, is none of our business.
        with suppress(BlockingIOError, FileNotFoundError):
            descriptor = os.open(folder, os.O_RDONLY)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(descriptor)
