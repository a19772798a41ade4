"""Batching: each chunk once, within budget, in one shape, and smaller when memory runs out."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from learn_assets.embedding.batching import (
    Batch,
    OutOfMemoryError,
    TokenBudget,
    encode_batch,
    padded_length,
    plan_batches,
)
from learn_assets_tests.embedding.fakes import CountingBackend, fake_vector

LIMIT = 8_192


@given(st.lists(st.integers(1, LIMIT), max_size=80), st.integers(1, 20_000), st.randoms())
def test_batches_hold_each_chunk_once_in_an_order_of_their_own(
    lengths: list[int], budget: int, draw: random.Random
) -> None:
    keys = [f"{i:032d}".encode() for i in range(len(lengths))]
    batches = plan_batches(lengths, keys, token_budget=budget, token_limit=LIMIT)
    seen = [i for batch in batches for i in batch.positions]
    assert sorted(seen) == list(range(len(lengths)))
    for batch in batches:
        assert {padded_length(lengths[i], LIMIT) for i in batch.positions} == {batch.padded_length}
        assert len(batch.positions) == 1 or len(batch.positions) * batch.padded_length <= budget
    padded = [batch.padded_length for batch in batches]
    assert padded == sorted(padded, reverse=True)

    order = list(range(len(lengths)))
    draw.shuffle(order)
    again = plan_batches(
        [lengths[i] for i in order],
        [keys[i] for i in order],
        token_budget=budget,
        token_limit=LIMIT,
    )
    assert [[order[i] for i in batch.positions] for batch in again] == [
        list(batch.positions) for batch in batches
    ]


@given(st.integers(1, LIMIT))
def test_padding_is_little(length: int) -> None:
    padded = padded_length(length, LIMIT)
    assert length <= padded <= LIMIT
    assert padded - length <= max(7, length / 16)


@pytest.mark.parametrize("most_tokens", [64, 100, 200, 10_000])
def test_batch_is_halved_when_memory_runs_out(most_tokens: int) -> None:
    texts = [f"text {i}" for i in range(9)]
    backend = CountingBackend(5, most_tokens=most_tokens)
    vectors = np.zeros((9, 5), dtype=np.float32)
    for positions, part in encode_batch(
        backend, texts, Batch(tuple(range(9)), 64), TokenBudget(10_000)
    ):
        vectors[list(positions)] = part
    np.testing.assert_array_equal(vectors, [fake_vector(text, 5) for text in texts])
    assert len(backend.texts) == 9


def test_what_ran_out_of_memory_is_not_tried_again() -> None:
    texts = [f"text {i}" for i in range(32)]
    backend = CountingBackend(5, most_tokens=300)
    budget = TokenBudget(1_024)
    for start in range(0, 32, 16):
        batch = Batch(tuple(range(start, start + 16)), 64)
        assert len(list(encode_batch(backend, texts, batch, budget))) == 4
    assert [rows for rows, _ in backend.shapes] == [16, 8, *[4] * 8]
    assert sorted(backend.texts) == sorted(texts)
    assert budget.tokens == 256


def test_one_chunk_too_many_says_what_to_do() -> None:
    backend = CountingBackend(5, most_tokens=63)
    with pytest.raises(OutOfMemoryError, match="64 tokens"):
        list(encode_batch(backend, ["a", "b"], Batch((0, 1), 64), TokenBudget(512)))


def test_other_errors_pass() -> None:
    class Broken(CountingBackend):
        def encode(self, texts: Sequence[str], padded_length: int) -> npt.NDArray[np.float32]:
            raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes"):
        list(encode_batch(Broken(5), ["a", "b"], Batch((0, 1), 64), TokenBudget(512)))
