"""Reasons a row is quarantined for, and rules that find them; the first broken rule names it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import polars as pl


class Reason(StrEnum):
    """Why a row is quarantined. The first three are set while files are read."""

    WRONG_COLUMN_COUNT = "wrong_column_count"
    BAD_ENCODING = "bad_encoding"
    UNBALANCED_QUOTE = "unbalanced_quote"
    MISSING_PATIENT_ID = "missing_patient_id"
    MISSING_CODE = "missing_code"
    LOST_DIGITS = "lost_digits"
    UNKNOWN_CODE_SYSTEM = "unknown_code_system"
    MISSING_DESCRIPTION = "missing_description"
    MISSING_DATE = "missing_date"
    PLACEHOLDER_DATE = "placeholder_date"
    UNREADABLE_DATE = "unreadable_date"
    IMPOSSIBLE_DATE = "impossible_date"
    FUTURE_DATE = "future_date"
    UNREADABLE_VALUE = "unreadable_value"
    UNKNOWN_PATIENT = "unknown_patient"
    BEFORE_BIRTH = "before_birth"
    AFTER_DEATH = "after_death"
    DUPLICATE_ROW = "duplicate_row"
    CONFLICTING_ROW = "conflicting_row"


@dataclass(frozen=True)
class Rule:
    """`broken` is true on rows to be quarantined for `reason`; null counts as not broken."""

    reason: Reason
    broken: pl.Expr
    column: str | None = None


def first_broken(rules: Sequence[Rule]) -> pl.Expr:
    """Return the number of the first rule a row breaks, null if none."""
    number: pl.Expr = pl.lit(None, pl.Int8)
    for position, rule in reversed(list(enumerate(rules))):
        broken = rule.broken.fill_null(value=False)
        number = pl.when(broken).then(pl.lit(position, pl.Int8)).otherwise(number)
    return number


def explained(number: pl.Expr, rules: Sequence[Rule]) -> tuple[pl.Expr, pl.Expr]:
    """Return expressions `reason` and `column` of rule numbers that `first_broken` gave."""
    reasons = {position: rule.reason.value for position, rule in enumerate(rules)}
    columns = {position: rule.column for position, rule in enumerate(rules)}
    return (
        number.replace_strict(reasons, return_dtype=pl.String).alias("reason"),
        number.replace_strict(columns, return_dtype=pl.String).alias("column"),
    )
