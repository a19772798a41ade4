"""OpenVINO backend: the fastest way on a CPU; the model is converted when it is opened."""

from __future__ import annotations

import queue
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from learn_assets.embedding.backends import ModelFiles, Observation
from learn_assets.embedding.backends.torch_runtime import (
    compute_threads,
    peak_memory,
    prepare_torch,
)
from learn_assets.embedding.backends.transformers import (
    load_model,
    operations,
    padding_id,
    pool,
    tokenize_padded,
)
from learn_assets.embedding.chunking import load_tokenizer

if TYPE_CHECKING:
    import torch

LEAST_COSINE = 0.999

# Few rows a batch keep the activations in a core's cache.
_TOKEN_BUDGET = 2_048
_PROBED_LENGTHS = (8, 32, 96)
_PRECISION = {"bfloat16": "bf16", "float32": "f32"}


class UnfitModelError(RuntimeError):
    """The model cannot be converted, or the converted one gives other vectors."""


class OpenVINOBackend:
    """One transformer on this CPU, one stream a core.

    Every batch has one padded length, so a text has the same vector in any batch: bit for bit on
    the processor tried (AVX-512 with bfloat16).
    """

    def __init__(self, encoder: ModelFiles) -> None:
        """Convert the model of the encoder's folder and hold it against the original, offline.

        UnfitModelError when that fails.
        """
        device = prepare_torch("cpu")
        if encoder.pooling not in {"mean", "cls", "last_token"}:
            raise UnfitModelError(f"pooling {encoder.pooling} is not converted")
        model = load_model(encoder.folder, "float32")
        self._operations = operations(model)
        self._device = device
        self._tokenizer = load_tokenizer(encoder.folder)
        self._padding_id = padding_id(encoder.folder)
        self.token_budget = _TOKEN_BUDGET
        self.concurrency = compute_threads()
        pooled = _pooled(model, encoder.pooling, normalized=encoder.normalized)
        compiled = _compiled(pooled, encoder.dtype, self.concurrency)
        lengths = [length for length in _PROBED_LENGTHS if length <= encoder.token_limit]
        _require_equal(pooled, compiled, lengths)
        self._requests: queue.SimpleQueue[Any] = queue.SimpleQueue()
        for _ in range(self.concurrency):
            self._requests.put(compiled.create_infer_request())
        # Requests that outlive the compiled model crash the process.
        self._compiled = compiled

    def encode(self, texts: Sequence[str], padded_length: int) -> npt.NDArray[np.float32]:
        """Return vectors (n, d) float32. ValueError when a text exceeds `padded_length` tokens."""
        ids, mask = tokenize_padded(self._tokenizer, texts, padded_length, self._padding_id)
        request = self._requests.get()
        try:
            output = request.infer([ids, mask])
            # The request owns its output and overwrites it with the next batch.
            return np.array(output[0], dtype=np.float32)
        finally:
            self._requests.put(request)

    def close(self) -> None:
        """Let go of the compiled model."""
        while not self._requests.empty():
            self._requests.get()
        del self._compiled

    def observation(self) -> Observation:
        """Return device, peak memory and the cost of a token."""
        linear, attention = self._operations
        return Observation(
            backend="openvino",
            device="cpu",
            peak_memory_bytes=peak_memory(self._device),
            linear_flops=linear,
            attention_flops=attention,
        )


def _pooled(model: torch.nn.Module, pooling: str, *, normalized: bool) -> torch.nn.Module:
    import torch

    class Pooled(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
            output = self.model(input_ids=input_ids, attention_mask=attention_mask)
            vectors = pool(output.last_hidden_state, attention_mask, pooling)
            return torch.nn.functional.normalize(vectors, dim=1) if normalized else vectors

    return Pooled().eval()


def _compiled(model: torch.nn.Module, dtype: str, streams: int) -> Any:
    """Return OpenVINO's form of a torch module, ready to run."""
    # Its converter reports usage to its maker; without that package it reports nothing.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import warnings

    import openvino
    import torch

    example = torch.ones(2, _PROBED_LENGTHS[0], dtype=torch.long)
    try:
        with torch.inference_mode(), warnings.catch_warnings():
            # Tracing warns of branches on shapes; the comparison below judges the result.
            warnings.simplefilter("ignore")
            converted = openvino.convert_model(
                model, example_input={"input_ids": example, "attention_mask": example}
            )
        return openvino.Core().compile_model(
            converted,
            "CPU",
            {
                "INFERENCE_PRECISION_HINT": _PRECISION[dtype],
                "INFERENCE_NUM_THREADS": streams,
                "NUM_STREAMS": streams,
            },
        )
    except (RuntimeError, ValueError, TypeError, AttributeError) as error:
        raise UnfitModelError(f"it cannot be converted: {type(error).__name__}") from error


def _require_equal(model: torch.nn.Module, compiled: Any, lengths: Sequence[int]) -> None:
    """Raise UnfitModelError unless both forms give the same vectors, padded and not."""
    import torch

    for length in lengths:
        ids = np.random.default_rng(length).integers(5, 500, size=(3, length))
        mask = np.ones_like(ids)
        mask[1:, length - length // 4 :] = 0
        with torch.inference_mode():
            expected = model(torch.from_numpy(ids), torch.from_numpy(mask)).numpy()
        actual = compiled([ids, mask])[0]
        scale = np.linalg.norm(expected, axis=1) * np.linalg.norm(actual, axis=1)
        cosine = float(((expected * actual).sum(axis=1) / scale).min())
        if not cosine >= LEAST_COSINE:
            raise UnfitModelError(f"its vectors differ from the model's (cosine {cosine:.4f})")
