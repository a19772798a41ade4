"""Memory: what an encoder takes where it runs, from the shape of its network alone.

What belongs here: the shape of a model and the arithmetic on it. What a machine has free lives in
`devices.py`.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
# Up to here an encoder is worth running without a GPU: BERT base has 110 million.
SMALL_PARAMETERS = 200_000_000

# Blocks of the allocator that are too small for the next request stay unused.
_ALLOCATOR_SLACK = 1.25
# What the driver, the kernels and the libraries of a process take on a card.
_GPU_CONTEXT_BYTES = 768 << 20


@dataclass(frozen=True)
class ModelShape:
    """The numbers of a transformer that decide its memory.

    `attention_width` is query heads x their size, `key_value_width` the same for keys or values.
    """

    parameters: int
    hidden_size: int
    layers: int
    intermediate_size: int
    attention_width: int
    key_value_width: int

    @property
    def small(self) -> bool:
        """Whether it may run on the processor alone."""
        return self.parameters <= SMALL_PARAMETERS


@dataclass(frozen=True)
class MemoryEstimate:
    """Bytes an encoder needs: its weights, and the most that one batch holds beside them."""

    weights: int
    activations: int

    @property
    def total(self) -> int:
        """Weights and activations in bytes."""
        return self.weights + self.activations


def estimate_memory(
    shape: ModelShape, dtype: str, *, token_budget: int, token_limit: int, gpu: bool
) -> MemoryEstimate:
    """Return the most bytes that inference takes at `token_budget` padded tokens a batch.

    One layer is alive at a time. Counted are its residual stream, the projections of its attention
    (keys and values repeated for all heads) or the three inner tensors of a gated feed-forward
    block, the mask of `token_limit` keys a token, and the float32 copy that is pooled. Attention
    scores are not: the fused kernels never hold them. An unknown dtype counts as float32.
    """
    size = BYTES.get(dtype, 4)
    stream = 2 * shape.hidden_size
    attention = 5 * shape.attention_width + 3 * shape.key_value_width
    layer = size * (stream + max(attention, 3 * shape.intermediate_size))
    pooling = shape.hidden_size * (size + 2 * BYTES["float32"])
    mask = min(token_limit, token_budget) * (1 + size)
    activations = token_budget * (max(layer, pooling) + mask)
    context = _GPU_CONTEXT_BYTES if gpu else 0
    return MemoryEstimate(
        weights=shape.parameters * size,
        activations=int(activations * _ALLOCATOR_SLACK) + context,
    )


def read_shape(folder: Path) -> ModelShape:
    """Read a model folder's shape from config.json and the headers of its safetensors files.

    A composed model keeps the numbers of its transformer under `text_config`. KeyError when
    config.json has no numbers of a transformer.
    """
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config = {**config, **config.get("text_config", {})}
    hidden, heads = int(config["hidden_size"]), int(config["num_attention_heads"])
    head_size = int(config.get("head_dim") or hidden // heads)
    return ModelShape(
        parameters=count_parameters(folder),
        hidden_size=hidden,
        layers=int(config["num_hidden_layers"]),
        intermediate_size=int(config.get("intermediate_size") or 4 * hidden),
        attention_width=heads * head_size,
        key_value_width=int(config.get("num_key_value_heads") or heads) * head_size,
    )


def count_parameters(folder: Path) -> int:
    """Return how many floating-point numbers the safetensors files of a folder hold.

    Only their headers are read: eight bytes of length, then JSON.
    """
    return sum(_floats(file) for file in sorted(folder.rglob("*.safetensors")))


def _floats(file: Path) -> int:
    with file.open("rb") as handle:
        header = json.loads(handle.read(int.from_bytes(handle.read(8), "little")))
    header.pop("__metadata__", None)
    return sum(
        math.prod(tensor["shape"])
        for tensor in header.values()
        if tensor["dtype"].startswith(("F", "BF"))
    )
