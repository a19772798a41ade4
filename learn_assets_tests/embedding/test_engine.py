"""Engine: vectors as defined, nothing embedded twice, and a killed run goes on where it was."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from learn_assets.embedding.chunking import Chunker, load_tokenizer
from learn_assets.embedding.encoders import Encoder
from learn_assets.embedding.engine import EmbeddingResult, NarrativeError, embed_narratives
from learn_assets.embedding.store import VectorStore
from learn_assets_tests.embedding.conftest import make_narratives
from learn_assets_tests.embedding.fakes import CountingBackend, InterruptedRunError, fake_vector


def embed(
    narratives: pl.DataFrame | pl.LazyFrame,
    encoder: Encoder,
    store: VectorStore,
    backend: CountingBackend,
    *,
    overlap_tokens: int = 32,
    task_instruction: bool = False,
    commit_seconds: float = 5.0,
) -> EmbeddingResult:
    return embed_narratives(
        narratives,
        encoder,
        store,
        overlap_tokens=overlap_tokens,
        task_instruction=task_instruction,
        progress=False,
        backend=backend,
        commit_seconds=commit_seconds,
    )


@pytest.mark.parametrize("task_instruction", [False, True])
def test_vector_is_the_token_weighted_mean_of_the_chunks(
    minilm: Encoder, store: VectorStore, task_instruction: bool
) -> None:
    narratives = make_narratives(10)
    result = embed(
        narratives, minilm, store, CountingBackend(384), task_instruction=task_instruction
    )
    assert result.frame.schema["vector"] == pl.Array(pl.Float32, 384)
    for row in result.frame.join(narratives, on=["patient_id", "kind"]).iter_rows(named=True):
        prompt = minilm.prompt(row["kind"], task_instruction=task_instruction)
        chunker = Chunker(
            load_tokenizer(minilm.folder), token_limit=256, overlap_tokens=32, prompt=prompt
        )
        (chunks,) = chunker.chunk([row["text"]])
        total = sum(c.new_tokens * fake_vector(prompt + c.text, 384) for c in chunks)
        np.testing.assert_allclose(row["vector"], total / np.linalg.norm(total), atol=1e-6)
        assert (row["chunks"], row["tokens"]) == (
            len(chunks),
            sum(chunk.new_tokens for chunk in chunks),
        )


def test_second_run_embeds_nothing_and_does_not_load_the_encoder(
    minilm: Encoder, store: VectorStore
) -> None:
    narratives = make_narratives(10)
    first = embed(narratives, minilm, store, CountingBackend(384))

    def not_needed(_: Encoder) -> CountingBackend:
        raise AssertionError("the encoder was loaded")

    second = embed_narratives(
        narratives.sample(fraction=1.0, shuffle=True, seed=1).lazy(),
        minilm,
        VectorStore(store.folder.parent, minilm.space, 384),
        overlap_tokens=32,
        task_instruction=False,
        progress=False,
        backend=not_needed,
    )
    assert second.frame.equals(first.frame)
    assert second.statistics.embedded == 0
    assert second.statistics.reused == first.statistics.embedded


def test_a_chunk_of_several_patients_is_embedded_once(minilm: Encoder, store: VectorStore) -> None:
    narratives = make_narratives(5).with_columns(kind=pl.lit("diagnosis")).unique("patient_id")
    twice = pl.concat([narratives, narratives.with_columns(kind=pl.lit("procedure"))])
    backend = CountingBackend(384)
    result = embed(twice, minilm, store, backend)
    assert len(backend.texts) == len(set(backend.texts)) == result.frame["chunks"].sum() // 2


def test_only_changed_texts_are_embedded_again(minilm: Encoder, store: VectorStore) -> None:
    narratives = make_narratives(10)
    embed(narratives, minilm, store, CountingBackend(384))
    refreshed = pl.concat(
        [
            narratives,
            pl.DataFrame({"patient_id": ["new"], "kind": ["diagnosis"], "text": ["Knee pain"]}),
        ]
    )
    backend = CountingBackend(384)
    embed(refreshed, minilm, store, backend)
    assert backend.texts == ["Knee pain"]


def test_changed_overlap_prompt_or_encoder_is_noticed(minilm: Encoder, store: VectorStore) -> None:
    narratives = make_narratives(6)
    embed(narratives, minilm, store, CountingBackend(384))
    overlap = CountingBackend(384)
    embed(narratives, minilm, store, overlap, overlap_tokens=16)
    prompt = CountingBackend(384)
    embed(narratives, minilm, store, prompt, task_instruction=True)
    other = replace(minilm, revision="other")
    revision = CountingBackend(384)
    embed(narratives, other, VectorStore(store.folder.parent, other.space, 384), revision)
    assert all(backend.texts for backend in (overlap, prompt, revision))
    with pytest.raises(ValueError, match="another encoder"):
        embed(narratives, other, store, CountingBackend(384))


def test_groups_leave_no_trace_in_the_result(
    minilm: Encoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    narratives = make_narratives(12)
    results = []
    for characters in (8_000_000, 3_000, 1):
        monkeypatch.setattr("learn_assets.embedding.engine._GROUP_CHARACTERS", characters)
        store = VectorStore(tmp_path / str(characters), minilm.space, 384)
        results.append(embed(narratives, minilm, store, CountingBackend(384)).frame)
    assert results[0].equals(results[1])
    assert results[0].equals(results[2])


def test_interrupted_run_redoes_nothing_committed(minilm: Encoder, store: VectorStore) -> None:
    narratives = make_narratives(10)
    dying = CountingBackend(384, dies_after=7)
    with pytest.raises(InterruptedRunError):
        embed(narratives, minilm, store, dying, commit_seconds=0.0)
    resumed = CountingBackend(384)
    reopened = VectorStore(store.folder.parent, minilm.space, 384)
    assert len(reopened) == len(dying.texts) > 0
    result = embed(narratives, minilm, reopened, resumed)
    assert not set(dying.texts) & set(resumed.texts)
    fresh = VectorStore(store.folder.parent / "fresh", minilm.space, 384)
    assert result.frame.equals(embed(narratives, minilm, fresh, CountingBackend(384)).frame)


VICTIM = """
import sys
from pathlib import Path
from learn_assets.embedding.encoders import find_encoder
from learn_assets.embedding.store import VectorStore
from learn_assets.study import EncoderChoice
from learn_assets_tests.embedding.conftest import make_narratives
from learn_assets_tests.embedding.fakes import CountingBackend
from learn_assets_tests.embedding.test_engine import embed
encoder = find_encoder(EncoderChoice(id="minilm"))
store = VectorStore(Path(sys.argv[1]), encoder.space, 384)
backend = CountingBackend(384, seconds=0.05)
embed(make_narratives(40), encoder, store, backend, commit_seconds=0.1)
"""


@pytest.mark.slow
@pytest.mark.parametrize("shards", [1, 3, 6])
def test_killed_run_goes_on(minilm: Encoder, tmp_path: Path, shards: int) -> None:
    folder = VectorStore(tmp_path, minilm.space, 384).folder
    victim = subprocess.Popen([sys.executable, "-c", VICTIM, str(tmp_path)])
    deadline = time.monotonic() + 120
    while len(list(folder.glob("*.safetensors"))) < shards and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(victim.pid, signal.SIGKILL)
    assert victim.wait() == -signal.SIGKILL

    store = VectorStore(tmp_path, minilm.space, 384)
    assert store.verify().corrupt == 0
    committed = len(store)
    backend = CountingBackend(384)
    result = embed(make_narratives(40), minilm, store, backend)
    assert result.statistics.reused == committed > 0
    assert len(backend.texts) == result.statistics.chunks - committed
    fresh = VectorStore(tmp_path / "fresh", minilm.space, 384)
    again = embed(make_narratives(40), minilm, fresh, CountingBackend(384))
    assert result.frame.equals(again.frame)


def test_damaged_shard_is_embedded_again_in_the_same_run(
    minilm: Encoder, store: VectorStore, caplog: pytest.LogCaptureFixture
) -> None:
    narratives = make_narratives(10)
    first = embed(narratives, minilm, store, CountingBackend(384), commit_seconds=0.0)
    victim = min(store.folder.glob("*.safetensors"))
    content = bytearray(victim.read_bytes())
    content[-50] ^= 1
    victim.write_bytes(content)
    backend = CountingBackend(384)
    reopened = VectorStore(store.folder.parent, minilm.space, 384)
    with caplog.at_level(logging.WARNING):
        second = embed(narratives, minilm, reopened, backend)
    assert second.frame.equals(first.frame)
    assert 0 < len(backend.texts) < first.statistics.chunks
    assert "set aside" in caplog.text


def test_texts_without_tokens_are_counted_not_invented(minilm: Encoder, store: VectorStore) -> None:
    narratives = pl.DataFrame(
        {
            "patient_id": ["a", "b", "c"],
            "kind": ["diagnosis"] * 3,
            "text": ["Knee pain", " ", None],
        }
    )
    result = embed(narratives, minilm, store, CountingBackend(384))
    assert result.frame["patient_id"].to_list() == ["a"]
    assert (result.statistics.texts, result.statistics.empty) == (3, 2)


def test_no_narratives_make_an_empty_table(minilm: Encoder, store: VectorStore) -> None:
    full = embed(make_narratives(2), minilm, store, CountingBackend(384))
    empty = embed(make_narratives(2).clear(), minilm, store, CountingBackend(384))
    assert empty.frame.height == 0
    assert empty.frame.schema == full.frame.schema


def test_narratives_must_be_one_a_patient_and_kind(minilm: Encoder, store: VectorStore) -> None:
    narratives = make_narratives(2)
    with pytest.raises(NarrativeError, match="6 pairs"):
        embed(pl.concat([narratives, narratives]), minilm, store, CountingBackend(384))
    with pytest.raises(NarrativeError, match="text"):
        embed(narratives.drop("text"), minilm, store, CountingBackend(384))


def test_log_and_bar_carry_counts_only(
    minilm: Encoder,
    store: VectorStore,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with caplog.at_level(logging.DEBUG):
        embed_narratives(
            make_narratives(4),
            minilm,
            store,
            overlap_tokens=32,
            task_instruction=False,
            progress=True,
            backend=CountingBackend(384),
        )
    output = capsys.readouterr()
    assert "tokens/s" in output.err
    assert output.out == ""
    for revealing in ("p0001", "Raynaud", "knee"):
        assert revealing not in caplog.text + output.err
