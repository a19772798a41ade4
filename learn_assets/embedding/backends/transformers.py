"""Transformers backend: a plain transformer with mean, first-token or last-token pooling."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from learn_assets.embedding.backends import ModelFiles, Observation
from learn_assets.embedding.backends.torch_runtime import (
    peak_flops,
    peak_memory,
    prepare_torch,
    token_budget,
)
from learn_assets.embedding.chunking import load_tokenizer

if TYPE_CHECKING:
    import torch

_PROBED_TOKENS = 16


class TorchEncoder:
    """One transformer in this process, given as a torch module that is where it shall run.

    Pooling and normalization run in float32 whatever the model's dtype. Every batch has one padded
    length, so a text has the same vector in any batch: bit for bit on the processors tried
    (AVX-512, one and two threads), elsewhere within 1e-5 (float32) or 1e-2 (bfloat16).
    """

    def __init__(
        self,
        model: torch.nn.Module,
        tokenizer: Tokenizer,
        *,
        pooling: str,
        normalized: bool,
        padding_id: int = 0,
        token_budget: int,
    ) -> None:
        """Hold a model in evaluation mode; texts are padded on the right with `padding_id`."""
        self._model = model.eval()
        self._tokenizer = tokenizer
        self._pooling = pooling
        self._normalized = normalized
        self._padding_id = padding_id
        self._device = next(model.parameters()).device
        self._on_gpu = self._device.type == "cuda"
        self._turn = threading.Lock()
        causal = _is_causal(model)
        # A causal model never looks at the padding behind a text, and attends faster unmasked.
        self._masked = not (self._on_gpu and pooling == "last_token" and causal)
        self._operations = operations(model, causal=causal)
        self.token_budget = token_budget
        # While one batch computes, another is tokenized and queued behind it.
        self.concurrency = 2 if self._on_gpu else 1

    def encode(self, texts: Sequence[str], padded_length: int) -> npt.NDArray[np.float32]:
        """Return vectors (n, d) float32. ValueError when a text exceeds `padded_length` tokens."""
        import torch

        ids, mask = tokenize_padded(self._tokenizer, texts, padded_length, self._padding_id)
        with self._turn, torch.inference_mode():
            vectors = self._forward(self._moved(ids), self._moved(mask), full=bool(mask.all()))
        # Waiting for the device is left to this thread: the next batch is queued meanwhile.
        result: npt.NDArray[np.float32] = vectors.cpu().numpy()
        return result

    def close(self) -> None:
        """Let go of the weights."""
        del self._model

    def observation(self) -> Observation:
        """Return device, peak memory and the cost of a token."""
        linear, attention = self._operations
        dtype = str(next(self._model.parameters()).dtype).removeprefix("torch.")
        return Observation(
            backend="transformers",
            device=str(self._device),
            peak_memory_bytes=peak_memory(self._device),
            linear_flops=linear,
            attention_flops=attention,
            peak_flops=peak_flops(self._device, dtype),
        )

    def _moved(self, array: npt.NDArray[np.int64]) -> torch.Tensor:
        import torch

        tensor = torch.from_numpy(array)
        if not self._on_gpu:
            return tensor
        return tensor.pin_memory().to(self._device, non_blocking=True)

    def _forward(self, ids: torch.Tensor, mask: torch.Tensor, *, full: bool) -> torch.Tensor:
        import torch

        # On a CPU the mask stays, so that the kernel is the same for every batch.
        unmasked = not self._masked or (self._on_gpu and full)
        output = self._model(input_ids=ids, attention_mask=None if unmasked else mask)
        vectors = pool(output.last_hidden_state, mask, self._pooling)
        return torch.nn.functional.normalize(vectors, dim=1) if self._normalized else vectors


class TransformersBackend(TorchEncoder):
    """A model folder, on the GPU if there is one, else on the CPU."""

    def __init__(self, encoder: ModelFiles, device: str | None = None) -> None:
        """Load weights and tokenizer from the encoder's folder, offline."""
        place = prepare_torch(device)
        super().__init__(
            load_model(encoder.folder, encoder.dtype).to(place),
            load_tokenizer(encoder.folder),
            pooling=encoder.pooling,
            normalized=encoder.normalized,
            padding_id=padding_id(encoder.folder),
            token_budget=token_budget(place),
        )


def load_model(folder: Path, dtype: str) -> torch.nn.Module:
    """Return the transformer of a model folder in a dtype, from safetensors on disk alone."""
    import torch
    from transformers import AutoModel

    model: torch.nn.Module = AutoModel.from_pretrained(
        str(folder),
        dtype=getattr(torch, dtype),
        local_files_only=True,
        use_safetensors=True,
    )
    return model.eval()


def padding_id(folder: Path) -> int:
    """Return the token a model pads with; 0 where none is stated, as padding is masked anyway."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return int(config.get("pad_token_id") or 0)


def tokenize_padded(
    tokenizer: Tokenizer, texts: Sequence[str], padded_length: int, padding: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return token ids and mask, (n, padded_length) int64 each, padded on the right.

    ValueError when a text does not fit.
    """
    encodings = [e.ids for e in tokenizer.encode_batch_fast(list(texts))]
    longest = max(map(len, encodings))
    if longest > padded_length:
        raise ValueError(f"a text of {longest} tokens does not fit {padded_length}")
    ids = np.full((len(texts), padded_length), padding, dtype=np.int64)
    mask = np.zeros_like(ids)
    for row, tokens in enumerate(encodings):
        ids[row, : len(tokens)] = tokens
        mask[row, : len(tokens)] = 1
    return ids, mask


def pool(hidden: torch.Tensor, mask: torch.Tensor, pooling: str) -> torch.Tensor:
    """Return one float32 vector a text (n, d) from hidden states (n, tokens, d)."""
    if pooling == "cls":
        return hidden[:, 0].float()
    if pooling == "last_token":
        last = (mask.sum(dim=1) - 1).view(-1, 1, 1).expand(-1, 1, hidden.shape[-1])
        return hidden.gather(1, last)[:, 0].float()
    weights = mask.unsqueeze(-1).float()
    return (hidden.float() * weights).sum(dim=1) / weights.sum(dim=1)


def operations(model: torch.nn.Module, *, causal: bool | None = None) -> tuple[float, float | None]:
    """Return floating-point operations of a token, and those for each token it attends to.

    Two a weight outside the embedding tables; four a layer and attended dimension, halved where
    attention is causal, which is tried unless it is told (Kaplan et al. 2020, Table 1).
    """
    embeddings = {
        id(module.weight)
        for name, module in model.named_modules()
        if name.endswith(("embeddings", "embed_tokens")) and hasattr(module, "weight")
    }
    weights = sum(p.numel() for p in model.parameters() if id(p) not in embeddings)
    config = getattr(model, "config", None)
    layers = getattr(config, "num_hidden_layers", None)
    heads = getattr(config, "num_attention_heads", None)
    if config is None or layers is None or heads is None:
        return 2.0 * weights, None
    head = getattr(config, "head_dim", None) or config.hidden_size // heads
    if causal is None:
        causal = _is_causal(model)
    return 2.0 * weights, 4.0 * layers * heads * head * (0.5 if causal else 1.0)


def _is_causal(model: torch.nn.Module) -> bool:
    """Say whether later tokens leave the hidden states of earlier ones as they are: a trial."""
    import torch

    device = next(model.parameters()).device
    first = torch.arange(_PROBED_TOKENS, device=device).unsqueeze(0) + 5
    second = first.clone()
    second[:, _PROBED_TOKENS // 2 :] += 7
    with torch.inference_mode():
        one, other = (model(input_ids=ids).last_hidden_state for ids in (first, second))
    half = _PROBED_TOKENS // 2
    return bool(torch.equal(one[:, :half], other[:, :half]))
