"""Backends: the vectors of the plain library, independent of the batch, the same in two runs."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from learn_assets.embedding.backends import open_backend
from learn_assets.embedding.backends.openvino import OpenVINOBackend, UnfitModelError
from learn_assets.embedding.backends.transformers import TransformersBackend, operations
from learn_assets.embedding.batching import padded_length
from learn_assets.embedding.chunking import Chunker, load_tokenizer
from learn_assets.embedding.encoders import DType, Encoder, find_encoder
from learn_assets.embedding.engine import embed_narratives
from learn_assets.embedding.store import VectorStore
from learn_assets.study import EncoderChoice
from learn_assets_tests.embedding.conftest import make_narratives

LocalBackend = TransformersBackend | OpenVINOBackend
LOCAL_BACKENDS = [TransformersBackend, OpenVINOBackend]

# Of vectors of length 1: what a batch may change on hardware whose kernels depend on its shape.
BATCH_TOLERANCE = {"float32": 1e-5, "bfloat16": 1e-2}


@pytest.fixture(scope="module")
def texts(minilm: Encoder) -> list[str]:
    chunker = Chunker(load_tokenizer(minilm.folder), token_limit=256, overlap_tokens=0)
    narratives = make_narratives(4, longest=12)["text"].to_list()
    return [parts[0].text for parts in chunker.chunk(narratives)]


@pytest.mark.slow
@pytest.mark.parametrize("kind", LOCAL_BACKENDS)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_vectors_are_those_of_the_plain_library(
    minilm: Encoder, texts: list[str], dtype: DType, kind: type[LocalBackend]
) -> None:
    from sentence_transformers import SentenceTransformer

    plain = SentenceTransformer(str(minilm.folder), device="cpu").encode(texts)
    ours = kind(replace(minilm, dtype=dtype)).encode(texts, 256)
    assert (ours * plain).sum(axis=1).min() >= 0.999


@pytest.mark.parametrize("kind", LOCAL_BACKENDS)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_vector_does_not_depend_on_the_batch(
    minilm: Encoder, texts: list[str], dtype: DType, kind: type[LocalBackend]
) -> None:
    tokenizer = load_tokenizer(minilm.folder)
    backend = kind(replace(minilm, dtype=dtype))
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


@pytest.mark.parametrize("kind", LOCAL_BACKENDS)
def test_a_text_beyond_its_padding_is_refused_not_truncated(
    minilm: Encoder, kind: type[LocalBackend]
) -> None:
    with pytest.raises(ValueError, match="does not fit 8"):
        kind(minilm).encode(["knee " * 20], 8)


def test_threads_get_their_own_vectors(minilm: Encoder, texts: list[str]) -> None:
    backend = OpenVINOBackend(minilm)
    alone = [backend.encode([text], 256) for text in texts]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda text: backend.encode([text], 256), texts * 3))
    np.testing.assert_array_equal(np.concatenate(together), np.concatenate(alone * 3))


def test_a_processor_runs_openvino_where_it_gives_the_same_vectors(
    minilm: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert isinstance(open_backend(minilm), OpenVINOBackend)
    monkeypatch.setattr("learn_assets.embedding.backends.openvino.LEAST_COSINE", 1.1)
    with pytest.raises(UnfitModelError, match="cosine"):
        OpenVINOBackend(minilm)
    assert isinstance(open_backend(minilm), TransformersBackend)


def test_without_openvino_torch_runs_and_says_nothing(
    minilm: Encoder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with caplog.at_level(logging.WARNING):
        backend = open_backend(minilm)
    assert isinstance(backend, TransformersBackend)
    assert caplog.text == ""


@pytest.mark.slow
def test_openvino_reports_nothing_to_its_maker(minilm: Encoder) -> None:
    code = (
        "import sys; from learn_assets.embedding.encoders import find_encoder;"
        "from learn_assets.embedding.backends.openvino import OpenVINOBackend;"
        "from learn_assets.study import EncoderChoice;"
        "OpenVINOBackend(find_encoder(EncoderChoice(id='minilm')));"
        "print(sys.modules['openvino_telemetry'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "None"


def test_cost_of_a_token_is_that_of_the_weights_it_meets(minilm: Encoder) -> None:
    from transformers import AutoModel

    model = AutoModel.from_pretrained(str(minilm.folder))
    linear, attention = operations(model)
    inner = sum(p.numel() for p in [*model.encoder.parameters(), *model.pooler.parameters()])
    normalization = sum(p.numel() for p in model.embeddings.LayerNorm.parameters())
    assert linear == 2 * (inner + normalization)
    assert attention == 4 * 6 * 384


def test_libraries_are_told_to_stay_offline(minilm: Encoder) -> None:
    TransformersBackend(minilm)
    assert os.environ["HF_HUB_OFFLINE"] == "1"
