"""Loading: the definitions of a study, found by where they lie.

What belongs here: our modules, which need a study to say what they define, and Dagster's own
loading of this folder, which finds what `dg scaffold` writes.
"""

from collections.abc import Iterator
from inspect import isfunction
from types import ModuleType
from typing import Any

import dagster as dg

from learn_assets import defs
from learn_assets.discovery import PACKAGE, load, parts
from learn_assets.study.file import AnyStudy
from learn_assets.study.subtypes import SubtypeStudy

# A module defines what it has in functions of these names, which take the study. Those for a
# subtypes study are named `subtype_assets` and so on.
_KINDS = ("assets", "asset_checks", "jobs", "schedules", "sensors")


def study_definitions(study: AnyStudy) -> dg.Definitions:
    """Return what the modules of `defs` and the assets of the analyses define for a study."""
    prefix = "subtype_" if isinstance(study, SubtypeStudy) else ""
    modules = [*load("defs/*.py"), *load(parts("asset"))]
    found: dict[str, Any] = {
        kind: [
            item
            for module in modules
            for define in _functions(module, prefix + kind)
            for item in define(study)
        ]
        for kind in _KINDS
    }
    return dg.Definitions(**found)


def scaffolded_definitions() -> dg.Definitions:
    """Return what lies in `defs` as Dagster's own loading finds it: files and components."""
    return dg.ComponentTree(defs_module=defs, project_root=PACKAGE.parent).build_defs()


def _functions(module: ModuleType, name: str) -> Iterator[Any]:
    found = vars(module).get(name)
    # An asset may have any name, and a module may import a function of another.
    if isfunction(found) and found.__module__ == module.__name__:
        yield found
