"""Cell: the narratives of one window's patients, embedded with one encoder, into the lake."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl

from learn_assets.cohort.windows import Window
from learn_assets.embedding.concepts import concept_frames
from learn_assets.embedding.encoders import find_encoder
from learn_assets.embedding.engine import EmbeddingRun
from learn_assets.embedding.statistics import EmbeddingStatistics
from learn_assets.embedding.store import VectorStore
from learn_assets.lake import Lake, TableStamp
from learn_assets.study import DEFAULT_HALF_LIFE_DAYS, EncoderChoice, Study


@dataclass(frozen=True)
class EmbeddedCell:
    """What embedding a cell wrote and what it took."""

    stamp: TableStamp
    patients: int
    statistics: EmbeddingStatistics


def vector_store(lake: Lake, choice: EncoderChoice) -> VectorStore:
    """Return the store of an encoder's vectors, shared by all windows of a study."""
    encoder = find_encoder(choice)
    home = lake.folder("embedding_store")
    return VectorStore(home, encoder.space, encoder.dimension, storage=choice.vector_storage)


def cell_narratives(study: Study, lake: Lake, window: Window) -> pl.LazyFrame:
    """Return the narratives of everyone in a window's cohort or scoring population."""
    return _of_cell(study, lake, window, "narratives")


def cell_mentions(study: Study, lake: Lake, window: Window) -> pl.LazyFrame:
    """Return the concept mentions of everyone in a window's cohort or scoring population."""
    return _of_cell(study, lake, window, "concept_mentions")


def embed_cell(
    study: Study, lake: Lake, window: Window, choice: EncoderChoice, *, progress: bool = True
) -> EmbeddedCell:
    """Write `patient_embeddings` of the cohort and the scoring population of a window.

    Without medication when the study leaves it out. MissingTableError names what to make first.
    """
    with EmbeddingRun(
        find_encoder(choice),
        vector_store(lake, choice),
        overlap_tokens=choice.overlap_tokens,
        task_instruction=choice.mode == "task",
        progress=progress,
    ) as run:
        frames = _frames(study, lake, window, choice, run)
        stamp = lake.write("patient_embeddings", frames, window=window, encoder=choice.id)
        statistics = run.statistics()
    written = lake.scan("patient_embeddings", window, choice.id)
    patients = written.select(pl.col("patient_id").n_unique()).collect().item()
    return EmbeddedCell(stamp, patients, statistics)


def _frames(
    study: Study, lake: Lake, window: Window, choice: EncoderChoice, run: EmbeddingRun
) -> Iterator[pl.DataFrame]:
    if choice.mode == "concept":
        half_life = choice.half_life_days or DEFAULT_HALF_LIFE_DAYS
        mentions = cell_mentions(study, lake, window)
        return concept_frames(mentions, run, half_life_days=half_life)
    # The table is sorted by patient and kind, and so is what is written from it.
    return run.frames(cell_narratives(study, lake, window).select("patient_id", "kind", "text"))


def _of_cell(study: Study, lake: Lake, window: Window, table: str) -> pl.LazyFrame:
    everyone = pl.concat(
        [
            lake.scan(population, window).select("patient_id")
            for population in ("cohort", "scoring_population")
        ]
    )
    rows = lake.scan(table).join(everyone, on="patient_id", how="semi", maintain_order="left")
    if study.models.include_medication:
        return rows
    return rows.filter(pl.col("kind") != "medication")
