from __future__ import annotations

import os
import stat
import tempfile
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learn_assets.lake import (
    Lake,
    LakeHomeError,
    MissingTableError,
    fingerprint_file,
)
from learn_assets.study.windows import Window

WINDOW = Window(LIS=730, BP=180, FUP=1825)
OLD = pl.DataFrame({"patient_id": ["a", "b"], "records": [1, 2]})
NEW = pl.DataFrame({"patient_id": ["a", "b", "c"], "records": [1, 2, 3]})


class KilledError(Exception):
    """Stands for a process that ends between two steps of a commit."""


def test_each_table_has_its_own_place(lake: Lake) -> None:
    places = {
        lake.path("cohort"),
        lake.path("cohort", WINDOW),
        lake.path("cohort", WINDOW, "minilm"),
        lake.path("attrition", WINDOW),
    }
    assert len(places) == 4
    assert lake.path("cohort", WINDOW) == lake.path("cohort", WINDOW.key)
    assert lake.path("cohort", WINDOW) == (
        lake.root / "tables" / "LIS-730_BP-180_FUP-1825" / "cohort.parquet"
    )


def test_an_encoder_without_a_window_is_refused(lake: Lake) -> None:
    with pytest.raises(ValueError, match="patient_embeddings"):
        lake.path("patient_embeddings", encoder="minilm")


def test_what_is_written_is_read_back_with_its_stamp(lake: Lake) -> None:
    stamp = lake.write("patient", OLD, window=WINDOW)
    assert lake.read("patient", WINDOW).equals(OLD)
    assert lake.stamp("patient", WINDOW) == stamp
    assert (stamp.rows, set(stamp.columns)) == (2, {"patient_id", "records"})
    assert lake.stamp("patient") is None


def test_a_lake_whose_name_looks_like_a_pattern_reads_its_own_tables(tmp_path: Path) -> None:
    Lake(tmp_path / "lake 2").write("patient", OLD)
    for name in ("lake [v2]", "lake ?", "lake *", "lake ["):
        lake = Lake(tmp_path / name)
        assert lake.write("patient", NEW).rows == NEW.height
        assert lake.read("patient").equals(NEW)


def test_a_missing_table_says_which_one_and_what_to_do(lake: Lake) -> None:
    with pytest.raises(MissingTableError, match=r"`cohort` for LIS-730.*materialize"):
        lake.scan("cohort", WINDOW)


def test_a_table_without_its_stamp_does_not_exist(lake: Lake) -> None:
    lake.write("patient", OLD)
    lake.path("patient").with_suffix(".stamp.json").unlink()
    with pytest.raises(MissingTableError):
        lake.read("patient")


def test_an_empty_table_is_a_table_and_no_frame_is_not(lake: Lake) -> None:
    assert lake.write("cohort", OLD.clear()).rows == 0
    assert lake.read("cohort").schema == OLD.schema
    with pytest.raises(ValueError, match="cohort"):
        lake.write("cohort", iter([]))


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_only_the_owner_can_open_the_lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "parent" / "home"
    monkeypatch.setenv("LEARN_HOME", str(home))
    lake = Lake.open("demo", tmp_path / "ignored")
    lake.write("patient", OLD, window=WINDOW)
    assert {mode(path) for path in (home, *home.rglob("*")) if path.is_dir()} == {0o700}
    assert {mode(path) for path in home.rglob("*") if path.is_file()} == {0o600}
    assert not (tmp_path / "ignored").exists()


def test_a_home_that_was_there_before_keeps_its_mode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    monkeypatch.setenv("LEARN_HOME", str(shared))
    lake = Lake.open("demo", tmp_path / "ignored")
    assert mode(shared) == 0o1777
    assert mode(lake.root) == 0o700


def test_a_home_that_cannot_hold_a_lake_is_named_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("not a folder", encoding="utf-8")
    monkeypatch.setenv("LEARN_HOME", str(tmp_path / "file"))
    with pytest.raises(LakeHomeError, match=r"file.*LEARN_HOME"):
        Lake.open("demo", tmp_path / "ignored")


def test_two_writers_of_one_table_never_mix_a_table_with_the_others_stamp(lake: Lake) -> None:
    frames = (OLD, NEW)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda turn: lake.write("cohort", frames[turn % 2]), range(80)))
    stamp = lake.stamp("cohort")
    assert stamp == fingerprint_file(lake.path("cohort"))


def test_staging_is_on_the_lakes_file_system_and_goes_away(lake: Lake) -> None:
    with lake.staging() as folder:
        assert folder.is_relative_to(lake.root)
        (folder / "half.parquet").write_bytes(b"half")
    assert not folder.exists()


@pytest.mark.parametrize("steps_survived", [0, 1])
@pytest.mark.parametrize("before", [None, OLD])
def test_a_kill_during_a_commit_leaves_the_old_table_or_none(
    lake: Lake,
    monkeypatch: pytest.MonkeyPatch,
    steps_survived: int,
    before: pl.DataFrame | None,
) -> None:
    old_stamp = None if before is None else lake.write("cohort", before)
    replace, steps = os.replace, []

    def killed_replace(source: Path, target: Path) -> None:
        steps.append(target)
        if len(steps) > steps_survived:
            raise KilledError
        replace(source, target)

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", killed_replace)
        with pytest.raises(KilledError):
            lake.write("cohort", NEW)

    left_over = lake.stamp("cohort")
    assert left_over in (None, old_stamp)
    if left_over is not None:
        assert lake.read("cohort").equals(before)
    lake.write("cohort", NEW)
    assert lake.read("cohort").equals(NEW)


def test_a_stream_that_breaks_leaves_the_old_table(lake: Lake) -> None:
    stamp = lake.write("cohort", OLD)

    def broken_stream():
        yield NEW
        raise KilledError

    with pytest.raises(KilledError):
        lake.write("cohort", broken_stream())
    assert lake.stamp("cohort") == stamp
    assert lake.read("cohort").equals(OLD)


@st.composite
def _frames_and_cuts(draw: st.DrawFn) -> tuple[pl.DataFrame, list[int]]:
    rows = draw(st.integers(1, 40))
    ids = draw(st.lists(st.text(max_size=4), min_size=rows, max_size=rows))
    values = draw(st.lists(st.none() | st.integers(-5, 5), min_size=rows, max_size=rows))
    seed = draw(st.integers(0, 1000))
    vectors = np.random.default_rng(seed).normal(size=(rows, 3)).astype(np.float32)
    frame = pl.DataFrame(
        {"id": ids, "value": values, "vector": vectors},
        schema={"id": pl.String, "value": pl.Int64, "vector": pl.Array(pl.Float32, 3)},
    )
    cuts = draw(st.lists(st.integers(1, rows), unique=True, max_size=4))
    return frame, sorted({0, rows, *cuts})


@settings(max_examples=30)
@given(_frames_and_cuts())
def test_the_fingerprint_does_not_depend_on_how_rows_were_batched(
    case: tuple[pl.DataFrame, list[int]],
) -> None:
    frame, cuts = case
    batches = [frame[start:end] for start, end in pairwise(cuts)]
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake(Path(folder))
        assert lake.write("whole", frame) == lake.write("batched", iter(batches))


@pytest.mark.parametrize(
    "other",
    [
        OLD.reverse(),
        OLD.rename({"records": "count"}),
        OLD.with_columns(pl.col("records").cast(pl.Int32)),
        OLD.with_columns(pl.col("records") + 1),
        OLD.with_columns(records=pl.Series([None, 2])),
    ],
    ids=["order", "name", "type", "value", "null"],
)
def test_the_fingerprint_sees_every_change_of_content(lake: Lake, other: pl.DataFrame) -> None:
    assert lake.write("one", OLD).fingerprint != lake.write("other", other).fingerprint


def test_the_fingerprint_sees_where_a_list_ends(lake: Lake) -> None:
    one = pl.DataFrame({"codes": [[1], [2, 3]]})
    other = pl.DataFrame({"codes": [[1, 2], [3]]})
    assert lake.write("one", one).fingerprint != lake.write("other", other).fingerprint
