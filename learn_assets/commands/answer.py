"""Answer: what a command says, in words and as the same content for programs, or why it refuses."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

Document = Mapping[str, object]


class RefusedError(ValueError):
    """A command cannot do what it is asked; the message says why."""


@dataclass(frozen=True)
class Answer:
    """The text, a document with the same content, and the exit status: 0 well, 1 something failed.

    What the text masks is masked in the document too; sizes in bytes are not rounded there.
    """

    text: str
    document: Document
    status: int = 0


def as_json(document: Document) -> str:
    """Return a document as JSON text; paths become strings."""
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False, default=_path)


def _path(value: object) -> str:
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no place in a document")
