"""Cell: the narratives of one window's patients, embedded with one encoder, into the lake.

What belongs here: who is embedded when. The first window of an encoder embeds what every window of
the study reads, so the others find their vectors in the store.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from learn_assets.digests import digest_of
from learn_assets.embedding.backends.chosen import chosen_backend
from learn_assets.embedding.concepts import concept_frames
from learn_assets.embedding.encoders import find_encoder
from learn_assets.embedding.engine import EmbeddingRun
from learn_assets.embedding.statistics import EmbeddingStatistics
from learn_assets.embedding.store import VectorStore
from learn_assets.lake import Lake, TableStamp
from learn_assets.staging import write_atomically
from learn_assets.study import DEFAULT_HALF_LIFE_DAYS, EncoderChoice, Study
from learn_assets.study.windows import Window

POPULATIONS = ("cohort", "scoring_population")


@dataclass(frozen=True)
class EmbeddedCell:
    """What embedding a cell wrote and what it took.

    `windows`: of how many windows it embedded the patients; later ones find theirs in the store.
    """

    stamp: TableStamp
    patients: int
    windows: int
    statistics: EmbeddingStatistics


def vector_store(lake: Lake, choice: EncoderChoice) -> VectorStore:
    """Return the store of an encoder's vectors, shared by all windows of a study."""
    encoder = find_encoder(choice)
    home = lake.folder("embedding_store")
    return VectorStore(home, encoder.space, encoder.dimension, storage=choice.vector_storage)


def texts_table(choice: EncoderChoice) -> str:
    """Return the table an encoder reads: whole histories, or descriptions one by one."""
    return "concept_mentions" if choice.mode == "concept" else "narratives"


def cell_narratives(study: Study, lake: Lake, window: Window) -> pl.LazyFrame:
    """Return the narratives of everyone in a window's cohort or scoring population."""
    return _texts_of(study, lake, (window,), "narratives")


def cell_mentions(study: Study, lake: Lake, window: Window) -> pl.LazyFrame:
    """Return the concept mentions of everyone in a window's cohort or scoring population."""
    return _texts_of(study, lake, (window,), "concept_mentions")


def embed_cell(
    study: Study,
    lake: Lake,
    window: Window,
    choice: EncoderChoice,
    *,
    progress: bool = True,
    device: str | None = None,
) -> EmbeddedCell:
    """Write `patient_embeddings` of the cohort and the scoring population of a window.

    Without medication when the study leaves it out. Unless that was done before, what the other
    windows in the lake need goes to the store in the same pass. `device` as torch spells it.
    MissingTableError names what to make first.
    """
    others = _windows_to_prepare(study, lake, window, choice)
    with EmbeddingRun(
        find_encoder(choice),
        vector_store(lake, choice),
        overlap_tokens=choice.overlap_tokens,
        task_instruction=choice.mode == "task",
        progress=progress,
        backend=chosen_backend(choice, device=device),
    ) as run:
        frames = _frames(study, lake, (window, *others), choice, run)
        stamp = lake.write("patient_embeddings", frames, window=window, encoder=choice.id)
        statistics = run.statistics()
    if others:
        _remember_prepared(study, lake, choice)
    written = lake.scan("patient_embeddings", window, choice.id)
    patients = written.select(pl.col("patient_id").n_unique()).collect().item()
    return EmbeddedCell(stamp, patients, 1 + len(others), statistics)


def _frames(
    study: Study,
    lake: Lake,
    windows: tuple[Window, ...],
    choice: EncoderChoice,
    run: EmbeddingRun,
) -> Iterator[pl.DataFrame]:
    """Embed what all of the windows read, and yield the rows of the first."""
    table = texts_table(choice)
    everything = _texts_of(study, lake, windows, table)
    if choice.mode == "concept":
        half_life = choice.half_life_days or DEFAULT_HALF_LIFE_DAYS
        own = cell_mentions(study, lake, windows[0])
        return concept_frames(own, run, half_life_days=half_life, described=everything)
    # The table is sorted by patient and kind, and so is what is written from it.
    frames = run.frames(everything.select("patient_id", "kind", "text"))
    if len(windows) == 1:
        return frames
    patients = _patients(lake, windows[:1]).unique().collect()
    return (f.join(patients, on="patient_id", how="semi", maintain_order="left") for f in frames)


def _texts_of(study: Study, lake: Lake, windows: Iterable[Window], table: str) -> pl.LazyFrame:
    patients = _patients(lake, windows)
    rows = lake.scan(table).join(patients, on="patient_id", how="semi", maintain_order="left")
    if study.models.include_medication:
        return rows
    return rows.filter(pl.col("kind") != "medication")


def _patients(lake: Lake, windows: Iterable[Window]) -> pl.LazyFrame:
    return pl.concat(
        [
            lake.scan(population, window).select("patient_id")
            for window in windows
            for population in POPULATIONS
        ]
    )


def _windows_to_prepare(
    study: Study, lake: Lake, window: Window, choice: EncoderChoice
) -> tuple[Window, ...]:
    """Return the other windows whose patients are known and may still have to be embedded."""
    note = _prepared_note(lake, choice)
    if note.exists() and note.read_text(encoding="utf-8") == _needed(study, lake, choice):
        return ()
    return tuple(other for other in _known_windows(study, lake) if other != window)


def _remember_prepared(study: Study, lake: Lake, choice: EncoderChoice) -> None:
    write_atomically(_prepared_note(lake, choice), _needed(study, lake, choice))


def _prepared_note(lake: Lake, choice: EncoderChoice) -> Path:
    """Return the file that says what the last pass over all windows embedded.

    It only spares work: vectors that the store lacks are embedded whatever it says.
    """
    return lake.folder("embedding_store") / f"prepared.{choice.id}.txt"


def _needed(study: Study, lake: Lake, choice: EncoderChoice) -> str:
    """Return the digest of every text that the windows in the lake have embedded, and how."""
    places = [(population, w) for w in _known_windows(study, lake) for population in POPULATIONS]
    stamps = [lake.stamp(texts_table(choice)), *(lake.stamp(*place) for place in places)]
    parts = [
        find_encoder(choice).space,
        choice.model_dump_json(include={"mode", "overlap_tokens", "vector_storage"}),
        str(study.models.include_medication),
        *(stamp.fingerprint for stamp in stamps if stamp),
    ]
    return digest_of(parts)


def _known_windows(study: Study, lake: Lake) -> list[Window]:
    return [
        window
        for window in study.windows
        if all(lake.stamp(population, window) for population in POPULATIONS)
    ]
