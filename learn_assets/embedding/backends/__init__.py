"""Backends: what runs an encoder. One protocol; a module of this package for each way to run it."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from learn_assets.embedding.encoders import Encoder

# Converting a model holds its weights twice in memory.
_LARGEST_CONVERTED_BYTES = 4_000_000_000

_log = logging.getLogger(__name__)


class ModelFiles(Protocol):
    """What a backend in this process has to know of an encoder."""

    @property
    def folder(self) -> Path:
        """Configuration, tokenizer and weights."""
        ...

    @property
    def dtype(self) -> str:
        """`float32` or `bfloat16`, what the weights are computed in."""
        ...

    @property
    def pooling(self) -> str:
        """`mean`, `cls`, `last_token`, or `modules` when only sentence-transformers knows."""
        ...

    @property
    def normalized(self) -> bool:
        """Whether vectors have length 1."""
        ...

    @property
    def token_limit(self) -> int:
        """Tokens of the longest text, special ones included."""
        ...


class Backend(Protocol):
    """Turns texts into vectors.

    `token_budget` is how many padded tokens a batch may hold where it runs, `concurrency` how many
    threads may call `encode` at once with profit.
    """

    @property
    def token_budget(self) -> int:
        """Padded tokens a batch."""
        ...

    @property
    def concurrency(self) -> int:
        """Calls of `encode` at once."""
        ...

    def encode(self, texts: Sequence[str], padded_length: int) -> npt.NDArray[np.float32]:
        """Return vectors (n, d) float32 of texts that each fit `padded_length` tokens.

        Texts hold their prompt already. RuntimeError that says "out of memory" asks for less.
        """
        ...

    def close(self) -> None:
        """Give back what the backend holds; it encodes no more."""
        ...


@dataclass(frozen=True)
class Observation:
    """What a backend says of itself after some work.

    `linear_flops` are the floating-point operations of a token, `attention_flops` those of a token
    for each token it attends to; `peak_flops` a second is the dense rate the maker states for the
    dtype. None where it is not known.
    """

    backend: str
    device: str
    peak_memory_bytes: int | None = None
    linear_flops: float | None = None
    attention_flops: float | None = None
    peak_flops: float | None = None


@runtime_checkable
class Observed(Protocol):
    """A backend that can be observed."""

    def observation(self) -> Observation:
        """Return device, peak memory and the cost of a token."""
        ...


def open_backend(encoder: Encoder, *, device: str | None = None) -> Backend:
    """Load an encoder on this machine in the fastest way that keeps its vectors.

    `device` as torch spells it; none: every GPU that this process sees, one replica each, else the
    CPU. A GPU: transformers. A CPU: OpenVINO when it is installed, the model is not too large to
    convert and the converted one agrees with the original (cosine of 0.999 or more), else
    transformers. Models with further modules (a dense layer, say): sentence-transformers.
    """
    if encoder.pooling == "modules":
        return open_sentence_transformers(encoder, device=device)
    return _openvino(encoder, device) or open_transformers(encoder, device=device)


def open_transformers(encoder: Encoder, *, device: str | None = None) -> Backend:
    """Load an encoder with transformers; `device` as for `open_backend`."""
    from learn_assets.embedding.backends.transformers import TransformersBackend

    return _on_devices(encoder, device, TransformersBackend)


def open_sentence_transformers(encoder: Encoder, *, device: str | None = None) -> Backend:
    """Load an encoder with sentence-transformers; `device` as for `open_backend`."""
    from learn_assets.embedding.backends.sentence_transformers import SentenceTransformersBackend

    return _on_devices(encoder, device, SentenceTransformersBackend)


def open_openvino(encoder: Encoder) -> Backend:
    """Load an encoder with OpenVINO or not at all: ImportError or UnfitModelError say why."""
    if importlib.util.find_spec("openvino") is None:
        raise ImportError(
            "backend `openvino` is not installed: pip install 'learn-assets[openvino]', or write "
            "`backend: auto`"
        )
    from learn_assets.embedding.backends.openvino import OpenVINOBackend

    return OpenVINOBackend(encoder)


def _on_devices(
    encoder: Encoder, device: str | None, open_one: Callable[[Encoder, str | None], Backend]
) -> Backend:
    """Open one backend, or one a GPU when no device is named and there are several."""
    from learn_assets.embedding.backends.replicas import open_replicas
    from learn_assets.embedding.backends.torch_runtime import gpu_devices

    devices = gpu_devices() if device is None else ()
    if len(devices) > 1:
        return open_replicas(encoder, devices, open_one)
    return open_one(encoder, device)


def _openvino(encoder: Encoder, device: str | None) -> Backend | None:
    """Return the OpenVINO backend, or None where it cannot or should not run."""
    from learn_assets.embedding.backends.torch_runtime import prepare_torch

    weights = sum(file.stat().st_size for file in encoder.folder.glob("*.safetensors"))
    installed = importlib.util.find_spec("openvino") is not None
    if not installed or weights > _LARGEST_CONVERTED_BYTES or prepare_torch(device).type != "cpu":
        return None
    from learn_assets.embedding.backends.openvino import OpenVINOBackend, UnfitModelError

    try:
        return OpenVINOBackend(encoder)
    except UnfitModelError as error:
        _log.info("encoder %s does not run on OpenVINO (%s); torch is used", encoder.id, error)
        return None
