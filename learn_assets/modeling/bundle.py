"""Bundle: final models as a folder another site can score with, verified by sha256.

What belongs here: writing, reading and applying a bundle. It holds names of features and numbers
learned from many patients; a model that keeps training rows is left out unless it stays at home.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import polars as pl

from learn_assets import __version__
from learn_assets.digests import file_digest
from learn_assets.modeling.arrays import read_json, write_json
from learn_assets.modeling.case_mix import CaseMixVariable
from learn_assets.modeling.cross_validation import FittedModel, predict
from learn_assets.modeling.features import STACKING, EncoderIdentity, FeatureBlocks
from learn_assets.modeling.learners import load_model
from learn_assets.modeling.preprocessing import FittedPreprocessing
from learn_assets.modeling.stacking import StackedModel
from learn_assets.modeling.threads import single_thread
from learn_assets.schemas.registry import empty_frame
from learn_assets.staging import replace_folder, staged_folder_of_ours

FORMAT_VERSION = 3
Scope = Literal["site", "transfer"]

_MANIFEST = "manifest.json"
_PREPROCESSING = "preprocessing"
_MODELS = "models"
_PARTS = {_MANIFEST, _PREPROCESSING, _MODELS}
_PACKAGES = ("numpy", "scikit-learn", "torch", "xgboost", "xgboost-cpu")
_REQUIRED = (
    "version", "study", "window", "encoder", "options", "models", "warnings", "case_mix",
    "files",
)  # fmt: skip
# A name becomes a folder, so it must not lead out of the bundle.
_PLAIN_NAME = re.compile(r"^[a-z][a-z0-9_]*$")


class BundleError(ValueError):
    """A bundle is incomplete, altered or does not fit the data; the message says which."""


@dataclass(frozen=True)
class Provenance:
    """Where a bundle comes from: study, cell, encoder, and choices a scoring site must repeat.

    version: of learn_assets, which decides how records become features. extract: fingerprint of
    the whole table `patient`, None when not known; it tells of no single patient.
    """

    study: str
    window: str
    encoder: EncoderIdentity
    options: dict[str, Any] = field(default_factory=dict)
    version: str = __version__
    extract: str | None = None


@dataclass(frozen=True)
class TrainedModels:
    """Final models of one cell on all labeled patients; no models when there were too few.

    case_mix: means and spreads of the training patients, for comparison with another site's.
    """

    provenance: Provenance
    preprocessing: FittedPreprocessing | None
    models: tuple[FittedModel, ...]
    warnings: tuple[str, ...] = ()
    case_mix: tuple[CaseMixVariable, ...] = ()


@dataclass(frozen=True)
class BundleSummary:
    """What was written: the sha256 of the manifest, the models in it and those left out."""

    digest: str
    models: tuple[str, ...]
    left_out: tuple[str, ...]


def write_bundle(trained: TrainedModels, folder: Path, *, scope: Scope) -> BundleSummary:
    """Write a bundle to `folder`, whole or not at all; a bundle that is there is replaced.

    scope `transfer` leaves out models that carry patient rows (the support vectors of an SVM);
    `site` keeps them, and such a folder must not leave the site. Equal models give equal bytes.
    A damaged bundle is replaced too. BundleError when `folder` holds anything else; that is left as
    it is.
    """
    if folder.exists() and not _is_bundle(folder):
        raise BundleError(f"{folder} is there and is not a model bundle; name another folder")
    kept = [item for item in trained.models if scope == "site" or _portable(item)]
    left_out = tuple(_label(item) for item in trained.models if item not in kept)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with staged_folder_of_ours(folder.parent) as temporary:
        staged = temporary / "new"
        staged.mkdir(mode=0o700)
        if trained.preprocessing is not None:
            trained.preprocessing.save(staged / _PREPROCESSING)
        for item in kept:
            item.model.save(staged / _model_path(item))
        write_json(staged / _MANIFEST, _manifest(trained, kept, left_out, scope, staged))
        digest = file_digest(staged / _MANIFEST)
        replace_folder(staged, folder, temporary / "old")
    return BundleSummary(digest, tuple(_label(item) for item in kept), left_out)


def _is_bundle(folder: Path) -> bool:
    """Return whether a folder holds a bundle, whole or damaged."""
    whole = (folder / _MANIFEST).is_file()
    return whole or {path.name for path in folder.iterdir()} <= _PARTS


def read_bundle(folder: Path, *, digest: str | None = None) -> TrainedModels:
    """Read a bundle after checking every file.

    BundleError when the manifest is not the expected one (`digest`), cannot be read, lacks a part
    or is of another format, and when a file is missing, altered, linked or not listed.
    """
    manifest = _verified_manifest(folder, digest)
    has_preprocessing = (folder / _PREPROCESSING).is_dir()
    if manifest["models"] and not has_preprocessing:
        raise BundleError(f"{folder.name}: models without their {_PREPROCESSING}; ask for a copy")
    return TrainedModels(
        provenance=Provenance(
            study=manifest["study"],
            window=manifest["window"],
            encoder=EncoderIdentity(**manifest["encoder"]),
            options=manifest["options"],
            version=manifest["version"],
            extract=manifest.get("extract"),
        ),
        preprocessing=FittedPreprocessing.load(folder / _PREPROCESSING)
        if has_preprocessing
        else None,
        models=tuple(_read_model(folder, entry) for entry in manifest["models"]),
        warnings=tuple(manifest["warnings"]),
        case_mix=tuple(CaseMixVariable(**entry) for entry in manifest["case_mix"]),
    )


def bundle_digest(folder: Path) -> str:
    """Return the sha256 of a bundle's manifest, by which it is announced.

    BundleError when there is no manifest.
    """
    if not (folder / _MANIFEST).is_file():
        raise BundleError(f"{folder.name}: no {_MANIFEST}; this is not a model bundle")
    return file_digest(folder / _MANIFEST)


def holds_models_of(whole: Path, part: Path) -> bool:
    """Return whether a bundle holds every file of another with the same bytes.

    So a site bundle is known to be what a transfer bundle was made from. Reads manifests alone;
    BundleError when one of them cannot be read.
    """
    wanted, there = _manifest_of(part)["files"], _manifest_of(whole)["files"]
    return bool(wanted) and bool(wanted.items() <= there.items())


def score(trained: TrainedModels, blocks: FeatureBlocks) -> pl.DataFrame:
    """Return the probability of being a case for every patient and model.

    Columns: those of the table `risk_scores`, without `basis`.

    Unknown features are dropped and absent ones filled as in training. BundleError when the vectors
    come from another encoder or revision than the models were trained on.
    """
    empty = empty_frame("risk_scores").drop("basis")
    if trained.preprocessing is None or not trained.models or not len(blocks):
        return empty
    _assert_same_encoder(trained.provenance.encoder, blocks)
    matrix = trained.preprocessing.transform(blocks)
    patient_ids = blocks.patient_ids.tolist()
    with single_thread():
        pieces = [
            pl.DataFrame(
                {
                    "patient_id": patient_ids,
                    "feature_set": [item.feature_set] * len(patient_ids),
                    "learner": [item.learner] * len(patient_ids),
                    "probability": predict(item, matrix, trained.preprocessing),
                },
                schema=empty.schema,
            )
            for item in trained.models
        ]
    return pl.concat(pieces)


def _verified_manifest(folder: Path, digest: str | None) -> dict[str, Any]:
    if digest is not None and bundle_digest(folder) != digest:
        raise BundleError(f"{_MANIFEST}: not the manifest that was announced; ask for a new copy")
    manifest = _manifest_of(folder)
    _verify_files(folder, manifest["files"])
    return manifest


def _manifest_of(folder: Path) -> dict[str, Any]:
    bundle_digest(folder)
    try:
        manifest = read_json(folder / _MANIFEST)
    except (UnicodeDecodeError, json.JSONDecodeError, ValueError) as error:
        raise BundleError(f"{_MANIFEST}: not readable as JSON; ask for a new copy") from error
    if manifest.get("format_version") != FORMAT_VERSION:
        raise BundleError(
            f"{_MANIFEST}: format_version {manifest.get('format_version')}, this version of "
            f"learn_assets reads {FORMAT_VERSION}"
        )
    absent = [name for name in _REQUIRED if name not in manifest]
    if absent:
        raise BundleError(f"{_MANIFEST}: lacks {absent}; ask for a new copy")
    return manifest


def _assert_same_encoder(wanted: EncoderIdentity, blocks: FeatureBlocks) -> None:
    if blocks.embeddings and blocks.encoder is not None and blocks.encoder != wanted:
        raise BundleError(
            f"the models were trained on vectors of {wanted.id} revision {wanted.revision}, these "
            f"come from {blocks.encoder.id} revision {blocks.encoder.revision}; embed again"
        )


def _portable(item: FittedModel) -> bool:
    return not item.model.carries_patient_rows


def _label(item: FittedModel) -> str:
    return f"{item.feature_set}/{item.learner}"


def _model_path(item: FittedModel) -> PurePosixPath:
    return PurePosixPath(_MODELS) / item.feature_set / item.learner


def _manifest(
    trained: TrainedModels,
    kept: list[FittedModel],
    left_out: tuple[str, ...],
    scope: Scope,
    staged: Path,
) -> dict[str, object]:
    return {
        "format_version": FORMAT_VERSION,
        "scope": scope,
        "carries_patient_rows": any(not _portable(item) for item in kept),
        "version": trained.provenance.version,
        "study": trained.provenance.study,
        "window": trained.provenance.window,
        "encoder": asdict(trained.provenance.encoder),
        "options": trained.provenance.options,
        "extract": trained.provenance.extract,
        "label": "1 = case",
        "models": [{"feature_set": item.feature_set, "learner": item.learner} for item in kept],
        "left_out": list(left_out),
        "warnings": list(trained.warnings),
        "case_mix": [asdict(variable) for variable in trained.case_mix],
        "packages": {name: _installed(name) for name in _PACKAGES},
        "files": {name: file_digest(staged / name) for name in _file_names(staged)},
    }


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _read_model(folder: Path, entry: dict[str, Any]) -> FittedModel:
    unsafe = [name for name in entry.values() if not _PLAIN_NAME.match(str(name))]
    if unsafe:
        raise BundleError(f"{_MANIFEST}: {len(unsafe)} names of models are not plain names")
    place = folder / "models" / entry["feature_set"] / entry["learner"]
    stacked = entry["feature_set"] == STACKING
    model = StackedModel.load(place) if stacked else load_model(entry["learner"], place)
    return FittedModel(entry["feature_set"], entry["learner"], model)


def _verify_files(folder: Path, listed: dict[str, str]) -> None:
    links = [path.name for path in folder.rglob("*") if path.is_symlink()]
    if links:
        raise BundleError(f"a bundle holds plain files only; links: {sorted(links)}")
    present = [name for name in _file_names(folder) if name != _MANIFEST]
    missing = sorted(set(listed) - set(present))
    unlisted = sorted(set(present) - set(listed))
    if missing or unlisted:
        raise BundleError(f"bundle files missing: {missing}; not in the manifest: {unlisted}")
    altered = [name for name in present if file_digest(folder / name) != listed[name]]
    if altered:
        raise BundleError(f"altered since the bundle was written (sha256 differs): {altered}")


def _file_names(folder: Path) -> list[str]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return [path.relative_to(folder).as_posix() for path in paths]
