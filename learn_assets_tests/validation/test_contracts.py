"""Contract checks: planted bad values are found by value, in files and frames, as counts only."""

from __future__ import annotations

from pathlib import Path

import pandera.polars as pa
import polars as pl
import pytest

from learn_assets.schemas.registry import TABLES, empty_frame, schema_of
from learn_assets.validation.contracts import CheckFailure, check_table

SECRET = "SECRET-VALUE"


def patients() -> pl.DataFrame:
    rows = {
        "patient_id": ["a", "b", "c"],
        "sex": ["F", "M", "U"],
        "year_of_birth": [1950, None, 1960],
        "race": [None, "x", "y"],
        "ethnicity": [None, "x", "y"],
        "death_date": [None, None, None],
        "source_row": [2, 3, 4],
    }
    return pl.DataFrame(rows, schema=empty_frame("patient").schema)


BAD = {
    "sex": pl.lit(SECRET),
    "year_of_birth": pl.lit(1700, pl.Int32),
    "source_row": pl.lit(0, pl.Int64),
}


def test_a_good_table_passes() -> None:
    assert check_table(patients(), "patient").passed


@pytest.mark.parametrize("column", BAD)
def test_a_planted_bad_value_is_counted(column: str) -> None:
    planted = patients().with_columns(
        pl.when(pl.col("patient_id") == "b")
        .then(BAD[column])
        .otherwise(pl.col(column))
        .alias(column)
    )
    outcome = check_table(planted, "patient")
    assert not outcome.passed
    assert [(failure.column, failure.count) for failure in outcome.failures] == [(column, 1)]
    assert SECRET not in str(outcome)


def test_the_trap_this_guards_against_is_real() -> None:
    planted = patients().with_columns(pl.lit(SECRET).alias("sex"))
    # Pandera looks at the schema of a LazyFrame alone, so the bad value passes.
    schema_of("patient").to_schema().validate(planted.lazy(), lazy=True)
    with pytest.raises(pa.errors.SchemaErrors):
        schema_of("patient").to_schema().validate(planted, lazy=True)


def test_values_are_checked_whatever_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    from pandera.config import CONFIG, ValidationDepth

    monkeypatch.setattr(CONFIG, "validation_enabled", False)
    monkeypatch.setattr(CONFIG, "validation_depth", ValidationDepth.SCHEMA_ONLY)
    planted = patients().with_columns(pl.lit(SECRET).alias("sex"))
    assert not check_table(planted, "patient").passed


def test_keys_are_compared_over_the_whole_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("learn_assets.validation.contracts._BATCH_ROWS", 1)
    repeated = pl.concat([patients(), patients().head(1)])
    path = tmp_path / "patient.parquet"
    repeated.write_parquet(path)
    expected = (CheckFailure("patient_id", "unique", 1),)
    assert check_table(repeated, "patient").failures == expected
    assert check_table(path, "patient").failures == expected


@pytest.mark.parametrize(
    ("broken", "column"),
    [
        (patients().drop("sex"), "sex"),
        (patients().with_columns(pl.lit(1).alias("extra")), "extra"),
        (patients().with_columns(pl.col("source_row").cast(pl.Int32)), "source_row"),
        (patients().with_columns(pl.col("death_date").cast(pl.String)), "death_date"),
    ],
)
def test_wrong_columns_and_types_fail_even_without_rows(broken: pl.DataFrame, column: str) -> None:
    for frame in (broken, broken.clear()):
        outcome = check_table(frame, "patient")
        assert [failure.column for failure in outcome.failures] == [column]


@pytest.mark.parametrize("table", TABLES)
def test_an_empty_table_passes(table: str) -> None:
    assert check_table(empty_frame(table), table).passed


def test_an_unknown_table_is_an_error() -> None:
    with pytest.raises(KeyError):
        check_table(patients(), "nothing")
