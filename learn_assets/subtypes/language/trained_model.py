"""Trained model: its folder of configuration, tokenizer and safetensors, with a manifest."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokenizers import Tokenizer

from learn_assets.digests import file_digest
from learn_assets.staging import private_folder, replace_folder, staged_folder_of_ours
from learn_assets.subtypes.language.architecture import configuration_of, configured_model
from learn_assets.subtypes.language.checkpoints import load_parameters, parameters_of
from learn_assets.subtypes.language.tokens import TOKENIZER_FILE, load_tokenizer

if TYPE_CHECKING:
    from torch import nn

_CONFIGURATION, _WEIGHTS, _MANIFEST = "config.json", "model.safetensors", "manifest.json"
_FILES = (_CONFIGURATION, _WEIGHTS, TOKENIZER_FILE)


class TrainedModelError(RuntimeError):
    """A trained model is not there or was changed; says what to materialize."""


@dataclass(frozen=True)
class SavedModel:
    """A model folder: `digest` is a sha256 over its files, `settings` what was saved with it."""

    folder: Path
    digest: str
    settings: dict[str, Any]


def save_model(
    folder: Path,
    language_model: nn.Module,
    module: nn.Module,
    tokenizer: Tokenizer,
    settings: dict[str, Any],
) -> SavedModel:
    """Write a model folder in one move and return it.

    language_model: gives the configuration; module: whose parameters are written.
    """
    from safetensors.torch import save_file

    private_folder(folder.parent)
    with staged_folder_of_ours(folder.parent) as temporary:
        staged = temporary / "model"
        staged.mkdir(mode=0o700)
        content = json.dumps(configuration_of(language_model), indent=1, sort_keys=True)
        (staged / _CONFIGURATION).write_text(content, encoding="utf-8")
        save_file(parameters_of(module), staged / _WEIGHTS)
        tokenizer.save(str(staged / TOKENIZER_FILE))
        hashes = {name: file_digest(staged / name) for name in _FILES}
        manifest = json.dumps({"files": hashes, "settings": settings}, indent=1, sort_keys=True)
        (staged / _MANIFEST).write_text(manifest, encoding="utf-8")
        replace_folder(staged, folder, temporary / "retired")
    return open_model(folder)


def open_model(folder: Path) -> SavedModel:
    """Return a model folder whose files are what was written. TrainedModelError otherwise."""
    manifest = folder / _MANIFEST
    if not manifest.is_file():
        raise TrainedModelError(f"{folder} holds no trained model; materialize it first")
    content = json.loads(manifest.read_text(encoding="utf-8"))
    for name, digest in content["files"].items():
        if not (folder / name).is_file() or file_digest(folder / name) != digest:
            raise TrainedModelError(
                f"{folder}: {name} is not what was written; materialize the model again"
            )
    return SavedModel(folder, file_digest(manifest), content["settings"])


def load_language_model(saved: SavedModel) -> tuple[nn.Module, Tokenizer]:
    """Return the model for masked tokens and its tokenizer."""
    model = blank_model(saved)
    load_parameters(model, read_parameters(saved))
    return model, load_tokenizer(saved.folder)


def blank_model(saved: SavedModel) -> nn.Module:
    """Return a model of the folder's make whose parameters are still to be loaded."""
    text = (saved.folder / _CONFIGURATION).read_text(encoding="utf-8")
    return configured_model(json.loads(text))


def read_parameters(saved: SavedModel) -> dict[str, Any]:
    """Return the parameters of the folder by name, as tensors."""
    from safetensors.torch import load_file

    return dict(load_file(saved.folder / _WEIGHTS))
