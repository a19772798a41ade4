"""Assessment: the table `data_quality` - what was expected, what was found, what failed.

What belongs here: a study's suite, all measures of a lake, and what of them may leave it. Every
measure is judged as it is and told after disclosure control.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import polars as pl

from learn_assets.disclosure import WITHHELD, is_small
from learn_assets.lake import Lake
from learn_assets.quality.content import (
    diagnosis_measures,
    lab_result_measures,
    medication_measures,
    patient_measures,
    record_measures,
)
from learn_assets.quality.judge import judged
from learn_assets.quality.measure import Measure, nothing
from learn_assets.quality.months import (
    MonthlyRecords,
    end_of_records,
    monthly_measures,
    monthly_records,
)
from learn_assets.quality.received import accepted_share, received_measures
from learn_assets.schemas.registry import empty_frame
from learn_assets.study import Study
from learn_assets.study.expectations import EVENT_TABLES, SUITE, Expectation

# Tables that the measures are taken from.
MEASURED_TABLES = (
    *("patient", *EVENT_TABLES),
    *(f"{table}_quarantine" for table in ("patient", *EVENT_TABLES)),
    *("normalized_medication", "rxnorm_name"),
)
# From so many records on, a hundredth of a percent is more than one of them.
_FINE_FROM = 20_000
_MONTHS_NAMED = 6


@dataclass(frozen=True)
class Told:
    """A measure as it may leave the lake."""

    value: float | None
    text: str


def planned(study: Study) -> tuple[Expectation, ...]:
    """Return the packaged suite with the study's thresholds and severities, without what is off.

    A loss that the study accepts passes the expectation that counts it, too.
    """
    choices = study.quality.expectations
    accepting = (_accepting(item, study) for item in SUITE)
    return tuple(
        replace(item, **choices[item.name].model_dump(exclude={"enabled"}, exclude_none=True))
        if item.name in choices
        else item
        for item in accepting
        if item.name not in choices or choices[item.name].enabled
    )


def _accepting(item: Expectation, study: Study) -> Expectation:
    accepted = accepted_share(item.name, study.accepted_loss)
    return replace(item, threshold=max(item.threshold, accepted)) if accepted else item


def measured(lake: Lake, minimum_cell: int, *, shifted: bool = False) -> dict[str, Measure]:
    """Return every measure of a lake by the name of its expectation.

    Shares of fewer than `minimum_cell` records are not taken. shifted: dates are of no calendar
    year, so that nothing is measured by month. MissingTableError when one of `MEASURED_TABLES` has
    not been made.
    """
    months = {
        table: MonthlyRecords(0, ()) if shifted else monthly_records(lake, table)
        for table in EVENT_TABLES
    }
    by_month = monthly_measures(months, minimum_cell)
    if shifted:
        by_month = dict.fromkeys(by_month, nothing("each patient's dates are shifted"))
    return {
        **received_measures(lake, minimum_cell),
        **patient_measures(lake, end_of_records(months, minimum_cell), minimum_cell),
        **record_measures(lake, minimum_cell),
        **by_month,
        **diagnosis_measures(lake, minimum_cell),
        **medication_measures(lake, minimum_cell),
        **lab_result_measures(lake, minimum_cell),
    }


def assess(study: Study, lake: Lake) -> pl.DataFrame:
    """Return the table `data_quality`, a row an expectation of the study, in the suite's order."""
    minimum = study.privacy.minimum_cell
    shifted = study.dates.shifted is not None
    suite, measures = planned(study), measured(lake, minimum, shifted=shifted)
    values = {
        item.name: value for item in suite if (value := measures[item.name].value) is not None
    }
    passed = judged(values, suite)
    rows = [_row(item, measures[item.name], passed.get(item.name), minimum) for item in suite]
    return pl.DataFrame(rows, schema=empty_frame("data_quality").schema, orient="row")


def told(item: Expectation, measure: Measure, minimum_cell: int) -> Told:
    """Return what may be told of a measure: a share is rounded towards failing its threshold."""
    if measure.value is None:
        return Told(None, "-")
    if measure.part is not None and is_small(minimum_cell, measure.part):
        return Told(None, f"<{minimum_cell}")
    if measure.part is None or measure.whole is None:
        return Told(round(measure.value, 2), f"{measure.value:,.2f}".rstrip("0").rstrip("."))
    if is_small(minimum_cell, measure.whole - measure.part):
        return Told(None, f"all but <{minimum_cell}")
    if measure.hidden:
        return Told(None, WITHHELD)
    digits = 2 if measure.whole >= _FINE_FROM else 1
    steps = 10 ** (digits + 2)
    down = measure.part * steps // measure.whole
    rounded = down if item.bound == "at_least" else -(-measure.part * steps // measure.whole)
    return Told(rounded / steps, f"{100 * rounded / steps:.{digits}f} %")


def _row(
    item: Expectation, measure: Measure, passed: bool | None, minimum_cell: int
) -> tuple[object, ...]:
    shown = told(item, measure, minimum_cell)
    counted = measure.whole if measure.whole is not None else measure.part
    about = None if counted is None or counted < 100 else round(counted, -2)
    return (
        item.name,
        item.aspect.category,
        item.aspect.subcategory,
        item.table,
        item.measure,
        item.unit,
        item.bound,
        item.threshold,
        shown.value,
        shown.text,
        about,
        item.severity,
        passed,
        _detail(measure),
    )


def _detail(measure: Measure) -> str | None:
    if not measure.months:
        return measure.reason
    named = ", ".join(measure.months[:_MONTHS_NAMED])
    more = len(measure.months) - _MONTHS_NAMED
    return f"{named} and {more} more" if more > 0 else named
