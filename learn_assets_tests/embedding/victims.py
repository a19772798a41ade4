"""Victims: processes that embed, append or compact, to be killed or starved by `test_recovery`.

They are forked from one server that has loaded what they need, so each starts in a moment.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import time
from collections.abc import Callable, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from learn_assets.embedding.backends import Backend, open_backend
from learn_assets.embedding.encoders import Encoder, find_encoder
from learn_assets.embedding.engine import embed_narratives
from learn_assets.embedding.maintenance import compact
from learn_assets.embedding.shard_folder import StoreFullError
from learn_assets.embedding.store import VectorStore
from learn_assets.study import EncoderChoice
from learn_assets_tests.embedding.conftest import make_narratives
from learn_assets_tests.embedding.fakes import CountingBackend, fake_vector

DIMENSION = 64
SPACE = "0123456789abcdef" * 4
STORE_WAS_FULL = 3
MOST_THREADS = 2

_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(
    [__name__, "torch", "transformers.models.auto", "transformers.models.bert.modeling_bert"]
)


def start(action: Callable[..., None], *arguments: Any) -> BaseProcess:
    """Run a function of this module in a process of its own."""
    process = _SERVER.Process(target=action, args=arguments, daemon=True)
    process.start()
    return process


def narratives() -> pl.DataFrame:
    return make_narratives(10, longest=30)


class WitnessedBackend:
    """A real backend, one text a batch, that writes down each text it has embedded.

    A vector may differ in its last bits with the size of its batch; one text a batch leaves only
    the text to decide.
    """

    token_budget = 1

    def __init__(self, inner: Backend, log: Path) -> None:
        self._inner = inner
        self._log = log
        self.concurrency = min(inner.concurrency, MOST_THREADS)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def encode(self, texts: Sequence[str], padded_length: int) -> npt.NDArray[np.float32]:
        vectors = self._inner.encode(texts, padded_length)
        for text in texts:
            write_line(self._log, text)
        return vectors


class WitnessedStore(VectorStore):
    """A store that writes an empty line when a shard is committed."""

    log: Path

    def append(self, keys: Sequence[bytes], vectors: npt.NDArray[np.float32]) -> None:
        super().append(keys, vectors)
        write_line(self.log, "")


def write_line(log: Path, text: str) -> None:
    # One system call: whole in the file even if the process is killed in the next moment.
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, text.encode() + b"\n")
    os.close(descriptor)


def minilm_store(home: Path) -> VectorStore:
    encoder = find_encoder(EncoderChoice(id="minilm"))
    return VectorStore(home, encoder.space, encoder.dimension)


def embed_for_real(home: Path, log: Path, result: Path, commit_seconds: float) -> None:
    """Embed with MiniLM on one thread and write the vectors; log what was done on the way."""
    import torch

    torch.set_num_threads(1)
    encoder = find_encoder(EncoderChoice(id="minilm"))
    store = WitnessedStore(home, encoder.space, encoder.dimension)
    store.log = log

    def witnessed(chosen: Encoder) -> Backend:
        return WitnessedBackend(open_backend(chosen), log)

    embedded = embed_narratives(
        narratives(),
        encoder,
        store,
        overlap_tokens=32,
        task_instruction=False,
        progress=False,
        backend=witnessed,
        commit_seconds=commit_seconds,
    )
    embedded.frame.write_ipc(result)


def embed_with_small_files(home: Path, most_bytes: int) -> None:
    """Embed while no file may grow beyond a limit, as on a full disk; exit STORE_WAS_FULL then."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))
    try:
        embed_with_fake(home, CountingBackend(384))
    except StoreFullError:
        raise SystemExit(STORE_WAS_FULL) from None


def embed_with_fake(home: Path, backend: CountingBackend) -> pl.DataFrame:
    return embed_narratives(
        narratives(),
        find_encoder(EncoderChoice(id="minilm")),
        minilm_store(home),
        overlap_tokens=32,
        task_instruction=False,
        progress=False,
        backend=backend,
        commit_seconds=0.0,
    ).frame


def texts_of(writer: int, shard: int) -> list[str]:
    """Texts of a shard: half of them are those of every other writer too."""
    shared = [f"shared {shard} {i}" for i in range(20)]
    return shared + [f"writer {writer} {shard} {i}" for i in range(20)]


def vectors_of(texts: list[str]) -> npt.NDArray[np.float32]:
    return np.stack([fake_vector(text, DIMENSION) for text in texts])


def open_store(home: Path) -> VectorStore:
    return VectorStore(home, SPACE, DIMENSION)


def append_shards(home: Path, writer: int, shards: int) -> None:
    store = open_store(home)
    for shard in range(shards):
        texts = texts_of(writer, shard)
        store.append([store.key("", text) for text in texts], vectors_of(texts))


def compact_again_and_again(home: Path) -> None:
    """Compact until killed, the bound small enough that there is always something to merge."""
    folder = open_store(home).folder
    while True:
        compact(folder)
        time.sleep(0.01)
