"""Which discharge files a subtypes study reads: its own, or a synthetic one made on first use."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from learn_assets.lake import Lake
from learn_assets.sources.files import single_file
from learn_assets.staging import held
from learn_assets.study.subtypes import DischargeFiles, SubtypeStudy, SyntheticDischarges

_FILE, _SETTINGS = "discharges.csv", "settings.json"


def resolve_discharges(study: SubtypeStudy, lake: Lake) -> DischargeFiles:
    """Return the study's files; a synthetic one is generated once for its settings."""
    if isinstance(study.source, DischargeFiles):
        return study.source
    folder = lake.folder("source")
    with held(folder):
        if not _is_generated(folder, study.source):
            _generate(folder, study.source, lake)
    return DischargeFiles(format="rae_cmbd", files=(folder / _FILE,))


def discharges_fingerprint(study: SubtypeStudy) -> str:
    """Return a cheap sha256 over name, size and time of the files, or over synthetic settings.

    SourceError when a file is absent.
    """
    digest = hashlib.sha256()
    for part in _parts(study):
        digest.update(part.encode() + b"\0")
    return digest.hexdigest()


def _parts(study: SubtypeStudy) -> Iterator[str]:
    yield study.source.model_dump_json()
    if isinstance(study.source, DischargeFiles):
        yield from (single_file(path).fingerprint() for path in study.source.files)
    if study.descriptions.code_file is not None:
        yield single_file(study.descriptions.code_file).fingerprint()


def _is_generated(folder: Path, settings: SyntheticDischarges) -> bool:
    marker = folder / _SETTINGS
    return marker.exists() and marker.read_text(encoding="utf-8") == settings.model_dump_json()


def _generate(folder: Path, settings: SyntheticDischarges, lake: Lake) -> None:
    from learn_assets.synthetic.discharges import write_discharge_file

    # The settings come last: without them the file counts as absent.
    (folder / _SETTINGS).unlink(missing_ok=True)
    with lake.staging() as staging:
        write_discharge_file(staging / _FILE, settings)
        (staging / _SETTINGS).write_text(settings.model_dump_json(), encoding="utf-8")
        for name in (_FILE, _SETTINGS):
            (staging / name).replace(folder / name)
