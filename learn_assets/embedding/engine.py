"""Engine: narratives in, one vector a patient and kind out; a chunk is embedded once, ever.

What belongs here: the order of work (group, cut, look up, embed, commit, pool).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt
import polars as pl
from tokenizers import Tokenizer

from learn_assets.embedding.backends import Backend, Observed, open_backend
from learn_assets.embedding.batching import TokenBudget, plan_batches
from learn_assets.embedding.chunking import Chunk, Chunker, load_tokenizer
from learn_assets.embedding.dispatch import encode_batches
from learn_assets.embedding.encoders import Encoder
from learn_assets.embedding.progress import Progress
from learn_assets.embedding.statistics import EmbeddingStatistics, Tally
from learn_assets.embedding.store import CorruptShardError, VectorStore

_COMMIT_VECTORS = 4_096
_GROUP_CHARACTERS = 8_000_000
_COLUMNS = ("patient_id", "kind", "text")

_log = logging.getLogger(__name__)


class NarrativeError(ValueError):
    """The narratives cannot be embedded as they are; counts only, never a text."""


@dataclass(frozen=True)
class EmbeddingResult:
    """Vectors of all texts and what it took.

    `frame`: patient_id, kind, vector Array(Float32, d), chunks Int32, tokens Int64, sorted by
    patient_id and kind.
    """

    frame: pl.DataFrame
    statistics: EmbeddingStatistics


def embed_narratives(
    narratives: pl.DataFrame | pl.LazyFrame,
    encoder: Encoder,
    store: VectorStore,
    *,
    overlap_tokens: int,
    task_instruction: bool,
    progress: bool = True,
    backend: Callable[[Encoder], Backend] = open_backend,
    commit_seconds: float = 5.0,
) -> EmbeddingResult:
    """Embed narratives (patient_id, kind, text) in any order and return their vectors in memory.

    See `EmbeddingRun`, which yields them instead.
    """
    with EmbeddingRun(
        encoder,
        store,
        overlap_tokens=overlap_tokens,
        task_instruction=task_instruction,
        progress=progress,
        backend=backend,
        commit_seconds=commit_seconds,
    ) as run:
        frame = pl.concat(run.frames(narratives)).sort("patient_id", "kind")
        return EmbeddingResult(frame, run.statistics())


class EmbeddingRun:
    """Embeds texts with one encoder, reading from the store what it holds.

    The vector of a text is the mean of its chunks' vectors weighted by their tokens, each token
    counted once, scaled to length 1. Texts pass in bounded groups; new vectors are committed every
    `commit_seconds`, so a killed run loses only those. The encoder is loaded when first needed and
    let go at the end of the `with` block.
    """

    def __init__(
        self,
        encoder: Encoder,
        store: VectorStore,
        *,
        overlap_tokens: int,
        task_instruction: bool,
        progress: bool = True,
        backend: Callable[[Encoder], Backend] = open_backend,
        commit_seconds: float = 5.0,
    ) -> None:
        """Fix how texts are read. ValueError when the store belongs to another encoder."""
        if store.space != encoder.space:
            raise ValueError(f"the store holds vectors of another encoder than {encoder.id}")
        self._encoder = encoder
        self._store = store
        self._overlap = overlap_tokens
        self._task_instruction = task_instruction
        self._progress = progress
        self._open_backend = backend
        self._commit_seconds = commit_seconds
        self._backend: Backend | None = None
        self._budget: TokenBudget | None = None
        self._tokenizer: Tokenizer = load_tokenizer(encoder.folder)
        self._chunkers: dict[str, Chunker] = {}
        self._tally = Tally()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._backend is not None:
            self._backend.close()
            self._backend = None

    def frames(self, narratives: pl.DataFrame | pl.LazyFrame) -> Iterator[pl.DataFrame]:
        """Yield patient_id, kind, vector, chunks and tokens of each text, in the order given.

        The first frame is empty and has the columns. NarrativeError when a patient and kind come
        twice or a column is missing.
        """
        lazy = _checked(narratives.lazy())
        yield _empty_frame(self._encoder.dimension)
        size = lazy.select(pl.len(), pl.col("text").str.len_chars().sum()).collect()
        texts, characters = size.row(0)
        _log.info("embedding %d texts with %s (%s)", texts, self._encoder.id, self._encoder.dtype)
        with Progress(characters, enabled=self._progress) as bar:
            for group in _groups(lazy):
                yield self._embed_group(group, bar)
        _log.info("embedded %s", self.statistics().summary())

    def statistics(self) -> EmbeddingStatistics:
        """Return the numbers so far."""
        observed = self._backend.observation() if isinstance(self._backend, Observed) else None
        return self._tally.statistics(observed)

    def _embed_group(self, group: pl.DataFrame, bar: Progress) -> pl.DataFrame:
        """Return the vectors of one group of texts, in the group's order."""
        texts = group["text"].fill_null("").to_list()
        prompts = [
            self._encoder.prompt(kind, task_instruction=self._task_instruction)
            for kind in group["kind"]
        ]
        chunks = self._chunk(texts, prompts)
        keys = [
            [self._store.key(prompt, chunk.text) for chunk in parts]
            for prompt, parts in zip(prompts, chunks, strict=True)
        ]
        distinct = {
            key: _Pending(prompt + chunk.text, chunk.length)
            for prompt, parts, part_keys in zip(prompts, chunks, keys, strict=True)
            for chunk, key in zip(parts, part_keys, strict=True)
        }
        bar.start_group(sum(map(len, texts)), sum(item.length for item in distinct.values()))
        self._tally.chunks += len(distinct)
        vectors = self._vectors(distinct, bar)
        bar.finish_group()
        row_of = {key: row for row, key in enumerate(distinct)}
        rows = [[row_of[key] for key in part_keys] for part_keys in keys]
        frame = _pool(group, chunks, rows, vectors)
        self._tally.texts += len(texts)
        self._tally.empty += len(texts) - frame.height
        self._tally.tokens += int(frame["tokens"].sum())
        return frame

    def _chunk(self, texts: Sequence[str], prompts: Sequence[str]) -> list[tuple[Chunk, ...]]:
        chunks: list[tuple[Chunk, ...]] = [()] * len(texts)
        for prompt in dict.fromkeys(prompts):
            chosen = [i for i, other in enumerate(prompts) if other == prompt]
            parts = self._chunker(prompt).chunk([texts[i] for i in chosen])
            for i, part in zip(chosen, parts, strict=True):
                chunks[i] = part
        return chunks

    def _chunker(self, prompt: str) -> Chunker:
        if prompt not in self._chunkers:
            self._chunkers[prompt] = Chunker(
                self._tokenizer,
                token_limit=self._encoder.token_limit,
                overlap_tokens=self._overlap,
                prompt=prompt,
            )
        return self._chunkers[prompt]

    def _vectors(self, distinct: dict[bytes, _Pending], bar: Progress) -> npt.NDArray[np.float32]:
        """Return the vectors of all distinct chunks, embedding those the store lacks."""
        keys = list(distinct)
        while True:
            stored = self._store.contains(keys)
            missing = {k: distinct[k] for k, has in zip(keys, stored, strict=True) if not has}
            if missing:
                self._tally.missing += len(missing)
                self._embed(missing, bar)
            try:
                return self._store.read(keys)
            except CorruptShardError as error:
                _log.warning("%s", error)

    def _embed(self, missing: dict[bytes, _Pending], bar: Progress) -> None:
        backend, budget = self._loaded_backend(bar)
        keys = list(missing)
        lengths = [item.length for item in missing.values()]
        texts = [item.text for item in missing.values()]
        batches = plan_batches(
            lengths, keys, token_budget=budget.tokens, token_limit=self._encoder.token_limit
        )
        before = time.monotonic()
        with _Commits(self._store, self._commit_seconds) as commits:
            for done in encode_batches(backend, texts, batches, budget):
                commits.add([keys[i] for i in done.positions], done.vectors)
                read = [lengths[i] for i in done.positions]
                now = time.monotonic()
                self._tally.add_batch(read, done.batch.padded_length)
                self._tally.encoding_seconds += now - before
                bar.advance(sum(read), self.statistics().status())
                before = now

    def _loaded_backend(self, bar: Progress) -> tuple[Backend, TokenBudget]:
        if self._backend is None or self._budget is None:
            self._backend = self._open_backend(self._encoder)
            self._budget = TokenBudget(self._backend.token_budget)
            bar.encoder_loaded()
        return self._backend, self._budget


@dataclass(frozen=True)
class _Pending:
    """A distinct chunk that may have to be embedded: what the encoder reads, and its length."""

    text: str
    length: int


class _Commits:
    """Gathers vectors and commits them every few seconds, and at the end whatever happens."""

    def __init__(self, store: VectorStore, seconds: float) -> None:
        self._store = store
        self._seconds = seconds
        self._keys: list[bytes] = []
        self._vectors: list[npt.NDArray[np.float32]] = []
        self._last = time.monotonic()

    def __enter__(self) -> _Commits:
        return self

    def __exit__(self, *_: object) -> None:
        self._commit()

    def add(self, keys: Sequence[bytes], vectors: npt.NDArray[np.float32]) -> None:
        self._keys.extend(keys)
        self._vectors.append(vectors)
        late = time.monotonic() - self._last >= self._seconds
        if late or len(self._keys) >= _COMMIT_VECTORS:
            self._commit()

    def _commit(self) -> None:
        if self._keys:
            self._store.append(self._keys, np.concatenate(self._vectors))
        self._keys, self._vectors, self._last = [], [], time.monotonic()


def _pool(
    group: pl.DataFrame,
    chunks: Sequence[tuple[Chunk, ...]],
    rows: Sequence[Sequence[int]],
    vectors: npt.NDArray[np.float32],
) -> pl.DataFrame:
    """Return the token-weighted mean of each text's chunks, scaled to length 1.

    `rows` says which vectors are a text's; a text without chunks has no row in the result.
    """
    dimension = vectors.shape[1]
    kept = [i for i, parts in enumerate(chunks) if parts]
    pooled = np.zeros((len(kept), dimension), dtype=np.float32)
    for row, i in enumerate(kept):
        weights = np.array([chunk.new_tokens for chunk in chunks[i]], dtype=np.float64)
        mean = weights @ vectors[rows[i]].astype(np.float64)
        pooled[row] = mean / np.linalg.norm(mean)
    return group[kept].select(
        pl.col("patient_id"),
        pl.col("kind"),
        pl.Series("vector", pooled, dtype=pl.Array(pl.Float32, dimension)),
        pl.Series("chunks", [len(chunks[i]) for i in kept], dtype=pl.Int32),
        pl.Series("tokens", [sum(c.new_tokens for c in chunks[i]) for i in kept], dtype=pl.Int64),
    )


def _checked(narratives: pl.LazyFrame) -> pl.LazyFrame:
    present = narratives.collect_schema().names()
    absent = [name for name in _COLUMNS if name not in present]
    if absent:
        raise NarrativeError(f"narratives lack the columns {absent}; they have {present}")
    lazy = narratives.select(pl.col(name).cast(pl.String) for name in _COLUMNS)
    repeated = (
        lazy.group_by("patient_id", "kind").len().filter(pl.col("len") > 1).select(pl.len())
    ).collect()
    if count := repeated.item():
        raise NarrativeError(f"{count} pairs of patient and kind come more than once")
    return lazy


def _groups(narratives: pl.LazyFrame) -> Iterator[pl.DataFrame]:
    """Yield rows in order, in groups whose bounds depend on the texts alone."""
    held: list[pl.DataFrame] = []
    characters = 0
    for batch in narratives.collect_batches(maintain_order=True):
        sizes = batch["text"].str.len_chars().fill_null(0).cum_sum().to_list()
        start, before = 0, 0
        for row, size in enumerate(sizes):
            if characters + size - before >= _GROUP_CHARACTERS:
                held.append(batch[start : row + 1])
                yield pl.concat(held)
                held, characters, start, before = [], 0, row + 1, size
        if start < batch.height:
            held.append(batch[start:])
            characters += sizes[-1] - before
    if held:
        yield pl.concat(held)


def _empty_frame(dimension: int) -> pl.DataFrame:
    return pl.DataFrame(
        schema={
            "patient_id": pl.String,
            "kind": pl.String,
            "vector": pl.Array(pl.Float32, dimension),
            "chunks": pl.Int32,
            "tokens": pl.Int64,
        }
    )
