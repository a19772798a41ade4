"""Laboratory results as sites write them: each is a number, a comparator or a word."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from learn_assets.defs.sql import index_results_in_words
from learn_assets.lake import Lake
from learn_assets.validation.results import read_result
from learn_assets_tests.field_cases.site import (
    ANA,
    Site,
    index_of,
    load,
    omop_tables,
    site,
    study_of,
    write_omop,
    write_trinetx,
)

SPELLINGS = {
    "POSITIVE ": (None, None, "positive"),
    "1:160 speckled": (160.0, None, "speckled"),
    ">=1:1280": (1280.0, ">=", None),
    ">1:160": (160.0, ">", None),
    "1 : 160": (160.0, None, None),
    "1/160": (160.0, None, None),
    "Positive (1:160)": (160.0, None, "positive"),
    "1:640": (640.0, None, None),
    "160": (160.0, None, None),
    "DETECTED": (None, None, "detected"),
}
OTHERS = {
    "<1:80": (80.0, "<", None),
    "\u2264 1:80": (80.0, "<=", None),
    "less than 1:80": (80.0, "<", None),
    "Negative (<1:80)": (80.0, "<", "negative"),
    "positive (reference <1:80)": (None, None, "positive"),
    "1:80-1:160": (80.0, ">=", None),
    "5 - 10": (5.0, ">=", None),
    "0,5": (0.5, None, None),
    "1.234,5": (1234.5, None, None),
    "1,234.5": (1234.5, None, None),
    # Thousands, or a decimal comma: nobody can tell.
    "1,234": (None, None, "1,234"),
    "12 mg/dL": (12.0, None, "mg/dl"),
    "-5": (-5.0, None, None),
    "not detected": (None, None, "not detected"),
    "pattern 2": (None, None, "pattern 2"),
    "2+": (None, None, "2+"),
    "2014-05-06": (None, None, "2014-05-06"),
}


@pytest.mark.parametrize(("text", "result"), [*SPELLINGS.items(), *OTHERS.items()])
def test_a_text_is_read_as_number_comparator_and_word(
    text: str, result: tuple[float | None, str | None, str | None]
) -> None:
    assert read_result(text)[:3] == result


def ana_results(*texts: str) -> Site:
    """Return the site with these texts, in turn, as results of the index test."""
    rows = site()
    results = [row for row in rows["lab_result"] if row[3] == ANA]
    for number, row in enumerate(results):
        row[6] = texts[number % len(texts)]
    return rows


def test_every_spelling_of_a_positive_result_is_matched_or_listed(
    tmp_path: Path, lake: Lake
) -> None:
    study = study_of(write_trinetx(tmp_path / "site", ana_results(*SPELLINGS)))
    load(study, lake)
    patients, matches = index_of(study, lake), lake.read("index_results")
    assert patients == 54
    assert matches.rows() == [
        ("none", "detected", 6, 6),
        ("number", None, 48, 48),
        ("word", None, 6, 6),
    ]
    assert "`detected` (6)" in index_results_in_words(study, matches)


def test_a_rare_text_is_not_named(tmp_path: Path) -> None:
    study = study_of(write_trinetx(tmp_path / "site", site()), privacy={"minimum_cell": 11})
    rows = [("none", "rare note", 12, 10), ("none", "detected", 11, 11), ("number", None, 40, 30)]
    matches = pl.DataFrame(rows, ["matched", "text", "results", "patients"], orient="row")
    told = index_results_in_words(study, matches)
    assert "detected" in told
    assert "rare note" not in told


def test_a_result_below_80_is_no_80_whatever_says_so(tmp_path: Path, lake: Lake) -> None:
    tables = omop_tables(site())
    results = tables["measurement"]
    low = (pl.col("measurement_source_value") == ANA) & (pl.col("person_id") % 4 == 0)
    tables["measurement"] = results.with_columns(
        pl.when(low).then(80.0).otherwise("value_as_number").alias("value_as_number"),
        pl.when(low).then(4171756).otherwise(0).alias("operator_concept_id"),
        pl.when(low)
        .then(pl.lit("<1:80"))
        .otherwise("value_source_value")
        .alias("value_source_value"),
    )
    study = study_of(write_omop(tmp_path / "cdm", tables, "duckdb"))
    load(study, lake)
    patients, matches = index_of(study, lake), lake.read("index_results")
    assert patients == 45
    assert matches.filter(pl.col("matched") == "none").rows() == [("none", "<1:80", 15, 15)]
    below = lake.read("lab_result").filter(pl.col("comparator") == "<")
    assert below.height == 15
    assert below["value_number"].null_count() == 15
