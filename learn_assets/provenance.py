"""Provenance: what each step was made from and what it made, so only what changed is made again.

What belongs here: the input fingerprint of each stage, the marks that steps leave when they have
finished, and the verdicts of checks. Everything is compared by content, never by time.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from learn_assets import __version__
from learn_assets.code_closure import code_digest
from learn_assets.digests import digest_of, file_digest
from learn_assets.embedding.cell import POPULATIONS, texts_table
from learn_assets.embedding.encoders import EncoderUnavailableError, find_encoder
from learn_assets.lake import Lake
from learn_assets.modeling.champion import ChampionError, champion_digest
from learn_assets.schemas.registry import (
    RISK_MODELS,
    SENSITIVITY,
    SUBTYPE_TABLES,
    TABLES,
    TRANSFER,
    analyses_of,
)
from learn_assets.sources.rrf import RRF_TABLES
from learn_assets.staging import write_atomically
from learn_assets.study import EncoderChoice, ExternalModel, Study
from learn_assets.study.backends import SERVER_TRANSPORT
from learn_assets.study.windows import Window
from learn_assets.warehouse import project_fingerprint

# The vectors have no fixed width, so their check is not a contract of the registry.
_CHECKED = frozenset((*TABLES, *SUBTYPE_TABLES, "patient_embeddings"))
_BUNDLES = ("trained_models", "model_bundle")
# Assets that are several tables.
PARTS = {"rxnorm_release": tuple(spec.table for spec in RRF_TABLES)}
_ABSENT = "absent"
# Not a table: the page of a study and its numbers.
_REPORT = "study_report"
_REPORT_FILES = ("study_report.html", "study.json")

WINDOW_TABLES = (
    "index_events",
    "exclusion_events",
    "cohort_feature",
    "int_event_counts",
    "int_latest_measurement",
    "int_record_totals",
)
CELL_TABLES = (
    "narratives",
    "concept_mentions",
    "code_list",
    "cohort",
    "scoring_population",
    "event_counts",
    "latest_measurement",
    "index_events",
    "severe_outcome_follow_up",
    "charlson_index",
    "genetic_score",
    "patient",
    "code_description",
    "packaged_description",
    "terminology",
)
SENSITIVITY_TABLES = ("outcome_confirmation", "care_site")

# The modules that make the tables of a stage; `code_closure` finds what they run through. SQL
# enters by the hash of the dbt project, and a study by its choices.
DATA_CODE = tuple(
    f"defs.{module}" for module in ("ingest", "validated", "vocabulary", "quality", "sql")
)
WINDOW_CODE = ("defs.sql",)
EMBEDDING_CODE = ("defs.embeddings",)
CELL_CODE = tuple(
    f"defs.{module}"
    for module in (
        "embeddings", "models", "scores", "evaluation", "comparisons",
    )
) + analyses_of(RISK_MODELS)  # fmt: skip
SENSITIVITY_CODE = analyses_of(SENSITIVITY)
TRANSFER_CODE = analyses_of(TRANSFER)


class Mark(BaseModel):
    """What a finished step leaves: its inputs, and the tables it read and wrote by fingerprint."""

    model_config = ConfigDict(frozen=True)

    version: str
    inputs: str
    reads: dict[str, str]
    writes: dict[str, str]


def data_inputs(study: Study, source_fingerprint: str) -> str:
    """Return the fingerprint of all that the unpartitioned tables depend on."""
    rules: list[BaseModel] = [study.source, study.cohort, study.narratives, study.vocabulary]
    rules += [study.quality, study.privacy, study.dates]
    accepted = sorted(f"{name} {share}" for name, share in study.accepted_loss.items())
    lists = [entry for name in sorted(study.code_lists) for entry in study.code_lists[name]]
    return digest_of(
        [
            source_fingerprint,
            project_fingerprint(),
            code_digest(*DATA_CODE),
            _counting(study),
            *_texts(rules),
            *sorted(study.code_lists),
            *_texts(lists),
            *accepted,
        ]
    )


def window_inputs(study: Study, lake: Lake, window: Window) -> str:
    """Return the fingerprint of all that one window's tables depend on."""
    rules = [study.cohort.model_dump_json(), _counting(study)]
    tables = fingerprints(lake, WINDOW_TABLES)
    code = code_digest(*WINDOW_CODE)
    return digest_of([window.key, project_fingerprint(), code, *rules, *tables.values()])


def cell_inputs(study: Study, lake: Lake, window: Window, encoder: EncoderChoice) -> str:
    """Return the fingerprint of all that one cell's embeddings and models depend on."""
    rules = [
        _chosen(encoder),
        # More cross-validations leave the models as they are.
        study.models.model_dump_json(exclude={"repeats"}),
        *_texts([study.survival, study.counts, study.privacy, study.champion]),
        study.evaluation.model_dump_json(),
    ]
    tables = fingerprints(lake, CELL_TABLES, window)
    return digest_of(
        [window.key, encoder_revision(encoder), code_digest(*CELL_CODE), *rules, *tables.values()]
    )


def sensitivity_inputs(study: Study, lake: Lake, window: Window, encoder: EncoderChoice) -> str:
    """Return the fingerprint of all that the sensitivity analyses of a cell depend on."""
    asked = [str(study.models.repeats), study.sensitivity.model_dump_json()]
    # Whether there is anything to choose from decides whether a choice is prepared.
    choice = str(len(study.windows) * len(study.encoders) > 1)
    tables = fingerprints(lake, SENSITIVITY_TABLES, window)
    code = code_digest(*SENSITIVITY_CODE)
    cell = cell_inputs(study, lake, window, encoder)
    return digest_of([cell, code, *asked, choice, *tables.values()])


def embedding_tables(encoder: EncoderChoice) -> tuple[str, ...]:
    """Return the tables that the embeddings of a cell are made from."""
    return (texts_table(encoder), *POPULATIONS)


def embedding_inputs(study: Study, lake: Lake, window: Window, encoder: EncoderChoice) -> str:
    """Return the fingerprint of all that one cell's embeddings depend on: no choice of models."""
    tables = fingerprints(lake, embedding_tables(encoder), window)
    return digest_of(
        [
            window.key,
            encoder_revision(encoder),
            code_digest(*EMBEDDING_CODE),
            _chosen(encoder),
            str(study.models.include_medication),
            *tables.values(),
        ]
    )


def transfer_inputs(study: Study, lake: Lake, window: Window, encoder: EncoderChoice) -> str:
    """Return the fingerprint of all that the evaluation of external models in a cell depends on."""
    models = [*_texts(study.external_models), *(_manifest_hash(m) for m in study.external_models)]
    code = code_digest(*TRANSFER_CODE)
    return digest_of([cell_inputs(study, lake, window, encoder), code, *models])


def fingerprints(
    lake: Lake,
    assets: Iterable[str],
    window: Window | str | None = None,
    encoder: EncoderChoice | None = None,
) -> dict[str, str]:
    """Return the content fingerprint of each asset; one that is not in the lake is `absent`.

    Each is looked for in the cell, then in the window, then among the unpartitioned tables.
    """
    return {asset: _fingerprint(lake, asset, window, encoder) for asset in assets}


def mark(
    lake: Lake,
    step: str,
    inputs: str,
    window: Window | str | None = None,
    encoder: EncoderChoice | None = None,
    *,
    reads: dict[str, str],
    writes: Iterable[str],
) -> None:
    """Record, atomically, that a step has made `writes` from these inputs.

    reads: `fingerprints` of what the step reads, taken before it began.
    """
    written = fingerprints(lake, writes, window, encoder)
    content = Mark(version=__version__, inputs=inputs, reads=reads, writes=written)
    write_atomically(_path(lake, step, window, encoder), json.dumps(content.model_dump(), indent=1))


def record_verdict(
    lake: Lake,
    table: str,
    fingerprint: str,
    window: Window | str | None = None,
    encoder_id: str | None = None,
    *,
    passed: bool,
) -> None:
    """Record, atomically, what a check said of a table with this fingerprint."""
    path = lake.folder("provenance", window, encoder_id) / f"contract.{table}.json"
    write_atomically(path, json.dumps({"fingerprint": fingerprint, "passed": passed}, indent=1))


def refused(
    lake: Lake, tables: Iterable[str], window: Window | str | None = None
) -> tuple[str, ...]:
    """Return the tables that stand in the lake although they failed a check, sorted."""
    found = fingerprints(lake, tables, window)
    places = {None, window}
    return tuple(
        table
        for table in sorted(found)
        if any(_verdict(lake, table, found[table], place) is False for place in places)
    )


def is_current(
    lake: Lake,
    steps: Iterable[str],
    inputs: str,
    window: Window | str | None = None,
    encoder: EncoderChoice | None = None,
) -> bool:
    """Return whether every step was finished from these inputs, and nothing has changed since.

    What a step read and wrote must be in the lake as it was then, and each table with a contract
    that a step wrote must have passed it.
    """
    return all(_step_is_current(lake, step, inputs, window, encoder) for step in steps)


def _step_is_current(
    lake: Lake,
    step: str,
    inputs: str,
    window: Window | str | None,
    encoder: EncoderChoice | None,
) -> bool:
    path = _path(lake, step, window, encoder)
    if not path.exists():
        return False
    found = Mark.model_validate_json(path.read_text(encoding="utf-8"))
    touched = {**found.reads, **found.writes}
    if (found.version, found.inputs) != (__version__, inputs) or _ABSENT in found.writes.values():
        return False
    if fingerprints(lake, touched, window, encoder) != touched:
        return False
    return all(
        _verdict(lake, table, fingerprint, window, encoder) is True
        for table, fingerprint in found.writes.items()
        if table in _CHECKED
    )


def _verdict(
    lake: Lake,
    table: str,
    fingerprint: str,
    window: Window | str | None,
    encoder: EncoderChoice | None = None,
) -> bool | None:
    """Return what was said of a table with this content, None when nothing was."""
    path = _path(lake, f"contract.{table}", window, encoder)
    if not path.exists():
        return None
    found = json.loads(path.read_text(encoding="utf-8"))
    return bool(found["passed"]) if found["fingerprint"] == fingerprint else None


def _fingerprint(
    lake: Lake, asset: str, window: Window | str | None, encoder: EncoderChoice | None
) -> str:
    if asset in PARTS:
        return digest_of(fingerprints(lake, PARTS[asset]).values())
    if asset in _BUNDLES:
        manifest = lake.folder(asset, window, encoder.id if encoder else None)
        manifest = manifest / "bundle" / "manifest.json"
        return file_digest(manifest) if manifest.exists() else _ABSENT
    if asset == "champion":
        return _champion(lake.folder(asset, window, encoder.id if encoder else None))
    if asset == _REPORT:
        return _files_hash([lake.folder("report") / name for name in _REPORT_FILES])
    places = [(window, encoder.id if encoder else None), (window, None), (None, None)]
    stamps = (lake.stamp(asset, *place) for place in places)
    return next((stamp.fingerprint for stamp in stamps if stamp), _ABSENT)


def _champion(folder: Path) -> str:
    # An altered history is that step's error to explain, not that of a look.
    try:
        return champion_digest(folder) or _ABSENT
    except ChampionError:
        return _ABSENT


def _files_hash(paths: list[Path]) -> str:
    if not all(path.is_file() for path in paths):
        return _ABSENT
    return digest_of(file_digest(path) for path in paths)


def _manifest_hash(model: ExternalModel) -> str:
    manifest = model.path / "manifest.json"
    return file_digest(manifest) if manifest.is_file() else _ABSENT


def _counting(study: Study) -> str:
    # How many patients a feature needs is asked at training; the tables hold every feature.
    return study.counts.model_dump_json(exclude={"minimum_patients"})


def _chosen(encoder: EncoderChoice) -> str:
    # Where an encoder runs may change without making its vectors stale.
    return encoder.model_dump_json(exclude={"ray": True, "server": set(SERVER_TRANSPORT)})


def encoder_revision(encoder: EncoderChoice) -> str:
    """Return the revision of an encoder's files, `absent` when they are not here."""
    # A model that is not here yet is the embedding step's error to explain, not that of a look.
    try:
        return find_encoder(encoder).revision
    except EncoderUnavailableError:
        return _ABSENT


def _path(
    lake: Lake, name: str, window: Window | str | None, encoder: EncoderChoice | None
) -> Path:
    return lake.folder("provenance", window, encoder.id if encoder else None) / f"{name}.json"


def _texts(sections: Iterable[BaseModel]) -> list[str]:
    return [section.model_dump_json() for section in sections]
