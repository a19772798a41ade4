"""cohort_feature: numeric columns of a supplied cohort table that may be used for prediction."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase

import polars as pl

from learn_assets.lake import TableStamp
from learn_assets.schemas.registry import empty_frame
from learn_assets.validation.raw_reader import POSITION, RawTable
from learn_assets.validation.values import cleaned, number

# What the package itself reads as identifiers, dates, ages and outcomes is no feature, whatever a
# study says: LEARN drops these columns before modeling.
NOT_FEATURES = frozenset(
    """
    patient_id sex race ethnicity date_ana n_ana iDate date_rd date_sle max_date_sle
    max_date_sle_new min_value_date max_value_date yob age_at_ANAp date_rd_new date_sle_new
    days_till_sle_new days_till_sle_new_max n_sle n_sle_new diagnosis_dile diagnosis_cancer
    days_first_event days_last_event age_at_sle_new n_rd n_rd_new days_till_sle days_till_sle_max
    age_at_sle index_date year_of_birth age_at_index case label event_observed
    """.lower().split()
)
# Columns a site adds under such names are dates, ages or times to an outcome as well.
NOT_FEATURE_PREFIXES = ("date_", "days_", "min_date", "max_date", "age_at_", "time_to_")
_COLUMNS_AT_ONCE = 50


def write_cohort_features(raw: RawTable, known_before_index: Sequence[str]) -> TableStamp:
    """Write `cohort_feature` for the patients kept in `cohort_table`, by feature then patient.

    known_before_index: names or patterns of columns that the study says were known before the index
    date; only these may predict, since no name tells what a column knows of the outcome. A column
    counts as numeric when every filled cell of the kept patients is a finite number; the others are
    left out. Fifty columns are in memory at once.
    """
    names = [name for name in raw.text_columns if may_be_feature(name, known_before_index)]
    kept = raw.lake.read("cohort_table").select(pl.col("source_row").alias(POSITION), "patient_id")
    return raw.lake.write("cohort_feature", _features(raw, names, kept))


def may_be_feature(column: str, known_before_index: Sequence[str]) -> bool:
    """Say whether a column of the cohort table may predict: only if the study says it was known."""
    name = column.lower()
    stated = any(fnmatchcase(name, pattern.lower()) for pattern in known_before_index)
    return stated and name not in NOT_FEATURES and not name.startswith(NOT_FEATURE_PREFIXES)


def _features(raw: RawTable, names: list[str], kept: pl.DataFrame) -> Iterator[pl.DataFrame]:
    patients = kept.rename({"patient_id": "__patient"})
    yield empty_frame("cohort_feature")
    for start in range(0, len(names), _COLUMNS_AT_ONCE):
        chunk = names[start : start + _COLUMNS_AT_ONCE]
        no_cells = pl.DataFrame(schema=dict.fromkeys(["__patient", *chunk], pl.String()))
        parts = (
            batch.join(patients, on=POSITION, how="inner", maintain_order="left").select(
                no_cells.columns
            )
            for batch in raw.batches(chunk)
        )
        joined = pl.concat([no_cells, *parts])
        cells = joined.select("__patient").hstack(cleaned(joined, chunk))
        yield from (_long(cells, name) for name in chunk if _is_numeric(cells, name))


def _is_numeric(cells: pl.DataFrame, name: str) -> bool:
    filled = pl.col(name).is_not_null()
    unreadable = filled & number(pl.col(name)).is_null()
    counts = cells.select(filled.sum().alias("filled"), unreadable.sum().alias("unreadable"))
    return bool(counts.item(0, "filled") > 0 and counts.item(0, "unreadable") == 0)


def _long(cells: pl.DataFrame, name: str) -> pl.DataFrame:
    return (
        cells.select(
            pl.col("__patient").alias("patient_id"),
            pl.lit(name).alias("feature"),
            number(pl.col(name)).alias("value"),
        )
        .drop_nulls("value")
        .sort("patient_id")
    )
