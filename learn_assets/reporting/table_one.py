"""Table 1: who the cases and controls of a window are, with small cells and their traces hidden.

What belongs here: describing labeled patients by outcome. Nothing of it enters a model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from learn_assets.disclosure import WITHHELD, hidden_groups, shown
from learn_assets.evaluation.patient_groups import UNKNOWN, subgroup_attributes
from learn_assets.reporting.document import Column, Table
from learn_assets.reporting.values import MISSING, Value, number, words
from learn_assets.statistics.balance import (
    standardized_category_difference,
    standardized_mean_difference,
)
from learn_assets.statistics.discrimination import FloatVector

_YEAR = 365.25
_CATEGORIES = {
    "sex": "Sex",
    "age_band": "Age band, years",
    "race": "Race",
    "ethnicity": "Ethnicity",
}
_OTHER = "other"


@dataclass(frozen=True)
class LabeledPatients:
    """Labeled patients of a window, row by row.

    frame: label (1 case), sex, age_band, age_at_index, and of what follows those that the lake has:
    race, ethnicity, history_days, diagnosis, procedure, medication (records before the index date),
    charlson, time_to_event_days, index_year, and a column a laboratory test. laboratory: the
    columns of tests with their names, the most frequently measured first.
    """

    frame: pl.DataFrame
    laboratory: tuple[tuple[str, str], ...] = ()

    def group(self, label: int | None) -> pl.DataFrame:
        """Return cases (1), controls (0) or everyone (None)."""
        return self.frame if label is None else self.frame.filter(pl.col("label") == label)


@dataclass(frozen=True)
class _Continuous:
    column: str
    name: str
    digits: int
    spread: str
    scale: Callable[[FloatVector], FloatVector] = lambda values: values


_CONTINUOUS = (
    _Continuous("age_at_index", "Age at index, years", 1, "mean"),
    _Continuous("history_days", "History before index, years", 1, "median"),
    _Continuous("diagnosis", "Diagnosis records before index", 0, "median", np.log1p),
    _Continuous("procedure", "Procedure records before index", 0, "median", np.log1p),
    _Continuous("medication", "Medication records before index", 0, "median", np.log1p),
    _Continuous("charlson", "Charlson index before index", 2, "mean"),
    _Continuous("time_to_event_days", "Time from index to outcome or end, years", 1, "median"),
)
# Further tests would make table 1 longer than a page.
_MOST_TESTS = 12
_IN_YEARS = ("history_days", "time_to_event_days")
_GROUPS = (None, 1, 0)


def labeled_patients(
    cohort: pl.DataFrame,
    *,
    patient: pl.DataFrame | None,
    index_events: pl.DataFrame | None,
    record_totals: pl.DataFrame | None,
    charlson: pl.DataFrame | None,
    age_bands: Sequence[int],
    measurements: pl.DataFrame | None = None,
    test_names: Mapping[str, str] | None = None,
) -> LabeledPatients:
    """Join what the lake knows about labeled patients; tables that are None are left out.

    measurements: patient_id, feature, value, the latest before the index date. test_names: a
    feature in words, where it is known.

    Groups are those of `subgroup_performance`: two ways to cut the same patients could be
    subtracted from each other.
    """
    groups = subgroup_attributes(cohort, _races(cohort, patient), age_bands)
    frame = (
        cohort.filter(pl.col("label").is_not_null())
        .drop("sex")
        .join(groups, on="patient_id", how="left")
    )
    if patient is None:
        frame = frame.drop("race")
    else:
        ethnicity = patient.select("patient_id", pl.col("ethnicity").fill_null(UNKNOWN))
        frame = frame.join(ethnicity, on="patient_id", how="left")
    if index_events is not None:
        first = index_events.select("patient_id", "first_record_date")
        frame = frame.join(first, on="patient_id", how="left").with_columns(
            history_days=(pl.col("index_date") - pl.col("first_record_date")).dt.total_days()
        )
    if record_totals is not None:
        kinds = ("diagnosis", "procedure", "medication")
        frame = frame.join(record_totals, on="patient_id", how="left").with_columns(
            # No record before the index date is no row there.
            pl.col(kind).fill_null(0)
            for kind in kinds
        )
    if charlson is not None:
        frame = frame.join(charlson, on="patient_id", how="left")
    if measurements is None or measurements.is_empty():
        return LabeledPatients(frame.sort("patient_id"))
    frame, tests = _measured(frame, measurements)
    words_of = test_names or {}
    named = tuple((test, _test_name(test, words_of.get(test))) for test in tests)
    return LabeledPatients(frame.sort("patient_id"), named)


def _measured(
    frame: pl.DataFrame, measurements: pl.DataFrame
) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Return patients with a column for each of the tests that most of them have, and its names."""
    own = measurements.join(frame.select("patient_id"), on="patient_id", how="semi")
    sizes = own["feature"].value_counts(name="patients")
    tests = sizes.sort("patients", "feature", descending=[True, False])["feature"][:_MOST_TESTS]
    wide = own.filter(pl.col("feature").is_in(tests.to_list())).pivot(
        "feature", index="patient_id", values="value"
    )
    return frame.join(wide, on="patient_id", how="left"), tuple(tests.to_list())


def _test_name(feature: str, described: str | None) -> str:
    """Return `kind|code system|code|unit` in words, such as `Creatinine in serum, mg/dl`."""
    _, system, code, *unit = feature.split("|")
    return ", ".join([described or f"{system} {code}", *unit])


def _races(cohort: pl.DataFrame, patient: pl.DataFrame | None) -> pl.DataFrame:
    unknown = pl.lit(None, dtype=pl.String).alias("race")
    return cohort.select("patient_id", unknown) if patient is None else patient


def table_one(patients: LabeledPatients, minimum_cell: int) -> Table | None:
    """Return patients by outcome with standardized differences; None when a group is small.

    Rows of a categorical variable with a small cell are hidden with as many others as it takes to
    leave nothing to subtract, and the variable's difference with them.
    """
    sizes = [patients.group(label).height for label in _GROUPS]
    if min(sizes) < max(1, minimum_cell):
        return None
    rows = [
        (words("Patients"), words(""), *(_patients(size, sizes[0]) for size in sizes), MISSING),
        *_categorical(patients, minimum_cell),
        *_continuous(patients, minimum_cell),
    ]
    return Table(
        key="table_one",
        caption="Labeled patients by outcome",
        columns=(
            Column("variable", "Variable", numeric=False),
            Column("level", "Level or summary", numeric=False),
            Column("all", "All"),
            Column("cases", "Cases"),
            Column("controls", "Controls"),
            Column("difference", "Standardized difference"),
        ),
        rows=tuple(rows),
        note=(
            "Numbers of patients with percent, mean (standard deviation) or median (quartiles). "
            "Standardized differences: cases minus controls over the pooled standard deviation, "
            "records on the scale log(1 + number); for categories, the distance of both "
            "distributions (Yang & Dalton 2012). Above 0.1 is commonly called imbalance. "
            "Laboratory values: the latest before the index date, of at most "
            f"{_MOST_TESTS} tests that most patients have."
        ),
        grouped=True,
    )


def _patients(size: int, whole: int) -> Value:
    return Value(f"{size:,} ({100 * size / whole:.1f} %)", size)


def _categorical(patients: LabeledPatients, minimum_cell: int) -> Iterator[tuple[Value, ...]]:
    frame = patients.frame
    for column, name in _CATEGORIES.items():
        if column in frame.columns:
            levels = _merged(frame[column], minimum_cell)
            yield from _category_rows(name, levels, frame["label"], minimum_cell)


def _merged(values: pl.Series, minimum_cell: int) -> pl.Series:
    """Return the levels as they are worded, those of few patients as one."""
    known = values.fill_null(UNKNOWN)
    sizes = known.value_counts(name="patients")
    rare = sizes.filter(pl.col("patients") < minimum_cell)[known.name].to_list()
    return pl.select(
        pl.when(known.is_in(rare)).then(pl.lit(_OTHER)).otherwise(known).alias(known.name)
    ).to_series()


def _category_rows(
    name: str, levels: pl.Series, labels: pl.Series, minimum_cell: int
) -> Iterator[tuple[Value, ...]]:
    order = _ordered(levels)
    cases = [int(((levels == level) & (labels == 1)).sum()) for level in order]
    controls = [int(((levels == level) & (labels == 0)).sum()) for level in order]
    hidden = hidden_groups(list(zip(cases, controls, strict=True)), minimum_cell)
    difference = None if hidden else standardized_category_difference(cases, controls)
    totals = sum(cases) + sum(controls), sum(cases), sum(controls)
    for place, level in enumerate(order):
        parts = cases[place] + controls[place], cases[place], controls[place]
        texts = (
            [_hidden(part, minimum_cell) for part in parts]
            if place in hidden
            else [_patients(part, total) for part, total in zip(parts, totals, strict=True)]
        )
        gap = number(difference, 2) if place == 0 else words("")
        yield words(name), words(level), *texts, gap


def _hidden(part: int, minimum_cell: int) -> Value:
    masked = shown(part, minimum_cell)
    return words(masked.text if masked.value is None else WITHHELD)


def _ordered(levels: pl.Series) -> list[str]:
    """Return bands by age, other levels the most frequent first, what is left over last."""
    sizes = dict(levels.value_counts(name="patients").iter_rows())
    last = (_OTHER, UNKNOWN)
    banded = levels.name == "age_band"

    def place(name: str) -> tuple[bool, bool, int, str]:
        frequent = 0 if banded else -sizes[name]
        return name in last, banded and not name.startswith("under "), frequent, name

    return sorted(sizes, key=place)


def _continuous(patients: LabeledPatients, minimum_cell: int) -> Iterator[tuple[Value, ...]]:
    tests = (_Continuous(column, name, 1, "median") for column, name in patients.laboratory)
    for variable in (*_CONTINUOUS, *tests):
        if variable.column not in patients.frame.columns:
            continue
        groups = [_values(patients.group(label), variable.column) for label in _GROUPS]
        known = [values[np.isfinite(values)] for values in groups]
        if min(map(len, known)) < max(2, minimum_cell):
            continue
        texts = [_summary(values, variable) for values in known]
        gap = standardized_mean_difference(variable.scale(known[1]), variable.scale(known[2]))
        # The time to the outcome differs by the definition of a case.
        shown_gap = (
            MISSING if variable.column == "time_to_event_days" else number(gap, 2, signed=True)
        )
        summary = "mean (SD)" if variable.spread == "mean" else "median (quartiles)"
        yield words(variable.name), words(summary), *texts, shown_gap
        yield from _missing_row(variable.name, groups, minimum_cell)


def _missing_row(
    name: str, groups: Sequence[FloatVector], minimum_cell: int
) -> Iterator[tuple[Value, ...]]:
    lacking = [int((~np.isfinite(values)).sum()) for values in groups]
    if not lacking[0]:
        return
    have = [len(values) - gap for values, gap in zip(groups, lacking, strict=True)]
    hidden = hidden_groups([(lacking[1], lacking[2]), (have[1], have[2])], minimum_cell)
    texts = [
        _hidden(gap, minimum_cell) if hidden else _patients(gap, len(values))
        for gap, values in zip(lacking, groups, strict=True)
    ]
    yield words(name), words("missing"), *texts, words("")


def _values(group: pl.DataFrame, column: str) -> FloatVector:
    values = group[column].cast(pl.Float64).fill_null(float("nan")).to_numpy()
    return values / _YEAR if column in _IN_YEARS else values


def _summary(values: FloatVector, variable: _Continuous) -> Value:
    digits = variable.digits
    if variable.spread == "mean":
        center, spread = float(values.mean()), float(values.std(ddof=1))
        return Value(f"{center:,.{digits}f} ({spread:,.{digits}f})", round(center, digits))
    low, middle, high = (float(value) for value in np.quantile(values, [0.25, 0.5, 0.75]))
    return Value(
        f"{middle:,.{digits}f} ({low:,.{digits}f} to {high:,.{digits}f})",
        round(middle, digits),
        round(low, digits),
        round(high, digits),
    )
