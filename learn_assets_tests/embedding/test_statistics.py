"""What a run says of itself: in the bar, in the log, as numbers; and nothing of a patient."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from dagster import DagsterInstance

from learn_assets.defs.embeddings import shown_numbers
from learn_assets.embedding import progress as progress_module
from learn_assets.embedding.backends import Observation
from learn_assets.embedding.encoders import Encoder
from learn_assets.embedding.engine import embed_narratives
from learn_assets.embedding.progress import Progress
from learn_assets.embedding.statistics import EmbeddingStatistics
from learn_assets.embedding.store import VectorStore
from learn_assets_tests.embedding.conftest import make_narratives
from learn_assets_tests.embedding.fakes import CountingBackend

GPU = Observation("transformers", "cuda:0", 11 << 30, 2e9, 1e3, 1e12)


class ObservedBackend(CountingBackend):
    """A fake that says it runs on a GPU of one teraflop a second."""

    def observation(self) -> Observation:
        return GPU


def test_useful_operations_are_held_against_the_peak() -> None:
    statistics = EmbeddingStatistics(
        texts=10,
        chunks=8,
        missing=6,
        embedded=6,
        embedded_tokens=900,
        padded_tokens=1_000,
        flops=4e12,
        seconds=10.0,
        encoding_seconds=5.0,
        observation=GPU,
    )
    assert statistics.share_of_peak == pytest.approx(0.8)
    assert statistics.status() == (
        "180 tokens/s, 10% padding, 25% from the store, 80% of peak, 11.0 GiB at most"
    )
    assert "1 texts/s" in statistics.summary()
    assert "transformers on cuda:0, 80% of peak, 11.0 GiB at most" in statistics.summary()
    assert shown_numbers(statistics) == {
        "chunks": 8,
        "chunks_embedded": 6,
        "chunks_reused": 2,
        "share_reused": 0.25,
        "tokens_per_second": 180,
        "texts_per_second": 1.0,
        "share_of_padding": 0.1,
        "seconds": 10.0,
        "backend": "transformers",
        "device": "cuda:0",
        "peak_memory_gib": 11.0,
        "share_of_peak": 0.8,
    }


def test_what_is_not_known_is_left_out() -> None:
    bare = EmbeddingStatistics()
    assert "peak" not in bare.status() + bare.summary()
    assert not {"share_of_peak", "peak_memory_gib", "device"} & set(shown_numbers(bare))


def test_the_bar_says_how_it_goes_and_how_long_it_takes(
    minilm: Encoder,
    store: VectorStore,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(progress_module, "_LOG_SECONDS", 0.0)
    narratives = make_narratives(4)
    for rows in (6, 12):
        embed_narratives(
            narratives[:rows],
            minilm,
            store,
            overlap_tokens=32,
            task_instruction=False,
            backend=ObservedBackend(minilm.dimension),
        )
    shown = capsys.readouterr().err
    for words in ("tokens/s", "padding", "from the store", "of peak", "11.0 GiB", "left"):
        assert words in shown
    assert "100%" in shown


def test_the_log_has_a_line_a_minute_with_the_time_left(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1_000.0
    monkeypatch.setattr(progress_module.time, "monotonic", lambda: now)
    with caplog.at_level(logging.INFO), Progress(4_000, enabled=False) as bar:
        bar.start_group(2_000, 100)
        now += 600.0
        bar.encoder_loaded()
        for _ in range(10):
            now += 30.0
            bar.advance(10, "fast")
    # Half of the characters took 300 s, once the encoder was there.
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 5
    assert lines[-1] == "embedding: 50%, fast, about 5 min left"


def test_the_instance_keeps_these_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    template = Path(__file__).parents[2] / "deploy" / "dagster.yaml"
    (tmp_path / "dagster.yaml").write_text(template.read_text(encoding="utf-8"), encoding="utf-8")
    with DagsterInstance.from_config(str(tmp_path)) as instance:
        assert instance.managed_python_loggers == ["learn_assets.embedding"]
        assert instance.get_concurrency_config().pool_config.default_pool_limit == 1
