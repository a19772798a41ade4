"""Provenance: code, study file, seeds, packages and fingerprints behind a report."""

from __future__ import annotations

import hashlib
import json
import platform
from importlib.metadata import PackageNotFoundError, version
from io import StringIO
from pathlib import PurePath
from typing import Any

from ruamel.yaml import YAML

from learn_assets import __version__
from learn_assets.code_closure import code_digest
from learn_assets.discovery import modules, parts
from learn_assets.provenance import CELL_CODE, DATA_CODE, SENSITIVITY_CODE, TRANSFER_CODE
from learn_assets.reporting.context import StudyContext
from learn_assets.reporting.document import (
    Block,
    Column,
    Facts,
    NamedValue,
    Section,
    Source,
    Table,
)
from learn_assets.reporting.values import words
from learn_assets.schemas.registry import RESULTS, analyses_of, on_page
from learn_assets.study import Study, SyntheticSource
from learn_assets.study.windows import Window
from learn_assets.warehouse import project_fingerprint

# The page names the code of all that it shows.
REPORT_CODE = (
    *DATA_CODE, *CELL_CODE, *SENSITIVITY_CODE, *TRANSFER_CODE,
    *analyses_of(RESULTS), "defs.study_report", *modules(parts("section")),
)  # fmt: skip
_PACKAGES = (
    "dagster", "dbt-core", "dbt-duckdb", "duckdb", "polars", "pandera", "great-expectations",
    "numpy", "scipy",
    "scikit-learn", "scikit-survival", "imbalanced-learn", "xgboost", "xgboost-cpu", "optuna",
    "torch", "transformers", "sentence-transformers", "openvino", "matplotlib",
)  # fmt: skip
_DIGITS = 12


def report_code() -> str:
    """Return the digest of the code that makes all that a report shows."""
    return code_digest(*REPORT_CODE, shown=True)


def provenance(context: StudyContext) -> Section:
    """Return what made these results, down to the fingerprint of each table."""
    study = context.study
    packages = installed_packages()
    seeds = [f"{study.models.seed} (folds and models)"]
    if isinstance(study.source, SyntheticSource):
        seeds.append(f"{study.source.seed} (synthetic site)")
    facts = (
        NamedValue("Code", words(f"learn_assets {__version__}, sources {_short(report_code())}")),
        NamedValue("SQL", words(f"dbt project {_short(project_fingerprint())}")),
        NamedValue("Study file", words(study_fingerprint(study))),
        NamedValue("Seeds", words(", ".join(seeds))),
        NamedValue("Packages", words(", ".join(f"{name} {number}" for name, number in packages))),
    )
    blocks: list[Block] = [
        Facts("provenance", facts),
        Source("study_file", "The study as it was run, defaults included", study_document(study)),
    ]
    fingerprints = _fingerprints(context)
    if fingerprints:
        blocks.append(
            Table(
                "fingerprints",
                f"Fingerprints of {len(fingerprints)} tables",
                (
                    Column("table", "Table", numeric=False),
                    Column("fingerprint", "Fingerprint of content", numeric=False),
                ),
                tuple((words(name), words(fingerprint)) for name, fingerprint in fingerprints),
                folded=True,
            )
        )
    return Section("provenance", "Provenance", tuple(blocks))


def study_fingerprint(study: Study) -> str:
    """Return the first digits of a sha256 over every choice of a study but where its lake is."""
    document = study.model_dump_json(by_alias=True, exclude={"lake": True})
    return _short(hashlib.sha256(document.encode()).hexdigest())


def study_document(study: Study) -> str:
    """Return the study as YAML with every default, and no path of the machine it ran on."""
    content = json.loads(study.model_dump_json(by_alias=True, exclude={"lake"}, exclude_none=True))
    target = StringIO()
    writer = YAML()
    writer.width = 88
    writer.dump(_without_folders(content), target)
    return target.getvalue()


def _without_folders(content: Any) -> Any:
    if isinstance(content, dict):
        return {key: _without_folders(value) for key, value in content.items()}
    if isinstance(content, list):
        return [_without_folders(value) for value in content]
    if isinstance(content, str) and content.startswith(("/", "~")):
        return f".../{PurePath(content).name}"
    return content


def _fingerprints(context: StudyContext) -> list[tuple[str, str]]:
    study = context.study
    places: list[tuple[str, Window | None, str | None]] = [
        *((table, None, None) for table in on_page(None)),
        *((table, window, None) for window in study.windows for table in on_page("window")),
        *(
            (table, window, encoder.id)
            for window in study.windows
            for encoder in study.encoders
            for table in on_page("cell")
        ),
    ]
    found = []
    for table, window, encoder in places:
        stamp = context.lake.stamp(table, window, encoder)
        if stamp is not None:
            place = [part for part in (table, window and window.key, encoder) if part]
            found.append((" / ".join(place), _short(stamp.fingerprint)))
    return found


def installed_packages() -> list[tuple[str, str]]:
    """Return name and version of Python and of each library that a result may depend on."""
    found = [("python", platform.python_version())]
    for package in _PACKAGES:
        try:
            found.append((package, version(package)))
        except PackageNotFoundError:
            continue
    return found


def _short(digest: str) -> str:
    return digest[:_DIGITS]
