"""Planting bad rows: one reason each, counted, and never two for one row."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learn_assets.synthetic.dirty_rows import (
    REASONS,
    FileLayout,
    PlantedRows,
    RowContext,
    plant,
    shares,
    spoil,
)

LAYOUT = FileLayout("events.csv", ("patient_id", "code_system", "code", "date"), REASONS, "date")
CLEAN = RowContext(("a1", "ICD-10-CM", "M25.50", "20180504"), 1970, date(2019, 3, 1))


def pick(_: str, generator: np.random.Generator) -> RowContext:
    number = int(generator.integers(10**6))
    fields = (f"p{number}", "ICD-10-CM", f"M{number}", "20180504")
    return RowContext(fields, CLEAN.birth_year, CLEAN.death)


@pytest.mark.parametrize("reason", [name for name in REASONS if name != "duplicate_row"])
def test_a_spoiled_row_differs_from_the_clean_one(reason: str) -> None:
    line = spoil(LAYOUT, reason, CLEAN, np.random.default_rng(0))
    assert line != ",".join(CLEAN.fields).encode()


def test_dates_lie_beyond_what_is_tolerated() -> None:
    generator = np.random.default_rng(1)
    for _ in range(200):
        late = spoil(LAYOUT, "after_death", CLEAN, generator).split(b",")[3].decode()
        assert date.fromisoformat(late) > date(2019, 5, 30)
        early = spoil(LAYOUT, "before_birth", CLEAN, generator).split(b",")[3].decode()
        assert date.fromisoformat(early).year < 1970
        future = spoil(LAYOUT, "future_date", CLEAN, generator).split(b",")[3].decode()
        assert date.fromisoformat(future).year >= 2070


def test_a_reason_the_row_is_not_fit_for_is_refused() -> None:
    bare = RowContext(CLEAN.fields)
    for reason in ("before_birth", "after_death"):
        with pytest.raises(ValueError, match="needs"):
            spoil(LAYOUT, reason, bare, np.random.default_rng(0))


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 60), st.integers(0, 4), st.integers(0, 2**32 - 1))
def test_lines_in_are_kept_and_bad_ones_counted(rows: int, each: int, seed: int) -> None:
    lines = [f"c{number},ICD-10-CM,M25.50,20180504".encode() for number in range(rows)]
    planted = PlantedRows()
    how_many = dict.fromkeys(REASONS, each)
    found = plant(LAYOUT, lines, pick, how_many, planted, np.random.default_rng(seed))
    counted = planted.as_table().get("events.csv", {})
    assert len(found) == rows + sum(counted.values())
    assert len(found) - len(set(found)) == counted.get("duplicate_row", 0)
    assert [line for line in dict.fromkeys(found) if line in set(lines)] == lines


def test_rows_too_alike_to_be_spoiled_twice_are_not_counted_twice() -> None:
    planted = PlantedRows()
    lines = [b"a1,ICD-10-CM,M25.50,20180504"]
    found = plant(
        LAYOUT, lines, lambda *_: CLEAN, {"missing_code": 3}, planted, np.random.default_rng(0)
    )
    assert len(found) == 2
    assert planted.as_table() == {"events.csv": {"missing_code": 1, "duplicate_row": 0}}


def test_shares_reach_every_reason_or_none() -> None:
    generator = np.random.default_rng(0)
    assert set(shares(REASONS, 1000, 0.0, 1, generator).values()) == {0}
    assert min(shares(REASONS, 10, 0.001, 1, generator).values()) == 1
    assert sum(shares(REASONS, 100_000, 0.01, 0, generator).values()) == 1000
