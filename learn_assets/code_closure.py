"""Code closure: which modules of ours a computation runs through, and one digest of what they do.

What belongs here: the walk over imports, and the digest of syntax trees. A comment, a docstring or
another layout changes no result, so none of them changes the digest. Packaged files that code reads
(templates) count by their bytes.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable, Iterator
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parent

# What enters by value instead: a study by the options that are read, tables by their fingerprints.
BY_VALUE = (
    "__init__.py", "study", "lake.py", "staging.py", "provenance.py", "code_closure.py",
    "library_errors.py", "project_files.py", "discovery.py", "reporting/freshness.py",
    "subtypes/freshness.py",
)  # fmt: skip
# An asset may show figures and masked numbers in the UI that are not in its table.
SHOWN_ONLY = (
    "reporting", "subtypes/language/loss_figure.py",
    "analyses/*/section.py", "analyses/*/figure.py", "analyses/*/words.py",
)  # fmt: skip
_DAGSTER_LAYER = ("defs", "analyses/*/asset.py")
_TEMPLATES = "templates"


@cache
def code_digest(*modules: str, shown: bool = False) -> str:
    """Return a sha256 of all that the code of some modules runs through.

    modules: names below this package, such as `defs.models`. A module of the Dagster layer counts
    by what it imports, not by itself. shown: whether what is only shown is the result.
    """
    digest = hashlib.sha256()
    for file in sorted(files_behind(*modules, shown=shown)):
        digest.update(f"{file.relative_to(PACKAGE).as_posix()}\0".encode())
        digest.update(_content(file))
    return digest.hexdigest()


def files_behind(*modules: str, shown: bool = False) -> dict[Path, Path]:
    """Return every file that the code of some modules runs through, with a file that needs it.

    ValueError for a module that does not exist.
    """
    passed_over = BY_VALUE if shown else (*BY_VALUE, *SHOWN_ONLY)
    found: dict[Path, Path] = {}
    queue = [(file, file) for file in map(_file_of_existing, modules)]
    seen: set[Path] = set()
    while queue:
        file, by = queue.pop()
        if file in seen or _is_part(file, passed_over):
            continue
        seen.add(file)
        layer = _is_part(file, _DAGSTER_LAYER)
        if layer and file != by:
            continue
        if not layer:
            found[file] = by
            found.update(dict.fromkeys(_templates_beside(file), file))
        queue.extend((imported, file) for imported in imported_files(file))
    return found


@cache
def imported_files(file: Path) -> frozenset[Path]:
    """Return the files of ours that a file imports, at its top or inside a function.

    Imports for types alone do not run and do not count.
    """
    names = set(_imported_names(ast.parse(file.read_bytes())))
    return frozenset(found for name in names if (found := file_of(name)) is not None)


def file_of(module: str) -> Path | None:
    """Return the file of a module of ours; None for a name that is no module."""
    parent, *below = module.split(".")
    if parent != PACKAGE.name:
        return None
    place = PACKAGE.joinpath(*below)
    files = (place.with_suffix(".py"), place / "__init__.py") if below else (place / "__init__.py",)
    return next((file for file in files if file.is_file()), None)


def _file_of_existing(module: str) -> Path:
    file = file_of(f"{PACKAGE.name}.{module}")
    if file is None:
        raise ValueError(f"{PACKAGE.name} has no module {module}")
    return file


def _imported_names(tree: ast.AST) -> Iterator[str]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        else:
            yield from _imported_names(node)


def _is_part(file: Path, parts: Iterable[str]) -> bool:
    place = file.relative_to(PACKAGE)
    return any(place.is_relative_to(part) or fnmatch(str(place), part) for part in parts)


def _templates_beside(file: Path) -> list[Path]:
    return [path for path in (file.parent / _TEMPLATES).glob("*") if path.is_file()]


@cache
def _content(file: Path) -> bytes:
    if file.suffix != ".py":
        return file.read_bytes()
    tree = ast.parse(file.read_bytes())
    for node in ast.walk(tree):
        _drop_docstring(node)
    return ast.dump(tree, annotate_fields=False).encode()


def _drop_docstring(node: ast.AST) -> None:
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    if isinstance(node, documented) and ast.get_docstring(node, clean=False) is not None:
        node.body = node.body[1:]
