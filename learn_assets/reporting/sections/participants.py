"""Participants of a window: flow diagram of the cohort, its size, and table 1 by outcome."""

from __future__ import annotations

import polars as pl

from learn_assets.evaluation.feature_words import DESCRIPTIONS, feature_words
from learn_assets.reporting.cohort_numbers import CohortNumbers, attrition_steps, cohort_numbers
from learn_assets.reporting.context import WindowContext, not_made
from learn_assets.reporting.document import (
    Block,
    Facts,
    Flow,
    FlowStep,
    NamedValue,
    Section,
    absent,
)
from learn_assets.reporting.table_one import labeled_patients, table_one
from learn_assets.reporting.values import Value, count, share, words

_TITLE = "Participants"
_SHIFTED = words("not told: de-identification shifted the dates")


def participants(window: WindowContext) -> Section:
    """Return flow diagram, sizes and table 1 of a window."""
    cohort = window.of_window("cohort")
    blocks: list[Block] = []
    numbers = _numbers(window, cohort)
    blocks.append(_flow(window, cohort, numbers))
    if cohort is not None and numbers is not None:
        shifted = window.study.dates.shifted is not None
        blocks.append(Facts("sizes", _facts(numbers, shifted=shifted), layout="numbers"))
        blocks.append(_table_one(window, cohort))
    return Section(f"{window.anchor}-participants", _TITLE, tuple(blocks))


def _numbers(window: WindowContext, cohort: pl.DataFrame | None) -> CohortNumbers | None:
    if cohort is None:
        return None
    scoring = window.lake.stamp("scoring_population", window.window)
    return cohort_numbers(cohort, None if scoring is None else scoring.rows, window.minimum_cell)


def _flow(
    window: WindowContext, cohort: pl.DataFrame | None, numbers: CohortNumbers | None
) -> Block:
    attrition = window.of_window("attrition")
    if attrition is None or attrition.is_empty():
        empty = "nobody has an index event" if attrition is not None else not_made("attrition")
        return absent("Flow of participants", empty)
    steps = attrition_steps(attrition, cohort, window.minimum_cell)
    groups: tuple[NamedValue, ...] = ()
    if numbers is not None:
        groups = (
            NamedValue("Cases", count(numbers.cases)),
            NamedValue("Controls", count(numbers.controls)),
        )
    return Flow(
        key="flow",
        caption="Flow of participants: patients left after each rule, and those it removed",
        steps=tuple(
            FlowStep(step.name, step.reason, count(step.remaining), count(step.removed))
            for step in steps
        ),
        groups=groups,
    )


def _table_one(window: WindowContext, cohort: pl.DataFrame) -> Block:
    charlson = window.table("charlson_index")
    measurements = window.of_window("latest_measurement")
    weights = "1987" if window.study.survival.charlson_weights == "original" else "2011"
    patients = labeled_patients(
        cohort,
        patient=window.table("patient"),
        index_events=window.table("index_events"),
        record_totals=window.table("int_record_totals"),
        charlson=None
        if charlson is None
        else charlson.select("patient_id", pl.col(f"charlson_{weights}").alias("charlson")),
        age_bands=window.study.evaluation.age_bands,
        measurements=measurements,
        test_names=_test_names(window, measurements),
    )
    made = table_one(patients, window.minimum_cell)
    if made is None:
        return absent(
            "Characteristics by outcome", f"fewer than {window.minimum_cell} cases or controls"
        )
    return made


def _test_names(window: WindowContext, measurements: pl.DataFrame | None) -> dict[str, str]:
    if measurements is None:
        return {}
    tables = (window.table(name) for name in DESCRIPTIONS)
    known = [table for table in tables if table is not None]
    return feature_words(measurements["feature"].unique().to_list(), *known)


def _facts(numbers: CohortNumbers, *, shifted: bool) -> tuple[NamedValue, ...]:
    facts = [
        ("Labeled patients", count(numbers.labeled)),
        ("Cases", count(numbers.cases)),
        ("Controls", count(numbers.controls)),
        ("Prevalence", share(numbers.prevalence)),
        ("Age at index, years", _quartiles(numbers.age_quartiles)),
        ("Women", count(numbers.women)),
        ("Men", count(numbers.men)),
        ("Sex unknown", count(numbers.sex_unknown)),
        ("Days to event or end", _quartiles(numbers.follow_up_quartiles)),
        ("Index dates", _SHIFTED if shifted else _years(numbers.index_years)),
    ]
    if numbers.scoring_population is not None:
        facts.append(("Eligible now, without label", count(numbers.scoring_population)))
    return tuple(NamedValue(*fact) for fact in facts)


def _quartiles(quartiles: tuple[float, float, float] | None) -> Value:
    if quartiles is None:
        return words("-")
    low, middle, high = (round(value) for value in quartiles)
    return Value(f"{middle:,} ({low:,} to {high:,})", middle, low, high)


def _years(years: tuple[int, int] | None) -> Value:
    return words("-") if years is None else words(f"{years[0]} to {years[1]}")
