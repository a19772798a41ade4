"""Sentence-transformers backend: any local folder of that library, whatever its modules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from learn_assets.embedding.backends import Observation
from learn_assets.embedding.backends.torch_runtime import (
    peak_memory,
    prepare_torch,
    token_budget,
)

if TYPE_CHECKING:
    from learn_assets.embedding.encoders import Encoder


class SentenceTransformersBackend:
    """One SentenceTransformer in this process.

    The library pads a batch to its longest text, so a vector may differ between batches in the
    last bits of its dtype.
    """

    def __init__(self, encoder: Encoder, device: str | None = None) -> None:
        """Load the model from the encoder's folder, offline."""
        place = prepare_torch(device)
        import torch
        from sentence_transformers import SentenceTransformer

        self._device = place
        self._normalize = encoder.normalized
        self._model = SentenceTransformer(
            str(encoder.folder),
            device=str(place),
            local_files_only=True,
            # True only if the study says so: see `RemoteCodeError`.
            trust_remote_code=encoder.remote_code,
            model_kwargs={"dtype": getattr(torch, encoder.dtype), "use_safetensors": True},
        )
        self._model.max_seq_length = encoder.token_limit
        self.token_budget = token_budget(place)
        self.concurrency = 1

    def encode(self, texts: Sequence[str], padded_length: int) -> npt.NDArray[np.float32]:
        """Return vectors (n, d) float32; the library chooses the padding itself."""
        del padded_length
        vectors = self._model.encode(
            list(texts),
            batch_size=len(texts),
            show_progress_bar=False,
            convert_to_numpy=True,
            normalize_embeddings=self._normalize,
            prompt="",
        )
        return np.asarray(vectors, dtype=np.float32)

    def close(self) -> None:
        """Let go of the weights."""
        del self._model

    def observation(self) -> Observation:
        """Return device and peak memory."""
        return Observation(
            backend="sentence_transformers",
            device=str(self._device),
            peak_memory_bytes=peak_memory(self._device),
        )
