"""The embedding benchmark: its GPU path on a tiny shape, with this package and without it."""

from __future__ import annotations

import importlib.util
from types import ModuleType

import pytest

from learn_assets_tests.benchmark_files import load_benchmark

TINY = ["--shape", "tiny", "--device", "cpu", "--tokens", "600", "--lengths", "32", "64"]


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    return load_benchmark("embedding")


@pytest.mark.parametrize("alone", [False, True])
def test_every_way_is_measured_at_every_length(
    benchmark: ModuleType, alone: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    hidden = {"learn_assets"} if alone else set()
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name in hidden else find(name, *a)
    )
    results = benchmark.main([*TINY, "--budgets", "64", "128"])
    ways = ("one text at a time", "8 in the order given", "budget 64", "budget 128")
    assert set(results) == {f"{length}: {way}" for length in (32, 64) for way in ways}
    assert all(result["tokens_per_second"] > 0 for result in results.values())


def test_its_copy_of_the_batching_is_the_engine_s(benchmark: ModuleType) -> None:
    from learn_assets.embedding.batching import plan_batches

    lengths = benchmark.drawn_lengths(200, 5_000, 3)
    keys = [f"{i:032d}".encode() for i in range(len(lengths))]
    ours = plan_batches(lengths, keys, token_budget=1_000, token_limit=10_000)
    assert [(list(b.positions), b.padded_length) for b in ours] == list(
        benchmark.planned(lengths, 1_000)
    )


def test_operations_are_twice_the_weights_a_token_meets(benchmark: ModuleType) -> None:
    import torch

    from learn_assets.embedding.backends.transformers import operations

    model = benchmark.random_model(benchmark.SHAPES["tiny"], torch.device("cpu"))
    assert benchmark.operations(model) == operations(model)


def test_texts_have_a_heavy_tail_and_lengths_stay_within_the_limit(benchmark: ModuleType) -> None:
    sizes = sorted(len(text.split()) for text in benchmark.narratives(200, 0))
    assert sizes[-1] > 10 * sizes[len(sizes) // 2]
    assert max(benchmark.drawn_lengths(64, 5_000, 0)) == 64
