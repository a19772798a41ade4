"""Months: records a calendar month, and where a feed starts, ends or breaks off."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt

import numpy as np
import polars as pl

from learn_assets.lake import Lake
from learn_assets.quality.measure import Measure, nothing
from learn_assets.study.expectations import EVENT_TABLES

# A month with fewer records than this share of what is usual around it is missing.
MISSING_SHARE = 0.25
# Records come in visits and panels, so months scatter more than single records would: what is
# within so many standard deviations (by the median absolute deviation) of the others is chance.
DEVIATIONS = 4.0
_MAD_TO_SD = 1.4826
# A feed of fewer records a month is too thin to tell when it ends.
LEAST_USUAL = 100
# A month is held against so many before and after; under half of them there is nothing to compare.
NEIGHBORS = 12
# Months filled this well, against the median month, belong to the feed; others are stray records.
WELL_FILLED = 0.1


@dataclass(frozen=True)
class MonthlyRecords:
    """Records of consecutive months from `first` on; the first of them counts from year 0."""

    first: int
    records: tuple[int, ...]

    def name(self, place: int) -> str:
        """Return a month as 2015-03."""
        year, month = divmod(self.first + place, 12)
        return f"{year:04}-{month + 1:02}"

    @property
    def median(self) -> float:
        """Return the records of the median month among those that have any; 0 without one."""
        filled = [records for records in self.records if records]
        return float(np.median(filled)) if filled else 0.0

    def well_filled(self, minimum_cell: int) -> tuple[int, int] | None:
        """Return the first and last month that belong to the feed; None when no month does."""
        least = max(minimum_cell, WELL_FILLED * self.median)
        places = [place for place, records in enumerate(self.records) if records >= least]
        return (self.first + places[0], self.first + places[-1]) if places else None

    def missing(self) -> tuple[str, ...] | None:
        """Return the months that hold far fewer records than others; None: none is judged.

        Fewer than `MISSING_SHARE` of what is usual on both sides, and than chance makes. Usual is
        the upper quartile of up to `NEIGHBORS` months before, and of those after: a gap of several
        months does not hide itself, and the start and end of a feed are no gaps.
        """
        limits = [self._limit(place) for place in range(len(self.records))]
        if not any(limit > 0 for limit in limits):
            return None
        return tuple(
            self.name(place)
            for place, records in enumerate(self.records)
            if records < limits[place]
        )

    def _limit(self, place: int) -> float:
        """Return the records under which a month is missing; 0 or less when none would be."""
        before = self.records[max(place - NEIGHBORS, 0) : place]
        after = self.records[place + 1 : place + 1 + NEIGHBORS]
        if min(len(before), len(after)) < NEIGHBORS // 2:
            return 0.0
        usual = min(float(np.quantile(before, 0.75)), float(np.quantile(after, 0.75)))
        around = np.array([*before, *after])
        middle = float(np.median(around))
        scatter = _MAD_TO_SD * float(np.median(np.abs(around - middle)))
        # Nothing scatters less than records that come one by one.
        chance = middle - DEVIATIONS * max(scatter, sqrt(middle))
        return min(MISSING_SHARE * usual, chance)


def monthly_records(lake: Lake, table: str) -> MonthlyRecords:
    """Return the records of a table by month, months without any included."""
    counted = (
        lake.scan(table)
        .group_by((pl.col("date").dt.year() * 12 + pl.col("date").dt.month() - 1).alias("month"))
        .len()
        .collect(engine="streaming")
    )
    found = {int(month): int(records) for month, records in counted.iter_rows()}
    if not found:
        return MonthlyRecords(0, ())
    first = min(found)
    return MonthlyRecords(
        first, tuple(found.get(month, 0) for month in range(first, max(found) + 1))
    )


def monthly_measures(months: Mapping[str, MonthlyRecords], minimum_cell: int) -> dict[str, Measure]:
    """Return span, lateness and missing months of every table, by name of the expectation."""
    spans = {table: months[table].well_filled(minimum_cell) for table in EVENT_TABLES}
    judged = {
        table: span for table, span in spans.items() if span and months[table].median >= LEAST_USUAL
    }
    latest = max((last for _, last in judged.values()), default=0)
    found = {}
    for table, span in spans.items():
        missing = months[table].missing()
        found[f"{table}.months_missing"] = (
            nothing("its months are too few or too uneven")
            if missing is None
            else Measure(float(len(missing)), months=missing)
        )
        found[f"{table}.months_behind"] = (
            Measure(float(latest - judged[table][1]))
            if table in judged
            else nothing(f"its median month has under {LEAST_USUAL} records")
        )
        found[f"{table}.span_years"] = (
            Measure((span[1] - span[0] + 1) / 12)
            if span
            else nothing(f"no month has {minimum_cell} records")
        )
    return found


def end_of_records(months: Mapping[str, MonthlyRecords], minimum_cell: int) -> int | None:
    """Return the year of the last well-filled month of any table; None without one."""
    spans = [found.well_filled(minimum_cell) for found in months.values()]
    last = max((span[1] for span in spans if span), default=None)
    return None if last is None else last // 12
