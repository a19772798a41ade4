"""Cohort in numbers: attrition, sizes and medians of a window, masked on the way out."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from learn_assets.disclosure import ShownCount, shown, shown_chain, shown_parts


@dataclass(frozen=True)
class AttritionStep:
    """A rule, the patients it leaves and the patients it removes."""

    name: str
    reason: str
    remaining: ShownCount
    removed: ShownCount


@dataclass(frozen=True)
class CohortNumbers:
    """Patients with a label in one window; shares and medians are None where a cell is small.

    index_years: first and last calendar year with enough index dates to be told.
    """

    labeled: ShownCount
    cases: ShownCount
    controls: ShownCount
    women: ShownCount
    men: ShownCount
    sex_unknown: ShownCount
    prevalence: float | None
    age_quartiles: tuple[float, float, float] | None
    follow_up_quartiles: tuple[float, float, float] | None
    index_years: tuple[int, int] | None
    scoring_population: ShownCount | None


def attrition_steps(
    attrition: pl.DataFrame, cohort: pl.DataFrame | None, minimum: int
) -> tuple[AttritionStep, ...]:
    """Return the steps from the index event to a label, masked as one chain."""
    steps = attrition.sort("step")
    names, reasons = steps["name"].to_list(), steps["reason"].to_list()
    remaining = steps["remaining"].to_list()
    for name, reason, left in () if cohort is None else _unlabeled_steps(cohort):
        if remaining and left != remaining[-1]:
            names.append(name)
            reasons.append(reason)
            remaining.append(left)
    chain = shown_chain(remaining, minimum)
    rows = zip(names, reasons, chain.remaining, chain.removed, strict=True)
    return tuple(AttritionStep(*row) for row in rows)


def _unlabeled_steps(cohort: pl.DataFrame) -> list[tuple[str, str, int]]:
    """Return why eligible patients have no label (policy prospective), and how many stay."""
    in_buffer = cohort.filter(pl.col("label").is_null(), "event_observed").height
    return [
        (
            "outcome_in_buffer",
            "no label: outcome within the buffer period, too soon to predict",
            cohort.height - in_buffer,
        ),
        (
            "labeled",
            "no label: observation ends before the window does (censored)",
            cohort["label"].count(),
        ),
    ]


def cohort_numbers(cohort: pl.DataFrame, scoring: int | None, minimum: int) -> CohortNumbers:
    """Return the numbers of a cohort; scoring: patients that are eligible now, when known."""
    labeled = cohort.filter(pl.col("label").is_not_null())
    cases = int(labeled["label"].sum())
    case_count, control_count = shown_parts([cases, labeled.height - cases], minimum)
    sexes = [labeled.filter(pl.col("sex") == sex).height for sex in ("F", "M", "U")]
    women, men, unknown = shown_parts(sexes, minimum)
    enough = labeled.height >= minimum
    return CohortNumbers(
        labeled=shown(labeled.height, minimum),
        cases=case_count,
        controls=control_count,
        women=women,
        men=men,
        sex_unknown=unknown,
        prevalence=None if case_count.value is None or not enough else cases / labeled.height,
        age_quartiles=_quartiles(labeled["age_at_index"]) if enough else None,
        follow_up_quartiles=_quartiles(labeled["time_to_event_days"]) if enough else None,
        index_years=_common_years(labeled["index_date"].dt.year(), minimum),
        scoring_population=None if scoring is None else shown(scoring, minimum),
    )


def _common_years(years: pl.Series, minimum: int) -> tuple[int, int] | None:
    counts = years.drop_nulls().value_counts(name="patients").filter(pl.col("patients") >= minimum)
    found = counts[years.name].to_list()
    return (min(found), max(found)) if found else None


def _quartiles(values: pl.Series) -> tuple[float, float, float] | None:
    known = values.drop_nulls().cast(pl.Float64)
    if known.is_empty():
        return None
    low, middle, high = (known.quantile(share, "linear") for share in (0.25, 0.5, 0.75))
    if low is None or middle is None or high is None:
        return None
    return low, middle, high
