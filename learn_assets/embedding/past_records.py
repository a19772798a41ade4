"""Past records: what the vectors of patients would be without some of their past records.

What belongs here: vectors made again from those the store holds, for explanations. Of narratives
the store holds chunks, so halves of a text can be taken away; of concepts it holds descriptions, so
records of any age can. Nothing is embedded that is in the store.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import polars as pl

from learn_assets.embedding.backends.chosen import chosen_backend
from learn_assets.embedding.cell import cell_mentions, cell_narratives, vector_store
from learn_assets.embedding.chunking import Chunk, Chunker, load_tokenizer
from learn_assets.embedding.concepts import concept_frames
from learn_assets.embedding.encoders import Encoder, find_encoder
from learn_assets.embedding.engine import EmbeddingRun
from learn_assets.embedding.store import Vectors, VectorStore
from learn_assets.lake import Lake
from learn_assets.study import DEFAULT_HALF_LIFE_DAYS, EncoderChoice, Study
from learn_assets.study.windows import Window

NEWEST, OLDEST = "newest half of the text", "oldest half of the text"
_TEXTS = 2_000
_KEY = ("patient_id", "kind")


@dataclass(frozen=True)
class RemainingVectors:
    """Vectors of those whose records of a group (`subject`) were taken away.

    rows: patient_id, kind, emptied (nothing is left); vectors: float32 (rows, d), 0 where emptied.
    """

    subject: str
    rows: pl.DataFrame
    vectors: Vectors


def remaining_vectors(
    study: Study, lake: Lake, window: Window, choice: EncoderChoice, patient_ids: Sequence[str]
) -> Iterator[RemainingVectors]:
    """Yield what is left of patients' vectors without each group of past records.

    Encoder mode `concept`: records of each age band of `evaluation.recency_days`. Other modes: the
    newest and the oldest half of each narrative of two chunks or more.
    """
    chosen = pl.LazyFrame({"patient_id": list(patient_ids)}, schema={"patient_id": pl.String})
    store = vector_store(lake, choice)
    if choice.mode == "concept":
        mentions = _of(chosen, cell_mentions(study, lake, window))
        with EmbeddingRun(
            find_encoder(choice),
            store,
            overlap_tokens=choice.overlap_tokens,
            task_instruction=False,
            progress=False,
            backend=chosen_backend(choice),
        ) as run:
            yield from left_without_ages(
                mentions,
                run,
                half_life_days=choice.half_life_days or DEFAULT_HALF_LIFE_DAYS,
                recency_days=study.evaluation.recency_days,
            )
        return
    yield from left_without_halves(
        _of(chosen, cell_narratives(study, lake, window)).select(*_KEY, "text").collect(),
        find_encoder(choice),
        store,
        overlap_tokens=choice.overlap_tokens,
        task_instruction=choice.mode == "task",
        newest_first=study.narratives.order == "recent_first",
    )


def left_without_ages(
    mentions: pl.LazyFrame,
    run: EmbeddingRun,
    *,
    half_life_days: float,
    recency_days: Sequence[int],
) -> Iterator[RemainingVectors]:
    """Yield what is left without the records of each band of age in days before the index date.

    mentions: as `concept_frames` takes them. A band ends with its day of `recency_days`.
    """
    age = pl.col("days_before")
    for after, until in pairwise([0, *recency_days, None]):
        inside = (age > after) & ((age <= until) if until is not None else pl.lit(value=True))
        touched = mentions.filter(inside).select(_KEY).unique().sort(_KEY).collect()
        left = pl.concat(
            concept_frames(mentions.filter(~inside), run, half_life_days=half_life_days)
        )
        yield _aligned(_age_words(after or 0, until), touched, left)


def left_without_halves(
    texts: pl.DataFrame,
    encoder: Encoder,
    store: VectorStore,
    *,
    overlap_tokens: int,
    task_instruction: bool,
    newest_first: bool,
) -> Iterator[RemainingVectors]:
    """Yield what is left of narratives (patient_id, kind, text) without one half of their chunks.

    Of an odd number of chunks the middle one stays. Texts of one chunk are passed over, and those
    of which the store lacks a chunk: nothing is embedded.
    """
    tokenizer = load_tokenizer(encoder.folder)
    parts: dict[str, list[tuple[pl.DataFrame, Vectors]]] = {NEWEST: [], OLDEST: []}
    for (kind,), of_kind in texts.group_by("kind", maintain_order=True):
        prompt = encoder.prompt(str(kind), task_instruction=task_instruction)
        chunker = Chunker(
            tokenizer,
            token_limit=encoder.token_limit,
            overlap_tokens=overlap_tokens,
            prompt=prompt,
        )
        for group in of_kind.iter_slices(_TEXTS):
            for subject, rows, vectors in _halves(group, chunker, store, prompt, newest_first):
                parts[subject].append((rows, vectors))
    for subject, pieces in parts.items():
        if pieces:
            rows = pl.concat([rows for rows, _ in pieces])
            yield RemainingVectors(subject, rows, np.concatenate([left for _, left in pieces]))


def _of(chosen: pl.LazyFrame, table: pl.LazyFrame) -> pl.LazyFrame:
    return table.join(chosen, on="patient_id", how="semi", maintain_order="left")


def _aligned(subject: str, touched: pl.DataFrame, left: pl.DataFrame) -> RemainingVectors:
    """Return the vectors left in the order of who was touched."""
    place = touched.join(
        left.select(_KEY).with_row_index("row"), on=_KEY, how="left", maintain_order="left"
    )["row"]
    emptied = place.is_null()
    stacked = left["vector"].to_numpy()
    vectors = np.zeros((len(touched), stacked.shape[1]), dtype=np.float32)
    vectors[~emptied.to_numpy()] = stacked[place.drop_nulls().to_numpy()]
    return RemainingVectors(subject, touched.with_columns(emptied.alias("emptied")), vectors)


def _age_words(after: int, until: int | None) -> str:
    if until is None:
        return f"records older than {after} days" if after else "all records"
    return (
        f"records of the last {until} days"
        if not after
        else f"records {after + 1} to {until} days old"
    )


def _halves(
    group: pl.DataFrame,
    chunker: Chunker,
    store: VectorStore,
    prompt: str,
    newest_first: bool,
) -> Iterator[tuple[str, pl.DataFrame, Vectors]]:
    chunks = chunker.chunk(group["text"].to_list())
    keys = [[store.key(prompt, chunk.text) for chunk in parts] for parts in chunks]
    several = [place for place, parts in enumerate(chunks) if len(parts) > 1]
    held = [place for place in several if store.contains(keys[place]).all()]
    if not held:
        return
    vectors = [store.read(keys[place]) for place in held]
    rows = group[held].select(*_KEY, pl.lit(value=False).alias("emptied"))
    for subject in (NEWEST, OLDEST):
        first = newest_first == (subject == NEWEST)
        left = [
            _pooled(chunks[place], of_text, gone_first=first)
            for place, of_text in zip(held, vectors, strict=True)
        ]
        yield subject, rows, np.stack(left)


def _pooled(chunks: Sequence[Chunk], vectors: Vectors, *, gone_first: bool) -> Vectors:
    """Return the token-weighted mean of the chunks but those of one half, scaled to length 1."""
    gone = len(chunks) // 2
    kept = slice(gone, None) if gone_first else slice(0, len(chunks) - gone)
    weights = np.array([chunk.new_tokens for chunk in chunks[kept]], dtype=np.float64)
    mean = weights @ vectors[kept].astype(np.float64)
    return np.asarray(mean / np.linalg.norm(mean), dtype=np.float32)
