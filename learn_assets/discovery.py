"""Discovery: modules that are found by where they lie, so that nobody keeps a list of their names.

What belongs here: names and imports of what matches a place below this package. A part of an
analysis is `analyses/<name>/<part>.py`.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

PACKAGE = Path(__file__).parent


def modules(places: str) -> tuple[str, ...]:
    """Return the modules at some places, sorted: names below this package, such as `defs.models`.

    places: a glob below the package, such as `analyses/*/contract.py`.
    """
    files = (file.relative_to(PACKAGE).with_suffix("") for file in PACKAGE.glob(places))
    return tuple(sorted(".".join(file.parts) for file in files if file.name != "__init__"))


def load(places: str) -> Iterator[ModuleType]:
    """Import and yield the modules at some places, sorted by name."""
    return (importlib.import_module(f"{PACKAGE.name}.{name}") for name in modules(places))


def parts(part: str) -> str:
    """Return where the same part of every analysis lies."""
    return f"analyses/*/{part}.py"
