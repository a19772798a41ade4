"""Backends: the vectors of the plain library, independent of the batch, the same in two runs."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from learn_assets.embedding.backends import open_backend
from learn_assets.embedding.backends.transformers import TransformersBackend
from learn_assets.embedding.batching import padded_length
from learn_assets.embedding.chunking import Chunker, load_tokenizer
from learn_assets.embedding.encoders import DType, Encoder, find_encoder
from learn_assets.embedding.engine import embed_narratives
from learn_assets.embedding.store import VectorStore
from learn_assets.study import EncoderChoice
from learn_assets_tests.embedding.conftest import make_narratives

# Of vectors of length 1: what a batch may change on hardware whose kernels depend on its shape.
BATCH_TOLERANCE = {"float32": 1e-5, "bfloat16": 1e-2}


@pytest.fixture(scope="module")
def texts(minilm: Encoder) -> list[str]:
    chunker = Chunker(load_tokenizer(minilm.folder), token_limit=256, overlap_tokens=0)
    narratives = make_narratives(4, longest=12)["text"].to_list()
    return [parts[0].text for parts in chunker.chunk(narratives)]


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_vectors_are_those_of_the_plain_library(
    minilm: Encoder, texts: list[str], dtype: DType
) -> None:
    from sentence_transformers import SentenceTransformer

    plain = SentenceTransformer(str(minilm.folder), device="cpu").encode(texts)
    backend = TransformersBackend(replace(minilm, dtype=dtype))
    ours = backend.encode(texts, 256)
    assert (ours * plain).sum(axis=1).min() >= 0.999


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_vector_does_not_depend_on_the_batch(
    minilm: Encoder, texts: list[str], dtype: DType
) -> None:
    tokenizer = load_tokenizer(minilm.folder)
    backend = TransformersBackend(replace(minilm, dtype=dtype))
    by_shape: dict[int, list[str]] = {}
    for text in texts:
        shape = padded_length(len(tokenizer.encode(text).ids), minilm.token_limit)
        by_shape.setdefault(shape, []).append(text)
    for shape, group in by_shape.items():
        together = backend.encode(group, shape)
        alone = np.concatenate([backend.encode([text], shape) for text in group])
        np.testing.assert_allclose(together, alone, atol=BATCH_TOLERANCE[dtype])
        np.testing.assert_array_equal(together, backend.encode(group, shape))


def test_two_runs_give_the_same_table(minilm: Encoder, tmp_path: Path) -> None:
    narratives = make_narratives(3, longest=20)
    frames = [
        embed_narratives(
            narratives,
            minilm,
            VectorStore(tmp_path / name, minilm.space, minilm.dimension),
            overlap_tokens=32,
            task_instruction=False,
            progress=False,
        ).frame
        for name in ("first", "second")
    ]
    assert frames[0].equals(frames[1])
    lengths = np.linalg.norm(frames[0]["vector"].to_numpy(), axis=1)
    np.testing.assert_allclose(lengths, 1.0, atol=1e-6)


@pytest.mark.slow
def test_one_chunk_text_has_the_vector_of_the_plain_library(
    minilm: Encoder, store: VectorStore
) -> None:
    from sentence_transformers import SentenceTransformer

    text = "Raynaud's syndrome without gangrene | Pain in right knee"
    narratives = pl.DataFrame({"patient_id": ["a"], "kind": ["diagnosis"], "text": [text]})
    result = embed_narratives(
        narratives, minilm, store, overlap_tokens=32, task_instruction=False, progress=False
    )
    plain = SentenceTransformer(str(minilm.folder), device="cpu").encode(text)
    assert np.dot(result.frame["vector"][0].to_numpy(), plain) >= 0.999


@pytest.mark.slow
def test_folder_with_further_modules_runs_through_its_own_library(tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import Dense

    minilm = find_encoder(EncoderChoice(id="minilm"))
    plain = SentenceTransformer(str(minilm.folder), device="cpu")
    plain.add_module("dense", Dense(384, 16))
    plain.save_pretrained(str(tmp_path / "dense"))
    encoder = find_encoder(EncoderChoice(id="dense", path=tmp_path / "dense"))
    assert (encoder.pooling, encoder.dimension, encoder.normalized) == ("modules", 16, False)
    texts = ["Pain in right knee", "Raynaud's syndrome"]
    np.testing.assert_allclose(
        open_backend(encoder).encode(texts, 16), plain.encode(texts), atol=1e-5
    )


def test_a_text_beyond_its_padding_is_refused_not_truncated(minilm: Encoder) -> None:
    with pytest.raises(ValueError, match="does not fit 8"):
        TransformersBackend(minilm).encode(["knee " * 20], 8)


def test_libraries_are_told_to_stay_offline(minilm: Encoder) -> None:
    TransformersBackend(minilm)
    assert os.environ["HF_HUB_OFFLINE"] == "1"
