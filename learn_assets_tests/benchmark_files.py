"""The scripts in benchmarks/ as modules, so that tests can try their parts."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

_FOLDER = Path(__file__).parents[1] / "benchmarks"


def load_benchmark(name: str) -> ModuleType:
    """Return the script of that name, loaded as a module of its own."""
    title = f"{name}_benchmark"
    specification = importlib.util.spec_from_file_location(title, _FOLDER / f"{name}.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    # Dataclasses look their module up by name.
    sys.modules[title] = module
    specification.loader.exec_module(module)
    return module
