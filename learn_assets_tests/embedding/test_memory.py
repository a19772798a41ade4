"""Memory: counted from a model's shape, held against real bytes and a formula written apart."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from learn_assets.embedding.encoders import Encoder
from learn_assets.embedding.memory import (
    ModelShape,
    count_parameters,
    estimate_memory,
    read_shape,
)
from learn_assets.embedding.registry import REGISTRY
from learn_assets_tests.embedding.model_folders import QWEN3_600M, write_model

MINILM = REGISTRY["minilm"].shape


def test_minilm_is_registered_with_the_shape_and_parameters_of_its_files(minilm: Encoder) -> None:
    assert read_shape(minilm.folder) == MINILM


def test_the_parameters_are_those_that_torch_loads(minilm: Encoder) -> None:
    from safetensors import safe_open

    with safe_open(minilm.folder / "model.safetensors", framework="numpy") as file:
        tensors = [file.get_tensor(name) for name in file.keys()]  # noqa: SIM118
    floats = [tensor for tensor in tensors if tensor.dtype.kind == "f"]
    assert count_parameters(minilm.folder) == sum(tensor.size for tensor in floats)
    estimate = estimate_memory(MINILM, "float32", token_budget=1, token_limit=1, gpu=False)
    assert estimate.weights == sum(tensor.nbytes for tensor in floats)


@pytest.mark.parametrize(
    ("size", "vocabulary"), [("0.6b", 151_669), ("4b", 151_665), ("8b", 151_665)]
)
def test_qwen3_parameters_follow_from_their_shapes(size: str, vocabulary: int) -> None:
    shape = REGISTRY[f"qwen3-embedding-{size}"].shape
    hidden, queries, keys = shape.hidden_size, shape.attention_width, shape.key_value_width
    attention = 2 * hidden * queries + 2 * hidden * keys + 2 * 128
    feed_forward = 3 * hidden * shape.intermediate_size
    layers = shape.layers * (attention + feed_forward + 2 * hidden)
    assert shape.parameters == vocabulary * hidden + layers + hidden


def test_a_folder_is_read_with_its_own_size_of_a_head(tmp_path: Path) -> None:
    shape = read_shape(write_model(tmp_path / "model"))
    registered = REGISTRY["qwen3-embedding-0.6b"].shape
    assert shape == ModelShape(6, *list(vars(registered).values())[1:])
    nested = {"hidden_size": 1_024, "text_config": QWEN3_600M}
    assert read_shape(write_model(tmp_path / "nested", nested)) == shape


def test_only_small_encoders_are_meant_for_the_processor() -> None:
    assert [name for name, encoder in REGISTRY.items() if encoder.shape.small] == ["minilm"]


@given(
    budget=st.integers(1, 10**6),
    limit=st.integers(16, 40_000),
    name=st.sampled_from(sorted(REGISTRY)),
)
def test_more_tokens_or_wider_numbers_never_take_less(budget: int, limit: int, name: str) -> None:
    def total(dtype: str, tokens: int, longest: int, *, gpu: bool = True) -> int:
        shape = REGISTRY[name].shape
        return estimate_memory(
            shape, dtype, token_budget=tokens, token_limit=longest, gpu=gpu
        ).total

    base = total("bfloat16", budget, limit)
    assert base > 2 * REGISTRY[name].shape.parameters
    assert total("bfloat16", budget + 1, limit) > base
    assert total("bfloat16", budget, limit + 1) >= base
    assert total("float32", budget, limit) > base
    assert total("bfloat16", budget, limit, gpu=False) < base
    assert total("fp8", budget, limit) == total("float32", budget, limit)
