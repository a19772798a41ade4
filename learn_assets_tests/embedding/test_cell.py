"""Cells: the first window of an encoder embeds for all of them, the others only look up."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from learn_assets.embedding.cell import embed_cell, vector_store
from learn_assets.embedding.encoders import Encoder
from learn_assets.lake import Lake
from learn_assets.study import EncoderChoice, Study
from learn_assets_tests.embedding.conftest import make_narratives
from learn_assets_tests.embedding.fakes import CountingBackend

NARRATIVES = make_narratives(12, longest=40)
PATIENTS = NARRATIVES["patient_id"].unique().sort().to_list()
# Of cohort and scoring population; the last two patients are in no window.
POPULATIONS = ((PATIENTS[:4], PATIENTS[4:6]), (PATIENTS[3:8], PATIENTS[8:10]))


@pytest.fixture
def backend(minilm: Encoder, monkeypatch: pytest.MonkeyPatch) -> CountingBackend:
    counting = CountingBackend(minilm.dimension)
    monkeypatch.setattr(
        "learn_assets.embedding.cell.chosen_backend", lambda choice, *, device: counting
    )
    return counting


@pytest.fixture
def filled(small_study: Study, lake: Lake) -> Lake:
    lake.write("narratives", NARRATIVES.sort("patient_id", "kind"))
    mentions = NARRATIVES.select(
        "patient_id",
        "kind",
        pl.col("text").str.split(" | ").list.unique(maintain_order=True).alias("description"),
    ).explode("description", empty_as_null=True)
    lake.write("concept_mentions", mentions.with_columns(days_before=pl.lit(3)))
    for window, populations in zip(small_study.windows, POPULATIONS, strict=True):
        write_populations(lake, window, populations)
    return lake


def write_populations(lake: Lake, window: Any, populations: tuple[list[str], list[str]]) -> None:
    for table, patients in zip(("cohort", "scoring_population"), populations, strict=True):
        lake.write(table, pl.DataFrame({"patient_id": patients}), window=window)


def everyone_in(number: int) -> set[str]:
    cohort, scored = POPULATIONS[number]
    return {*cohort, *scored}


def embedded(study: Study, lake: Lake, number: int, choice: EncoderChoice) -> tuple[int, int, set]:
    """Embed a window: chunks embedded, windows it embedded for, the patients of its table."""
    window = study.windows[number]
    cell = embed_cell(study, lake, window, choice, progress=False)
    table = lake.read("patient_embeddings", window, choice.id)
    assert table.select("patient_id", "kind").rows() == sorted(
        table.select("patient_id", "kind").rows()
    )
    return cell.statistics.embedded, cell.windows, set(table["patient_id"])


MODES = {
    "neutral": {},
    "task": {"mode": "task"},
    "concept": {"mode": "concept"},
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("first", [0, 1])
def test_the_second_window_embeds_nothing(
    mode: str, first: int, small_study: Study, filled: Lake, backend: CountingBackend
) -> None:
    choice = EncoderChoice(id="minilm", overlap_tokens=16, **MODES[mode])
    chunks, windows, patients = embedded(small_study, filled, first, choice)
    assert (chunks > 0, windows) == (True, 2)
    assert patients == everyone_in(first)
    sent = len(backend.texts)
    second = 1 - first
    assert embedded(small_study, filled, second, choice) == (
        0,
        1,
        everyone_in(second),
    )
    assert len(backend.texts) == len(set(backend.texts)) == sent


def test_the_table_of_a_window_does_not_depend_on_who_embedded(
    small_study: Study, filled: Lake, backend: CountingBackend, tmp_path: Path
) -> None:
    choice = EncoderChoice(id="minilm")
    embedded(small_study, filled, 0, choice)
    embedded(small_study, filled, 1, choice)
    alone = Lake(tmp_path / "alone")
    alone.write("narratives", filled.read("narratives"))
    write_populations(alone, small_study.windows[1], POPULATIONS[1])
    assert embedded(small_study, alone, 1, choice)[1] == 1
    place = ("patient_embeddings", small_study.windows[1], choice.id)
    assert filled.stamp(*place) == alone.stamp(*place)


def test_nobody_outside_every_window_is_embedded(
    small_study: Study, filled: Lake, backend: CountingBackend
) -> None:
    choice = EncoderChoice(id="minilm", overlap_tokens=0)
    embedded(small_study, filled, 0, choice)
    sent = set(backend.texts)
    studied = filled.read("narratives").filter(
        pl.col("patient_id").is_in(everyone_in(0) | everyone_in(1))
    )
    assert studied.height < filled.read("narratives").height
    fresh = Lake(filled.root.parent / "fresh")
    fresh.write("narratives", studied)
    for window, populations in zip(small_study.windows, POPULATIONS, strict=True):
        write_populations(fresh, window, populations)
    backend.texts.clear()
    embedded(small_study, fresh, 0, choice)
    assert set(backend.texts) == sent


def more_patients(lake: Lake, study: Study) -> None:
    write_populations(lake, study.windows[1], (POPULATIONS[1][0], PATIENTS[8:]))


def other_texts(lake: Lake, study: Study) -> None:
    texts = pl.col("text") + " | Pain in left knee"
    lake.write("narratives", lake.read("narratives").with_columns(texts))


@pytest.mark.parametrize("change", [more_patients, other_texts])
def test_what_a_window_needs_anew_is_embedded_by_the_next_of_them(
    change: Callable[[Lake, Study], None],
    small_study: Study,
    filled: Lake,
    backend: CountingBackend,
) -> None:
    choice = EncoderChoice(id="minilm")
    embedded(small_study, filled, 0, choice)
    change(filled, small_study)
    chunks, windows, _ = embedded(small_study, filled, 0, choice)
    assert (chunks > 0, windows) == (True, 2)
    assert embedded(small_study, filled, 1, choice)[:2] == (0, 1)


def test_a_store_that_was_emptied_is_filled_whatever_was_noted(
    small_study: Study, filled: Lake, backend: CountingBackend
) -> None:
    choice = EncoderChoice(id="minilm")
    embedded(small_study, filled, 0, choice)
    for shard in vector_store(filled, choice).folder.glob("*.safetensors"):
        shard.unlink()
    chunks, windows, _ = embedded(small_study, filled, 1, choice)
    assert (chunks > 0, windows) == (True, 1)


def test_a_window_without_tables_waits_for_its_turn(
    small_study: Study, filled: Lake, backend: CountingBackend
) -> None:
    choice = EncoderChoice(id="minilm")
    filled.path("cohort", small_study.windows[1]).unlink()
    assert embedded(small_study, filled, 0, choice)[1] == 1
    write_populations(filled, small_study.windows[1], POPULATIONS[1])
    chunks, windows, _ = embedded(small_study, filled, 1, choice)
    assert (chunks > 0, windows) == (True, 2)
