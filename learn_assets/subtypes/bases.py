"""Bases of a comparison: all admissions as published, and the first one of each patient."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

ADMISSIONS, FIRST_ADMISSIONS = "admissions", "first_admissions"


def admission_bases(discharges: pl.DataFrame) -> Iterator[tuple[str, pl.DataFrame]]:
    """Yield name and rows of each basis; the second only when the file links admissions.

    Admissions of one patient are not independent, so a test over all of them is too sure of itself.
    Needs patient_number, and admission_date where there are links. A row without a link counts as a
    patient of its own.
    """
    yield ADMISSIONS, discharges
    if discharges["patient_number"].is_not_null().any():
        linked = pl.col("patient_number").is_not_null()
        first = pl.struct("admission_date", pl.int_range(pl.len())).rank("ordinal") == 1
        yield FIRST_ADMISSIONS, discharges.filter(~linked | first.over("patient_number"))
