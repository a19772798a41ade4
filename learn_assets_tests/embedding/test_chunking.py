"""Chunking: compared with a slow reference and held to its promises on awkward texts."""

from __future__ import annotations

import functools
import itertools
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from learn_assets.embedding.chunking import (
    MINIMUM_BUDGET,
    Chunk,
    Chunker,
    ChunkingError,
    load_tokenizer,
    plan_spans,
)
from learn_assets.embedding.encoders import find_encoder
from learn_assets.study import EncoderChoice


@functools.cache
def word_piece() -> Tokenizer:
    return load_tokenizer(find_encoder(EncoderChoice(id="minilm")).folder)


@functools.cache
def byte_level() -> Tokenizer:
    """A byte-level tokenizer, as Qwen and other large encoders have."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    tokenizer.train_from_iterator(["Raynaud syndrome of the right hand and knee"] * 5, trainer)
    return tokenizer


TOKENIZERS = {"word_piece": word_piece, "byte_level": byte_level}

pieces = st.sampled_from(
    [
        "knee", "Immunodeficiency", "[2019-03-04]", "-", "|", "E11.9", "naïve", "e\u0301t\u00e9",
        "한글", "中文字", "👨‍👩‍👧", "ﬁne", "x" * 70, "a-b-" * 30, "\u00ad", "\u200b", "\x00", "İ",
    ]
)  # fmt: skip
gaps = st.sampled_from([" ", "  ", "\n", "\t ", "\u00a0", "", " | "])
texts = st.lists(st.tuples(pieces, gaps), max_size=40).map(
    lambda parts: "".join(piece + gap for piece, gap in parts)
)


def slow_spans(ranks: list[int], budget: int, overlap: int) -> list[tuple[int, int]]:
    """The same rule by looking at every position, nothing precomputed."""
    count = len(ranks) - 1
    spans: list[tuple[int, int]] = []
    start, covered = -1, 0
    while covered < count:
        for rank in (3, 2, 1):
            reach = min(i for i in range(covered + 1, count + 1) if ranks[i] >= rank)
            if reach - covered <= budget:
                allowed = [
                    i
                    for i in range(covered + 1)
                    if i > start and covered - i <= overlap and reach - i <= budget
                ]
                best = [[i for i in allowed if ranks[i] >= r] for r in (3, 2, 1)]
                start = next((min(found) for found in best if found), covered)
                covered = max(
                    i for i in range(start, count + 1) if ranks[i] >= rank and i - start <= budget
                )
                break
        else:
            start = covered
            covered = min(i for i in range(covered + 1, count + 1) if ranks[i] >= 1)
        spans.append((start, covered))
    return spans


@given(
    inner=st.lists(st.sampled_from([0, 1, 1, 2, 3, 3]), max_size=60),
    budget=st.integers(1, 20),
    data=st.data(),
)
def test_spans_equal_the_slow_reference(inner: list[int], budget: int, data: st.DataObject) -> None:
    overlap = data.draw(st.integers(0, budget // 2))
    ranks = [3, *inner, 3]
    spans = plan_spans(np.array(ranks, dtype=np.int8), budget, overlap)
    assert spans == slow_spans(ranks, budget, overlap)
    assert [end for _, end in spans][-1] == len(ranks) - 1
    assert all(a < c <= b < d for (a, b), (c, d) in itertools.pairwise(spans))


@pytest.mark.parametrize("name", TOKENIZERS)
@settings(deadline=None)
@given(text=texts, data=st.data())
def test_chunks_hold_everything_within_the_limit(name: str, text: str, data: st.DataObject) -> None:
    tokenizer = TOKENIZERS[name]()
    prompt = data.draw(st.sampled_from(["", "Instruct: what follows\nDiagnosis history: "]))
    fixed = len(tokenizer.encode(prompt).ids)
    limit = fixed + data.draw(st.integers(MINIMUM_BUDGET, 60))
    overlap = data.draw(st.integers(0, (limit - fixed) // 2))
    chunker = Chunker(tokenizer, token_limit=limit, overlap_tokens=overlap, prompt=prompt)
    (chunks,) = chunker.chunk([text])

    for chunk in chunks:
        assert chunk.length == len(tokenizer.encode(prompt + chunk.text).ids) <= limit
        assert chunk.new_tokens > 0
    count = len(tokenizer.encode(text, add_special_tokens=False).ids)
    assert sum(chunk.new_tokens for chunk in chunks) == count
    _assert_in_order_without_loss(tokenizer, text, chunks)


def _assert_in_order_without_loss(
    tokenizer: Tokenizer, text: str, chunks: tuple[Chunk, ...]
) -> None:
    """Every character that belongs to a token is in a chunk, and no chunk is within another."""
    offsets = tokenizer.encode(text, add_special_tokens=False).offsets
    first_new = 0
    previous_start, previous_end = -1, 0
    for chunk in chunks:
        last_new = first_new + chunk.new_tokens - 1
        end = offsets[last_new][1]
        start = end - len(chunk.text)
        assert text[start:end] == chunk.text
        assert start <= offsets[first_new][0]
        assert start > previous_start
        assert end > previous_end
        first_new, previous_start, previous_end = last_new + 1, start, end
    assert first_new == len(offsets)


def test_a_short_text_is_one_chunk() -> None:
    chunker = Chunker(word_piece(), token_limit=256, overlap_tokens=32)
    (chunks,) = chunker.chunk(["Pain in right knee"])
    assert chunks == (Chunk("Pain in right knee", 4, 6),)


def test_a_text_without_tokens_has_no_chunk() -> None:
    chunker = Chunker(word_piece(), token_limit=256, overlap_tokens=32)
    assert chunker.chunk(["", " \n ", "\x00", "knee"])[:3] == [(), (), ()]


def test_cuts_fall_at_white_space() -> None:
    chunker = Chunker(word_piece(), token_limit=40, overlap_tokens=8)
    text = " | ".join(["[2019-03-04] - Pain in right knee"] * 20)
    (chunks,) = chunker.chunk([text])
    assert len(chunks) > 5
    for chunk in chunks:
        at = text.index(chunk.text)
        assert at == 0 or text[at - 1] == " "
        assert set(chunk.text.split()) <= {"[2019-03-04]", "-", "Pain", "in", "right", "knee", "|"}


def test_overlap_is_in_tokens() -> None:
    words = " ".join(f"knee{'s' * (i % 2)}" for i in range(200))
    (chunks,) = Chunker(word_piece(), token_limit=52, overlap_tokens=20).chunk([words])
    shared = [chunk.length - 2 - chunk.new_tokens for chunk in chunks]
    assert shared[0] == 0
    assert all(15 <= tokens <= 20 for tokens in shared[1:])


def test_texts_do_not_influence_each_other() -> None:
    chunker = Chunker(word_piece(), token_limit=30, overlap_tokens=5)
    batch = ["knee " * 100, "", "Raynaud " * 50]
    assert chunker.chunk(batch) == [chunker.chunk([text])[0] for text in batch]


def test_a_text_beyond_one_segment_has_the_tokens_of_the_whole() -> None:
    text = "[2019-03-04] - Immunodeficiency | " * 6_000
    (chunks,) = Chunker(word_piece(), token_limit=256, overlap_tokens=32).chunk([text])
    count = len(word_piece().encode(text, add_special_tokens=False).ids)
    assert sum(chunk.new_tokens for chunk in chunks) == count


def test_time_is_linear_in_the_length() -> None:
    ranks = np.tile(np.array([3, 1, 2, 1], dtype=np.int8), 250_000)
    ranks[-1] = 3
    started = time.monotonic()
    spans = plan_spans(ranks, 254, 32)
    assert len(spans) > 4_000
    assert time.monotonic() - started < 20


@pytest.mark.parametrize(("limit", "overlap", "prompt"), [(256, 128, ""), (20, 0, "long " * 9)])
def test_settings_without_room_are_refused(limit: int, overlap: int, prompt: str) -> None:
    with pytest.raises(ChunkingError, match=r"overlap_tokens|prompt"):
        Chunker(word_piece(), token_limit=limit, overlap_tokens=overlap, prompt=prompt)
