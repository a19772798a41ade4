"""Cell: the narratives of one window's patients, embedded with one encoder, into the lake."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from learn_assets.cohort.windows import Window
from learn_assets.embedding.encoders import find_encoder
from learn_assets.embedding.engine import EmbeddingStatistics, embed_narratives
from learn_assets.embedding.store import VectorStore
from learn_assets.lake import Lake, TableStamp
from learn_assets.study import EncoderChoice, Study


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
    everyone = pl.concat(
        [
            lake.scan(table, window).select("patient_id")
            for table in ("cohort", "scoring_population")
        ]
    )
    narratives = lake.scan("narratives").join(everyone, on="patient_id", how="semi")
    if study.models.include_medication:
        return narratives
    return narratives.filter(pl.col("kind") != "medication")


def embed_cell(
    study: Study, lake: Lake, window: Window, choice: EncoderChoice, *, progress: bool = True
) -> EmbeddedCell:
    """Write `patient_embeddings` of the cohort and the scoring population of a window.

    Without medication when the study leaves it out. MissingTableError names what to make first.
    """
    narratives = cell_narratives(study, lake, window)
    result = embed_narratives(
        narratives.select("patient_id", "kind", "text"),
        find_encoder(choice),
        vector_store(lake, choice),
        overlap_tokens=choice.overlap_tokens,
        task_instruction=choice.mode == "task",
        progress=progress,
    )
    stamp = lake.write("patient_embeddings", result.frame, window=window, encoder=choice.id)
    return EmbeddedCell(stamp, result.frame["patient_id"].n_unique(), result.statistics)
