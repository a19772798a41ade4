"""Transformers backend: a plain transformer with mean, first-token or last-token pooling."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from learn_assets.embedding.backends.torch_runtime import prepare_torch, token_budget
from learn_assets.embedding.chunking import load_tokenizer
from learn_assets.embedding.encoders import Encoder

if TYPE_CHECKING:
    import torch


class TransformersBackend:
    """One transformer in this process, on the GPU if there is one, else on the CPU.

    Pooling and normalization run in float32 whatever the model's dtype. Every batch has one padded
    length, so a text has the same vector in any batch: bit for bit on the processors tried
    (AVX-512, one and two threads), elsewhere within 1e-5 (float32) or 1e-2 (bfloat16).
    """

    def __init__(self, encoder: Encoder) -> None:
        """Load weights and tokenizer from the encoder's folder, offline."""
        self._device = prepare_torch()
        import torch
        from transformers import AutoModel

        self._encoder = encoder
        self._tokenizer = load_tokenizer(encoder.folder)
        self._padding_id = _padding_id(encoder)
        model = AutoModel.from_pretrained(
            str(encoder.folder),
            dtype=getattr(torch, encoder.dtype),
            local_files_only=True,
            use_safetensors=True,
        )
        self._model = model.eval().to(self._device)
        self.token_budget = token_budget(self._device)

    def encode(self, texts: Sequence[str], padded_length: int) -> npt.NDArray[np.float32]:
        """Return vectors (n, d) float32. ValueError when a text exceeds `padded_length` tokens."""
        import torch

        ids, mask = self._tokenize(texts, padded_length)
        ids_tensor = torch.from_numpy(ids).to(self._device)
        mask_tensor = torch.from_numpy(mask).to(self._device)
        with torch.inference_mode():
            output = self._model(input_ids=ids_tensor, attention_mask=mask_tensor)
            vectors = self._pool(output.last_hidden_state.float(), mask_tensor)
            if self._encoder.normalized:
                vectors = torch.nn.functional.normalize(vectors, dim=1)
        result: npt.NDArray[np.float32] = vectors.cpu().numpy()
        return result

    def _tokenize(
        self, texts: Sequence[str], padded_length: int
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        encodings = [e.ids for e in self._tokenizer.encode_batch_fast(list(texts))]
        longest = max(map(len, encodings))
        if longest > padded_length:
            raise ValueError(f"a text of {longest} tokens does not fit {padded_length}")
        ids = np.full((len(texts), padded_length), self._padding_id, dtype=np.int64)
        mask = np.zeros_like(ids)
        for row, tokens in enumerate(encodings):
            ids[row, : len(tokens)] = tokens
            mask[row, : len(tokens)] = 1
        return ids, mask

    def _pool(self, hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        if self._encoder.pooling == "cls":
            return hidden[:, 0]
        if self._encoder.pooling == "last_token":
            rows = mask.new_tensor(range(len(mask)))
            return hidden[rows, mask.sum(dim=1) - 1]
        weights = mask.unsqueeze(-1).to(hidden.dtype)
        return (hidden * weights).sum(dim=1) / weights.sum(dim=1)


def _padding_id(encoder: Encoder) -> int:
    # Padding is masked, so its id only has to exist.
    config = json.loads((encoder.folder / "config.json").read_text(encoding="utf-8"))
    return int(config.get("pad_token_id") or 0)
