"""Buckets: nothing lost, patients whole, order kept, memory that does not grow with the file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from learn_assets.validation.buckets import Buckets, bucket_count, cut_points


@given(
    keys=st.lists(st.text(st.sampled_from("ab0Z é"), min_size=1, max_size=3), max_size=60),
    buckets=st.integers(1, 6),
)
def test_buckets_follow_each_other_and_hold_whole_keys(
    keys: list[str], buckets: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    rows = pl.DataFrame(
        {"key": keys, "at": range(len(keys))}, schema={"key": pl.String(), "at": pl.Int64()}
    )
    series = rows.get_column("key")
    cuts = cut_points(iter([series]), len(keys), buckets)
    folder = tmp_path_factory.mktemp("buckets")
    with Buckets(folder, rows.schema, "key", cuts) as filled:
        for part in rows.iter_slices(7):
            filled.add(part)
    frames = list(filled.frames())
    assert len(frames) <= buckets
    together = pl.concat(frames)
    assert together.sort("at").equals(rows)
    assert pl.concat([frame.sort("key", "at") for frame in frames]).equals(rows.sort("key", "at"))


def test_bucket_count_has_both_ends() -> None:
    assert bucket_count(0) == 1
    assert bucket_count(1_000_000) == 1
    assert bucket_count(1_000_001) == 2
    assert bucket_count(10**12) == 256


# VmHWM and not ru_maxrss: the latter starts at the peak of the process that started this one.
_MEASURE = """
import sys
from pathlib import Path
from learn_assets.lake import Lake
from learn_assets_tests.extracts import EVENT_HEADER, load, trinetx_study, write_extract
def peak_kib():
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0])
folder, rows = Path(sys.argv[1]), int(sys.argv[2])
people = [(f"p{n:05d}", "F", "", "", "1950", "") for n in range(1000)]
write_extract(folder / "site", patients=people)
with (folder / "site" / "diagnosis.csv").open("w") as handle:
    handle.write(",".join(EVENT_HEADER) + "\\n")
    for n in range(rows):
        handle.write(f"p{n % 1000:05d},e{n},ICD-10-CM,M{n % 90}.{n % 7},2014{n % 12 + 1:02d}01\\n")
before = peak_kib()
load(trinetx_study(folder / "site"), Lake(folder / "lake"), "patient", "diagnosis",
     rows_a_bucket=100_000)
print((peak_kib() - before) // 1024)
"""


@pytest.mark.slow
def test_memory_is_bounded(tmp_path: Path) -> None:
    grown = {}
    for rows in (400_000, 1_200_000):
        folder = tmp_path / str(rows)
        folder.mkdir()
        command = [sys.executable, "-c", _MEASURE, str(folder), str(rows)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        grown[rows] = int(done.stdout)
    # Three times the rows, in MiB: block and batch sizes rule, not the length of the file.
    assert grown[1_200_000] < grown[400_000] * 1.6
