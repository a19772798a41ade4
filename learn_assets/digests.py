"""Digests: sha256 of joined texts and of files, by which inputs and copies are recognized."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path


def digest_of(parts: Iterable[str]) -> str:
    """Return the sha256 of texts, kept apart from each other."""
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()


def file_digest(path: Path) -> str:
    """Return the sha256 of a file, which need not fit into memory."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
