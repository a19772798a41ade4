"""Pruning: which discharges stay in the study, and the first reason why another does not."""

from __future__ import annotations

from enum import StrEnum

import polars as pl

from learn_assets.study.subtypes import PruningRules


class DiscardReason(StrEnum):
    """Why a readable row does not stay, in the order in which the rules are asked."""

    UNREADABLE_ADMISSION_DATE = "unreadable_admission_date"
    ADMITTED_TOO_EARLY = "admitted_before_the_study"
    ADMITTED_TOO_LATE = "admitted_after_the_study"
    SEX = "sex_not_1_or_2"
    NO_PRINCIPAL_DIAGNOSIS = "no_principal_diagnosis"
    PRINCIPAL_DIAGNOSIS = "principal_diagnosis_not_of_the_study"
    AGE = "age_not_of_the_study"


# What a study excludes by its own rules is no loss of the source.
CHOSEN = frozenset(
    reason.value
    for reason in (
        DiscardReason.ADMITTED_TOO_EARLY,
        DiscardReason.ADMITTED_TOO_LATE,
        DiscardReason.PRINCIPAL_DIAGNOSIS,
        DiscardReason.AGE,
    )
)


def with_reason(typed: pl.DataFrame, rules: PruningRules) -> pl.DataFrame:
    """Return the frame of `read_cells` with a column `reason`: null for the rows that stay.

    Rows without an admission date, a sex or a principal diagnosis never stay: nothing later can do
    without. An unknown age fails a rule on age.
    """
    broken = [pl.when(condition).then(pl.lit(reason.value)) for reason, condition in _rules(rules)]
    return typed.with_columns(pl.coalesce(broken).alias("reason"))


def _rules(rules: PruningRules) -> list[tuple[DiscardReason, pl.Expr]]:
    day, principal, age = pl.col("admission_date"), pl.col("principal"), pl.col("age_years")
    conditions = [(DiscardReason.UNREADABLE_ADMISSION_DATE, day.is_null())]
    if rules.first_admission is not None:
        conditions.append((DiscardReason.ADMITTED_TOO_EARLY, day < rules.first_admission))
    if rules.last_admission is not None:
        conditions.append((DiscardReason.ADMITTED_TOO_LATE, day > rules.last_admission))
    conditions += [
        (DiscardReason.SEX, pl.col("sex").is_null()),
        (DiscardReason.NO_PRINCIPAL_DIAGNOSIS, principal.is_null()),
    ]
    if rules.principal_diagnosis:
        begins = [principal.str.starts_with(prefix) for prefix in rules.principal_diagnosis]
        conditions.append((DiscardReason.PRINCIPAL_DIAGNOSIS, ~pl.any_horizontal(begins)))
    if rules.minimum_age is not None:
        conditions.append((DiscardReason.AGE, ~age.ge(rules.minimum_age).fill_null(value=False)))
    if rules.maximum_age is not None:
        conditions.append((DiscardReason.AGE, ~age.le(rules.maximum_age).fill_null(value=False)))
    return conditions
