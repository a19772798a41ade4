"""Provenance: what each stage was made from, so that only what changed is made again.

What belongs here: the input fingerprint of each stage and the marks that assets leave when they
have finished. A mark is compared by content, never by time.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path

from pydantic import BaseModel

from learn_assets import __version__
from learn_assets.cohort.windows import Window
from learn_assets.lake import Lake
from learn_assets.study import EncoderChoice, Study

_INDEX_TABLES = ("index_events", "exclusion_events", "severe_outcome_events")
_RECORD_TABLES = ("patient", "diagnosis", "procedure", "medication", "lab_result", "cohort_feature")
_CELL_TABLES = ("cohort", "scoring_population", "event_counts", "latest_measurement")


def data_inputs(study: Study, source_fingerprint: str) -> str:
    """Return the fingerprint of all that the unpartitioned tables depend on."""
    rules: list[BaseModel] = [study.source, study.cohort, study.narratives, study.vocabulary]
    lists = [entry for name in sorted(study.code_lists) for entry in study.code_lists[name]]
    return _digest([source_fingerprint, *_texts(rules), *sorted(study.code_lists), *_texts(lists)])


def window_inputs(study: Study, lake: Lake, window: Window) -> str:
    """Return the fingerprint of all that one window's tables depend on."""
    rules = _texts([study.cohort, study.counts])
    return _digest([window.key, *rules, *_fingerprints(lake, (*_INDEX_TABLES, *_RECORD_TABLES))])


def cell_inputs(study: Study, lake: Lake, window: Window, encoder: EncoderChoice) -> str:
    """Return the fingerprint of all that one cell's embeddings and models depend on."""
    rules = _texts([encoder, study.models, study.counts, study.privacy])
    windowed = _fingerprints(lake, _CELL_TABLES, window)
    return _digest([window.key, *rules, *_fingerprints(lake, ("narratives",)), *windowed])


def mark(
    lake: Lake,
    asset: str,
    inputs: str,
    window: Window | None = None,
    encoder: EncoderChoice | None = None,
) -> None:
    """Record, atomically, that an asset was finished from these inputs."""
    path = _mark_path(lake, asset, window, encoder)
    staged = path.with_suffix(f".{os.getpid()}.tmp")
    staged.write_text(json.dumps({"inputs": inputs, "version": __version__}), encoding="utf-8")
    staged.replace(path)


def is_current(
    lake: Lake,
    assets: Iterable[str],
    inputs: str,
    window: Window | None = None,
    encoder: EncoderChoice | None = None,
) -> bool:
    """Return whether every one of the assets was finished from exactly these inputs."""
    wanted = {"inputs": inputs, "version": __version__}
    marks = [_read_mark(_mark_path(lake, asset, window, encoder)) for asset in assets]
    return all(found == wanted for found in marks)


def _read_mark(path: Path) -> object:
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def _mark_path(
    lake: Lake, asset: str, window: Window | None, encoder: EncoderChoice | None
) -> Path:
    return lake.folder("provenance", window, encoder.id if encoder else None) / f"{asset}.json"


def _fingerprints(lake: Lake, tables: Iterable[str], window: Window | None = None) -> list[str]:
    stamps = [lake.stamp(table, window) for table in tables]
    return [stamp.fingerprint if stamp else "absent" for stamp in stamps]


def _texts(sections: Iterable[BaseModel]) -> list[str]:
    return [section.model_dump_json() for section in sections]


def _digest(parts: Iterable[str]) -> str:
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()
