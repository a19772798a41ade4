"""Warehouse: runs the dbt project in process, on an in-memory DuckDB, from lake to lake.

What belongs here: the parsed project (manifest), one run of chosen models with their tests, and the
report of it. The SQL itself is in `dbt_like_sql/`, the translation of a study in
`warehouse_variables.py`.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from learn_assets.duckdb_session import literal_pattern
from learn_assets.lake import Lake, MissingTableError, TableStamp
from learn_assets.project_files import project_file
from learn_assets.study import Study
from learn_assets.study.windows import Window
from learn_assets.warehouse_variables import Value, dbt_variables

if TYPE_CHECKING:
    from dbt.contracts.graph.manifest import Manifest

_PROJECT_FILES = ("*.sql", "*.yml", "*.csv")
_QUIET = (
    "--quiet",
    "--no-print",
    "--log-level=none",
    "--log-level-file=none",
    "--no-write-json",
    "--no-use-colors",
    "--no-version-check",
    "--no-send-anonymous-usage-stats",
)
# DuckDB quotes the offending value in these messages, and a value may be a patient's.
_SPEAKING_ERRORS = re.compile(r"(Conversion|Invalid Input|Constraint|Out of Range) Error")


@dataclass(frozen=True)
class _ParsedProject:
    """The manifest as dbt reads it back, and as dagster-dbt and other tools read it."""

    msgpack: bytes
    json: bytes


# dbtRunner keeps flags, adapters and the event bus in module globals.
_DBT_LOCK = threading.Lock()
_PARSED: dict[str, _ParsedProject] = {}
# Which models there are is needed often, and reading a manifest takes a fifth of a second.
_NAMES: dict[str, dict[str, bool]] = {}


class WarehouseError(RuntimeError):
    """dbt could not run a model or a test; the message is dbt's, without quoted values."""


@dataclass(frozen=True)
class ModelResult:
    """A table that a run wrote: its name, stamp (rows, fingerprint, columns) and build time."""

    table: str
    stamp: TableStamp
    seconds: float


@dataclass(frozen=True)
class TestResult:
    """A dbt test of a run: what it says of which table, and how many rows speak against it."""

    __test__ = False  # or pytest takes the class for a test case

    name: str
    table: str
    column: str | None
    description: str
    passed: bool
    failing_rows: int
    seconds: float


@dataclass(frozen=True)
class WarehouseReport:
    """What one run did. `skipped` names models left out because a test upstream of them failed."""

    models: tuple[ModelResult, ...]
    tests: tuple[TestResult, ...]
    skipped: tuple[str, ...]
    seconds: float

    @property
    def failed_tests(self) -> tuple[TestResult, ...]:
        """Tests that found rows against them."""
        return tuple(test for test in self.tests if not test.passed)

    def model(self, table: str) -> ModelResult:
        """Return the result of one table. KeyError when the run did not build it."""
        for result in self.models:
            if result.table == table:
                return result
        raise KeyError(f"the run did not build {table}")


def project_folder() -> Path:
    """Return the dbt project's folder. FileNotFoundError when the package runs without it."""
    return project_file("dbt_like_sql/dbt_project.yml").parent


def project_fingerprint() -> str:
    """Return 16 hexadecimal digits that change with the project's files, dbt or DuckDB."""
    folder = project_folder()
    packages = " ".join(version(name) for name in ("dbt-core", "dbt-duckdb", "duckdb"))
    digest = hashlib.sha256(packages.encode())
    files = (path for pattern in _PROJECT_FILES for path in folder.rglob(pattern))
    for path in sorted(set(files)):
        relative = path.relative_to(folder)
        if relative.parts[0] not in {"target", "logs", "dbt_packages"}:
            digest.update(f"{relative.as_posix()}\0".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def manifest_path(lake: Lake) -> Path:
    """Return the manifest.json of the project as it is now, parsing it when it has changed.

    For dagster-dbt's graph and for documentation. WarehouseError when the project does not parse.
    """
    with _DBT_LOCK:
        _kept_project(lake)
    return lake.folder("dbt") / _manifest_key() / "manifest.json"


def model_names(lake: Lake) -> tuple[str, ...]:
    """Return the models that become tables, sorted by name."""
    return tuple(sorted(_kept_names(lake)))


def windowed_models(lake: Lake) -> tuple[str, ...]:
    """Return the models that have one table a window, sorted by name."""
    return tuple(sorted(name for name, windowed in _kept_names(lake).items() if windowed))


def run_models(
    study: Study,
    lake: Lake,
    models: Sequence[str],
    window: Window | None = None,
    *,
    memory_limit: str | None = None,
) -> WarehouseReport:
    """Build models and run the dbt tests on them, then move the tables into the lake.

    `models` are names of the project, in any order; what they read and the run does not build is
    read from the lake. `memory_limit` is DuckDB's, such as `8GB` (default: half of the machine's).
    ValueError for an unknown model or a missing window, MissingTableError for an upstream table
    not in the lake, WarehouseError when SQL fails. A failing test is a result, not an error.
    """
    started = time.perf_counter()
    with _DBT_LOCK, lake.staging() as staging:
        manifest = _kept_manifest(lake)
        selected = _selected(manifest, models, window)
        absent = _absent_tables(manifest, selected, lake, study, window)
        variables: dict[str, Value] = {
            **dbt_variables(study, window),
            "lake_tables": literal_pattern(lake.path("any").parent),
            "staging_folder": str(staging),
            "staged_tables": literal_pattern(staging),
            "absent_tables": [*absent],
            "memory_limit": memory_limit or _default_memory_limit(),
            "spill_folder": str(staging / "spill"),
        }
        results = _build(manifest, sorted(node.name for node in selected), variables, staging)
        _raise_on_error(results)
        return WarehouseReport(
            models=tuple(_promote(results, lake, staging, window)),
            tests=tuple(_test_results(results)),
            skipped=tuple(r.node.name for r in results if _is_model(r) and r.status == "skipped"),
            seconds=time.perf_counter() - started,
        )


def _manifest_key() -> str:
    # The manifest names the project's folder, so a moved clone needs one of its own.
    return hashlib.sha256(f"{project_fingerprint()} {project_folder()}".encode()).hexdigest()[:16]


def _kept_manifest(lake: Lake) -> Manifest:
    # A fresh copy for every run: dbt stores compiled SQL in the manifest it is given, and inlines
    # that of ephemeral models as it stands, so a second window would get the first one's values.
    from dbt.contracts.graph.manifest import Manifest
    from dbt.parser.manifest import extended_mashumuro_decoder

    manifest: Any = Manifest.from_msgpack(
        _kept_project(lake).msgpack, decoder=extended_mashumuro_decoder
    )
    manifest.build_flat_graph()
    return cast("Manifest", manifest)


def _kept_names(lake: Lake) -> dict[str, bool]:
    """Return the models that become tables, and whether each has one table a window."""
    key = _manifest_key()
    with _DBT_LOCK:
        if key not in _NAMES:
            # The JSON spares two seconds of dbt's own modules, which only a run needs.
            nodes = json.loads(_kept_project(lake).json)["nodes"].values()
            _NAMES[key] = {
                node["name"]: bool(node["config"]["meta"].get("windowed", False))
                for node in nodes
                if node["resource_type"] == "model" and node["config"]["materialized"] == "external"
            }
        return _NAMES[key]


def _kept_project(lake: Lake) -> _ParsedProject:
    key = _manifest_key()
    folder = lake.folder("dbt") / key
    binary, document = folder / "manifest.msgpack", folder / "manifest.json"
    on_disk = binary.exists() and document.exists()
    if key not in _PARSED and on_disk:
        _PARSED[key] = _ParsedProject(binary.read_bytes(), document.read_bytes())
    if key not in _PARSED:
        _PARSED[key] = _parse(lake)
    if not on_disk:
        folder.mkdir(mode=0o700, exist_ok=True)
        _write_atomically(binary, _PARSED[key].msgpack)
        _write_atomically(document, _PARSED[key].json)
    return _PARSED[key]


def _parse(lake: Lake) -> _ParsedProject:
    from dbt.cli.main import dbtRunner
    from dbt.contracts.graph.manifest import Manifest
    from dbt.parser.manifest import extended_mashumaro_encoder

    with lake.staging() as staging:
        result = dbtRunner().invoke(["parse", "--no-partial-parse", *_arguments(staging)])
    if not isinstance(result.result, Manifest):
        raise WarehouseError(f"the dbt project does not parse: {_safe(str(result.exception))}")
    document = result.result.writable_manifest().to_dict(omit_none=False)
    return _ParsedProject(
        msgpack=bytes(result.result.to_msgpack(extended_mashumaro_encoder)),
        json=json.dumps(document, default=str).encode(),
    )


def _write_atomically(path: Path, content: bytes) -> None:
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    partial.write_bytes(content)
    partial.replace(path)


def _arguments(target: Path) -> list[str]:
    project = str(project_folder())
    return [
        *_QUIET,
        f"--project-dir={project}",
        f"--profiles-dir={project}",
        f"--target-path={target / 'target'}",
        f"--log-path={target / 'logs'}",
    ]


def _models(manifest: Manifest) -> dict[str, Any]:
    nodes: dict[str, Any] = dict(manifest.nodes)
    return {
        unique_id: node
        for unique_id, node in nodes.items()
        if node.resource_type == "model" and node.config.materialized == "external"
    }


def _is_windowed(node: Any) -> bool:
    return bool(node.config.meta.get("windowed", False))


def _selected(manifest: Manifest, names: Sequence[str], window: Window | None) -> list[Any]:
    by_name = {node.name: node for node in _models(manifest).values()}
    unknown = sorted(set(names) - set(by_name))
    if unknown or not names:
        raise ValueError(f"no model {', '.join(unknown) or 'given'}; there are {sorted(by_name)}")
    nodes = [by_name[name] for name in dict.fromkeys(names)]
    windowed = sorted(node.name for node in nodes if _is_windowed(node))
    if windowed and window is None:
        raise ValueError(f"{', '.join(windowed)}: one table a window, so a window must be given")
    return nodes


def _absent_tables(
    manifest: Manifest, selected: Sequence[Any], lake: Lake, study: Study, window: Window | None
) -> list[str]:
    missing = [
        (node.name, bool(node.resource_type == "source" and node.config.meta.get("optional")))
        for node in _upstream(manifest, selected)
        if lake.stamp(node.name, window if _is_windowed(node) else None) is None
    ]
    supplied = study.cohort.mode == "supplied"
    needed = sorted(
        name for name, optional in missing if not optional or (supplied and name == "cohort_table")
    )
    if needed:
        place = f" for {window.key}" if window else ""
        raise MissingTableError(
            f"not in the lake {lake.root}{place}: {', '.join(needed)}; materialize them first"
        )
    return sorted(name for name, _ in missing)


def _upstream(manifest: Manifest, selected: Sequence[Any]) -> Iterable[Any]:
    """Yield sources and models that the selected ones read and that become tables elsewhere."""
    seen = {node.unique_id for node in selected}
    queue = [parent for node in selected for parent in node.depends_on.nodes]
    while queue:
        unique_id = queue.pop()
        if unique_id in seen:
            continue
        seen.add(unique_id)
        node: Any = manifest.sources.get(unique_id) or manifest.nodes[unique_id]
        if node.resource_type == "model" and node.config.materialized == "ephemeral":
            queue.extend(node.depends_on.nodes)
        else:
            yield node


def _default_memory_limit() -> str:
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return f"{max(physical // 2, 512 * 2**20) // 2**20}MiB"


def _build(
    manifest: Manifest, names: Sequence[str], variables: dict[str, Value], staging: Path
) -> list[Any]:
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager
    from dbt.artifacts.schemas.run import RunExecutionResult
    from dbt.cli.main import dbtRunner

    # Buildable: a test that reads tables downstream of the selection waits for those to be built.
    arguments = ["build", "--indirect-selection=buildable", "--no-populate-cache"]
    arguments += [*_arguments(staging), "--vars", json.dumps(variables), "--select", *names]
    connections: Any = DuckDBConnectionManager
    try:
        outcome = dbtRunner(manifest=manifest).invoke(arguments)
    finally:
        # The in-memory database outlives a run otherwise, with this run's views and settings.
        connections.close_all_connections()
    if not isinstance(outcome.result, RunExecutionResult):
        error = outcome.exception
        raise WarehouseError(_safe(str(error)) or f"dbt failed with {type(error).__name__}")
    return list(outcome.result.results)


def _raise_on_error(results: Sequence[Any]) -> None:
    errors = [
        f"{result.node.name}: {_safe(str(result.message))}"
        for result in results
        if result.status == "error"
    ]
    if errors:
        raise WarehouseError("\n".join(errors))


def _safe(message: str) -> str:
    if not _SPEAKING_ERRORS.search(message):
        return message
    sentence, _, _ = message.partition("LINE ")
    return re.sub(r"'[^'\n]*'|\"[^\"\n]*\"", "<hidden>", sentence).strip()


def _is_model(result: Any) -> bool:
    return bool(result.node.resource_type == "model")


def _promote(
    results: Sequence[Any], lake: Lake, staging: Path, window: Window | None
) -> Iterable[ModelResult]:
    for result in results:
        if _is_model(result) and result.status == "success":
            table = result.node.name
            stamp = lake.commit(
                table,
                staging / f"{table}.parquet",
                window=window if _is_windowed(result.node) else None,
            )
            yield ModelResult(table, stamp, result.execution_time)


def _test_results(results: Sequence[Any]) -> Iterable[TestResult]:
    for result in results:
        # Hooks are results as well.
        if result.node.resource_type != "test" or result.status == "skipped":
            continue
        yield TestResult(
            name=result.node.name,
            table=_tested_table(result.node),
            column=getattr(result.node, "column_name", None),
            description=result.node.description,
            passed=result.status == "pass",
            failing_rows=int(result.failures or 0),
            seconds=result.execution_time,
        )


def _tested_table(node: Any) -> str:
    attached = getattr(node, "attached_node", None)
    if attached:
        return str(attached).split(".")[-1]
    # dagster-dbt reads the same key to attach a singular test to its table.
    return str(node.config.meta["dagster"]["ref"]["name"])
