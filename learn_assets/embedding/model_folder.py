"""Model folder: what the files of a sentence-transformers or transformers model say about it.

What belongs here: reading JSON configuration and hashing weights, without importing torch. Which
encoders exist and how they are chosen lives in `encoders.py`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from learn_assets.digests import file_digest

Pooling = Literal["mean", "cls", "last_token", "modules"]

_REVISION_LENGTH = 16
_POOLING_NAMES: dict[str, Pooling] = {"mean": "mean", "cls": "cls", "lasttoken": "last_token"}
# What decides a vector besides the weights: a changed tokenizer is another encoder.
_CONFIGURATION_FILES = (
    "config.json",
    "modules.json",
    "sentence_bert_config.json",
    "tokenizer.json",
    "*_Pooling/config.json",
    # Code of the model's own decides its vectors too.
    "*.py",
)


class ModelFolderError(ValueError):
    """A model folder lacks a file or holds something that cannot be used; says the remedy."""


@dataclass(frozen=True)
class ModelFolder:
    """What a model folder declares.

    `pooling` is `modules` when only sentence-transformers' own modules can reproduce the model.
    `token_limit` counts every token the model sees, special ones included. `remote_code` says that
    the model names Python code of its own.
    """

    path: Path
    dimension: int
    token_limit: int
    pooling: Pooling
    normalized: bool
    weights_dtype: str
    remote_code: bool


def read_model_folder(path: Path, *, weights: bool = True) -> ModelFolder:
    """Read a model's configuration files. ModelFolderError names what is missing and where.

    Without `weights`, those may be absent: a server has its own.
    """
    config = _read_object(path / "config.json")
    _tokenizer_file(path)
    if weights:
        _weight_files(path)
    modules = _module_types(path)
    transformer = _read_object(path / "sentence_bert_config.json", optional=True)
    pooling, normalized = _pooling(path, modules, transformer)
    return ModelFolder(
        path=path,
        dimension=_dimension(path, modules, config),
        token_limit=_token_limit(path, config, transformer),
        pooling=pooling,
        normalized=normalized,
        weights_dtype=str(config.get("dtype") or config.get("torch_dtype") or "float32"),
        remote_code="AutoModel" in config.get("auto_map", {}),
    )


def revision_of(path: Path) -> str:
    """Return a short sha256 over weights, tokenizer and configuration of a model folder.

    Hashing is cached within the process as long as no file changes size or time.
    """
    return _digest_of(path, [*_weight_files(path), *_configuration_files(path)])


def configuration_of(path: Path) -> str:
    """Return a short sha256 over tokenizer and configuration of a model folder, weights aside."""
    return _digest_of(path, _configuration_files(path))


def _configuration_files(path: Path) -> list[Path]:
    return [file for pattern in _CONFIGURATION_FILES for file in path.glob(pattern)]


def _digest_of(path: Path, files: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for file in sorted(set(files)):
        status = file.stat()
        digest.update(file.relative_to(path).as_posix().encode())
        digest.update(_file_digest(file, status.st_size, status.st_mtime_ns))
    return digest.hexdigest()[:_REVISION_LENGTH]


@lru_cache(maxsize=256)
def _file_digest(file: Path, size: int, modified: int) -> bytes:
    # Size and time are part of the cache key alone.
    del size, modified
    return bytes.fromhex(file_digest(file))


def _tokenizer_file(path: Path) -> Path:
    file = path / "tokenizer.json"
    if not file.exists():
        raise ModelFolderError(
            f"{path}: no tokenizer.json; save the model's fast tokenizer there "
            "(AutoTokenizer.from_pretrained(...).save_pretrained(folder))"
        )
    return file


def _weight_files(path: Path) -> tuple[Path, ...]:
    files = tuple(sorted(path.rglob("*.safetensors")))
    if not files:
        raise ModelFolderError(
            f"{path}: no *.safetensors weights; pickled weights are not read, save the model with "
            "safetensors and place the files there"
        )
    index = _read_object(path / "model.safetensors.index.json", optional=True)
    absent = {name for name in index.get("weight_map", {}).values() if not (path / name).exists()}
    if absent:
        raise ModelFolderError(
            f"{path}: {len(absent)} of the weight files named in model.safetensors.index.json are "
            f"not there, {min(absent)} first; download or copy the model again"
        )
    return files


def _module_types(path: Path) -> tuple[tuple[str, str], ...]:
    """Return (class name, subfolder) of each sentence-transformers module, in order."""
    file = path / "modules.json"
    if not file.exists():
        return ()
    modules = json.loads(file.read_text(encoding="utf-8"))
    return tuple((str(item["type"]).rsplit(".", 1)[-1], str(item["path"])) for item in modules)


def _pooling(
    path: Path, modules: tuple[tuple[str, str], ...], transformer: dict[str, Any]
) -> tuple[Pooling, bool]:
    if not modules:
        return "mean", True
    names = [name for name, _ in modules]
    normalized = names[-1] == "Normalize"
    plain = names[:2] == ["Transformer", "Pooling"] and names[2:] in ([], ["Normalize"])
    if not plain or modules[0][1] or transformer.get("do_lower_case"):
        return "modules", normalized
    mode = _pooling_mode(_read_object(path / modules[1][1] / "config.json"))
    return _POOLING_NAMES.get(mode, "modules"), normalized


def _pooling_mode(config: dict[str, Any]) -> str:
    if isinstance(named := config.get("pooling_mode"), str):
        return named
    if config.get("include_prompt") is False:
        return "without prompt"
    active = [
        key.removeprefix("pooling_mode_").removesuffix("_tokens").removesuffix("_token")
        for key, value in config.items()
        if key.startswith("pooling_mode_") and value is True
    ]
    return active[0] if len(active) == 1 else "several"


def _dimension(path: Path, modules: tuple[tuple[str, str], ...], config: dict[str, Any]) -> int:
    for name, folder in reversed(modules):
        declared = _read_object(path / folder / "config.json", optional=True) if folder else {}
        if name == "Dense":
            return int(declared["out_features"])
        if name == "Pooling":
            size = declared.get("embedding_dimension") or declared.get("word_embedding_dimension")
            if size and _pooling_mode(declared) != "several":
                return int(size)
    if "hidden_size" not in config:
        raise ModelFolderError(f"{path / 'config.json'}: no `hidden_size`, so no dimension")
    return int(config["hidden_size"])


def _token_limit(path: Path, config: dict[str, Any], transformer: dict[str, Any]) -> int:
    tokenizer = _read_object(path / "tokenizer_config.json", optional=True)
    candidates = [
        transformer.get("max_seq_length"),
        config.get("max_position_embeddings"),
        tokenizer.get("model_max_length"),
    ]
    limits = [int(value) for value in candidates if value]
    if not limits:
        raise ModelFolderError(
            f"{path}: no token limit; write sentence_bert_config.json with `max_seq_length`"
        )
    return min(limits)


def _read_object(file: Path, *, optional: bool = False) -> dict[str, Any]:
    if not file.exists():
        if optional:
            return {}
        raise ModelFolderError(
            f"{file} does not exist; place a whole sentence-transformers or transformers model "
            "(config.json, tokenizer.json, *.safetensors) in that folder"
        )
    content = json.loads(file.read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        raise ModelFolderError(f"{file}: expected a JSON object")
    return content
