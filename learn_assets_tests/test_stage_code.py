"""Every module that a stage runs through is hashed, so that changed code makes its tables again."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import pytest

from learn_assets import provenance
from learn_assets.reporting.sections.provenance import REPORT_CODE
from learn_assets.subtypes import freshness

PACKAGE = Path(provenance.__file__).parent
NAME = PACKAGE.name

# Which modules of `defs/` make the tables of a stage, and what is hashed for them.
STAGES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "data_tables": (("ingest", "validated", "vocabulary", "quality", "sql"), provenance.DATA_CODE),
    "cohort_tables": (("sql",), provenance.WINDOW_CODE),
    "embeddings": (("embeddings",), provenance.EMBEDDING_CODE),
    "risk_models": (
        (
            *("embeddings", "models", "champion", "scores", "evaluation", "comparisons"),
            *("evidence", "outcomes"),
        ),
        provenance.CELL_CODE,
    ),
    "sensitivity": (("sensitivity",), provenance.CELL_CODE),
    "transfer": (("transfer",), provenance.CELL_CODE),
    "results": (("leaderboards", "study_report"), REPORT_CODE),
    "subtypes_data": (("subtypes",), freshness.DATA_CODE),
    "language_models": (("language",), freshness.LANGUAGE_CODE),
    "subtype_clusters": (("subtype_clusters",), freshness.CLUSTER_CODE),
    "subtype_results": (("subtype_results",), freshness.RESULT_CODE),
}
# Modules of the layer without an asset of their own.
NO_ASSETS = {
    *("__init__", "automation", "checks", "jobs", "metadata", "partitions", "resources", "runner"),
    *("schedules", "sensors", "stages", "subtypes_stages"),
}
# What every stage stands on and what is told in another way: a study and a subtypes study by their
# choices, the version by itself, and the lake by the fingerprints of what it holds.
TOLD_OTHERWISE = (
    *("__init__.py", "study", "study_file.py", "subtypes/study.py", "backend_options.py"),
    *("lake.py", "staging.py", "provenance.py", "library_errors.py", "reporting/freshness.py"),
    *("subtypes/freshness.py", "project_files.py"),
)
# An asset may show figures and tables of numbers in the UI; they are not in its table, unless the
# stage is about them and hashes them.
SHOWN_ONLY = ("reporting", "subtypes/language/loss_figure.py")


def file_of(module: str) -> Path | None:
    """Return the file of one of our modules, None when the name is something inside a module."""
    place = PACKAGE.parent.joinpath(*module.split("."))
    return next(
        (file for file in (place.with_suffix(".py"), place / "__init__.py") if file.is_file()), None
    )


@cache
def imports(file: Path) -> frozenset[Path]:
    """Return the files of ours that a file imports, wherever in it the import stands."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for_types = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    names: set[str] = set()
    for node in ast.walk(tree):
        if id(node) in for_types:
            continue
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == NAME:
            names |= {str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names if alias.name.split(".")[0] == NAME}
    return frozenset(found for name in names if (found := file_of(name)) is not None)


def is_part(file: Path, parts: Iterable[str]) -> bool:
    """Return whether a file is one of these, or lies in one of these folders."""
    place = file.relative_to(PACKAGE)
    return any(place.is_relative_to(part) for part in parts)


def run_through(modules: Iterable[str], code: tuple[str, ...] = ()) -> dict[Path, Path]:
    """Return every file of ours that assets run through, each with a file that imports it."""
    shown_only = () if "reporting" in code else SHOWN_ONLY
    found: dict[Path, Path] = {}
    queue = [
        (imported, layer)
        for layer in (PACKAGE / "defs" / f"{module}.py" for module in modules)
        for imported in imports(layer)
        if not is_part(imported, shown_only)
    ]
    while queue:
        file, by = queue.pop()
        if file in found or is_part(file, ("defs", *TOLD_OTHERWISE)):
            continue
        found[file] = by
        queue.extend((imported, file) for imported in imports(file))
    return found


@pytest.mark.parametrize("stage", STAGES)
def test_every_module_of_a_stage_is_hashed(stage: str) -> None:
    modules, code = STAGES[stage]
    files = run_through(modules, code)
    assert files
    missing = {
        f"{file.relative_to(PACKAGE)} (imported by {by.relative_to(PACKAGE)})"
        for file, by in files.items()
        if not is_part(file, code) and file.name != "__init__.py"
    }
    assert missing == set()


def test_every_module_with_assets_belongs_to_a_stage() -> None:
    named = {module for modules, _ in STAGES.values() for module in modules}
    assert {file.stem for file in (PACKAGE / "defs").glob("*.py")} - NO_ASSETS == named


def test_masking_is_part_of_what_a_cell_is_made_from() -> None:
    disclosure = PACKAGE / "reporting" / "disclosure.py"
    assert disclosure in run_through(["evidence"])
    assert is_part(disclosure, provenance.CELL_CODE)
    assert not is_part(disclosure, provenance.EMBEDDING_CODE)


@pytest.mark.parametrize("code", sorted({code for _, code in STAGES.values()}))
def test_what_is_hashed_exists(code: tuple[str, ...]) -> None:
    assert [part for part in code if not (PACKAGE / part).exists()] == []


def test_a_changed_file_changes_the_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provenance, "__file__", str(tmp_path / "provenance.py"))
    (tmp_path / "folder" / "inner").mkdir(parents=True)
    sources = [tmp_path / name for name in ("one.py", "folder/two.py", "folder/inner/page.css")]
    code_hash = provenance.code_hash.__wrapped__
    parts = ("one.py", "folder")
    for source in sources:
        source.write_text("before", encoding="utf-8")
    hashes = [code_hash(parts)]
    for source in sources:
        source.write_text("after", encoding="utf-8")
        hashes.append(code_hash(parts))
    (tmp_path / "folder" / "notes.txt").write_text("no source", encoding="utf-8")
    assert len(set(hashes)) == len(sources) + 1
    assert code_hash(parts) == hashes[-1]
