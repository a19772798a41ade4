"""Vectors without past records: made from the store alone, equal to what embedding would give."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from learn_assets.embedding.chunking import Chunker, load_tokenizer
from learn_assets.embedding.concepts import concept_frames
from learn_assets.embedding.encoders import Encoder
from learn_assets.embedding.engine import EmbeddingRun, embed_narratives
from learn_assets.embedding.past_records import (
    NEWEST,
    OLDEST,
    left_without_ages,
    left_without_halves,
)
from learn_assets.embedding.store import VectorStore
from learn_assets_tests.embedding.conftest import make_narratives
from learn_assets_tests.embedding.fakes import CountingBackend, fake_vector


def not_needed(_: Encoder) -> CountingBackend:
    raise AssertionError("the encoder was loaded although the store has every vector")


def embedded(minilm: Encoder, store: VectorStore) -> pl.DataFrame:
    narratives = make_narratives(8)
    embed_narratives(
        narratives,
        minilm,
        store,
        overlap_tokens=32,
        task_instruction=False,
        progress=False,
        backend=lambda _: CountingBackend(384),
    )
    return narratives


@pytest.mark.parametrize("newest_first", [True, False])
def test_halves_are_means_of_the_other_chunks(
    minilm: Encoder, store: VectorStore, newest_first: bool
) -> None:
    narratives = embedded(minilm, store)
    left = left_without_halves(
        narratives,
        minilm,
        store,
        overlap_tokens=32,
        task_instruction=False,
        newest_first=newest_first,
    )
    found = {item.subject: item for item in left}
    assert set(found) == {NEWEST, OLDEST}
    chunker = Chunker(load_tokenizer(minilm.folder), token_limit=256, overlap_tokens=32)
    texts = {(row["patient_id"], row["kind"]): row["text"] for row in narratives.to_dicts()}
    chunks = {key: chunker.chunk([text])[0] for key, text in texts.items()}
    several = {key for key, parts in chunks.items() if len(parts) > 1}
    assert 3 <= len(several) < len(texts)
    for subject, item in found.items():
        assert {row[:2] for row in item.rows.iter_rows()} == several
        assert not item.rows["emptied"].any()
        for row, vector in zip(item.rows.iter_rows(named=True), item.vectors, strict=True):
            parts = chunks[row["patient_id"], row["kind"]]
            half = len(parts) // 2
            from_start = newest_first == (subject == NEWEST)
            kept = parts[half:] if from_start else parts[: len(parts) - half]
            mean = sum(part.new_tokens * fake_vector(part.text, 384) for part in kept)
            assert vector == pytest.approx(mean / np.linalg.norm(mean), abs=1e-5)


def test_a_narrative_with_a_chunk_that_is_not_stored_is_passed_over(
    minilm: Encoder, store: VectorStore
) -> None:
    long = make_narratives(1, longest=60).with_columns(text=pl.lit("Pain in right knee | " * 200))
    left = left_without_halves(
        long, minilm, store, overlap_tokens=32, task_instruction=False, newest_first=True
    )
    assert list(left) == []


def test_ages_are_taken_away_without_loading_the_encoder(
    minilm: Encoder, store: VectorStore
) -> None:
    mentions = pl.DataFrame(
        [
            ("a", "diagnosis", "Pain in right knee", 10),
            ("a", "diagnosis", "Raynaud's syndrome", 200),
            ("a", "diagnosis", "Raynaud's syndrome", 900),
            ("a", "medication", "hydroxychloroquine", 30),
            ("b", "diagnosis", "Raynaud's syndrome", 400),
        ],
        schema=["patient_id", "kind", "description", "days_before"],
        orient="row",
    ).lazy()
    options = {"overlap_tokens": 0, "task_instruction": False, "progress": False}
    with EmbeddingRun(minilm, store, **options, backend=lambda _: CountingBackend(384)) as run:
        pl.concat(concept_frames(mentions, run, half_life_days=365.0))
    with EmbeddingRun(minilm, store, **options, backend=not_needed) as run:
        found = {
            item.subject: item
            for item in left_without_ages(
                mentions, run, half_life_days=365.0, recency_days=(90, 365)
            )
        }
        last, middle, older = (
            "records of the last 90 days",
            "records 91 to 365 days old",
            "records older than 365 days",
        )
        assert list(found) == [last, middle, older]
        expected = pl.concat(
            concept_frames(mentions.filter(pl.col("days_before") > 90), run, half_life_days=365.0)
        ).filter(patient_id="a")
    assert found[last].rows.rows() == [("a", "diagnosis", False), ("a", "medication", True)]
    assert found[last].vectors[0] == pytest.approx(expected["vector"].to_numpy()[0])
    assert not found[last].vectors[1].any()
    assert found[middle].rows.rows() == [("a", "diagnosis", False)]
    assert found[older].rows.rows() == [("a", "diagnosis", False), ("b", "diagnosis", True)]


def test_nobody_has_nothing_to_take_away(minilm: Encoder, store: VectorStore) -> None:
    nobody = pl.DataFrame(
        schema={
            "patient_id": pl.String,
            "kind": pl.String,
            "description": pl.String,
            "days_before": pl.Int64,
        }
    )
    with EmbeddingRun(
        minilm,
        store,
        overlap_tokens=0,
        task_instruction=False,
        progress=False,
        backend=not_needed,
    ) as run:
        left = list(left_without_ages(nobody.lazy(), run, half_life_days=365.0, recency_days=(90,)))
    assert [item.rows.height for item in left] == [0, 0]
    texts = make_narratives(1).clear()
    options = {"overlap_tokens": 0, "task_instruction": False, "newest_first": True}
    assert list(left_without_halves(texts, minilm, store, **options)) == []
