"""Calendar: what the dates of an extract as a whole tell, before any one of them is judged.

What belongs here: the span of the records, which placeholders stand for no date, and whether day or
month comes first. Which date is refused is decided in `values.py`.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from functools import lru_cache
from pathlib import Path

import polars as pl

from learn_assets.lake import Lake
from learn_assets.sources.files import SourceError
from learn_assets.study import Study
from learn_assets.validation import values
from learn_assets.validation.values import Calendar

# Raw table -> its columns of dates; those of records tell the span of the extract.
_RECORDED = {
    "diagnosis": ("date",),
    "procedure": ("date",),
    "medication": ("date",),
    "lab_result": ("date",),
    "cohort_table": ("iDate",),
}
_FURTHER = {"patient": ("death_date",), "cohort_table": ("date_sle_new", "date_rd_new")}
# More than one record in twenty beyond them stops a run for other reasons (`loss.py`).
_FIRST, _LAST = 0.05, 0.95
# A record that so many days without any other divide from the extract is not of its time.
_LONGEST_GAP = timedelta(days=round(5 * 365.25))
# No extract is so late, unless its dates were shifted.
_LATEST_UNSHIFTED = date(2100, 1, 1)
# A day is a placeholder when it has so many times the records of an average day around it.
_TIMES_USUAL = 10
_DAYS_AROUND = 30


def calendar_of(study: Study, lake: Lake) -> Calendar:
    """Return the calendar of the raw tables that are in the lake.

    SourceError when the records lie so late that their dates must have been shifted, and the study
    does not say so.
    """
    options = study.dates
    recorded, further = _written(lake, _RECORDED), _written(lake, _FURTHER)
    everything = pl.concat([recorded, further])
    day_first = _day_first(everything) if options.order is None else options.order == "day_first"
    placeholders = _placeholders(_by_day(everything, day_first), options.placeholders)
    days = _by_day(recorded, day_first).filter(~pl.col("day").is_in(placeholders))
    if days.is_empty():
        return Calendar(None, options.today, placeholders, day_first)
    first, last = _day_of_share(days, _FIRST), _day_of_share(days, _LAST)
    if last > _LATEST_UNSHIFTED and options.shifted is None and options.today is None:
        raise SourceError(
            "most records are dated after 2100, which only de-identification explains; state "
            "`dates: {shifted: per_patient}` in the study, or mend the dates"
        )
    bound = options.today or _last_day(days, last) + _LONGEST_GAP
    return Calendar(first.year, None if options.shifted else bound, placeholders, day_first)


def _written(lake: Lake, columns: Mapping[str, tuple[str, ...]]) -> pl.DataFrame:
    """Return how many records bear each text of the columns: `text`, `records`."""
    stamps = {table: lake.stamp(f"raw_{table}") for table in columns}
    counted = [
        _counted(lake.path(f"raw_{table}"), stamp.fingerprint, name)
        for table, stamp in stamps.items()
        if stamp is not None
        for name in columns[table]
        if name in stamp.columns
    ]
    empty = pl.DataFrame(schema={"text": pl.String, "records": pl.get_index_type()})
    return pl.concat([empty, *counted]).drop_nulls()


# Each table that is validated needs the counts of all of them.
@lru_cache(maxsize=16)
def _counted(table: Path, _fingerprint: str, column: str) -> pl.DataFrame:
    """Return how many records of a raw table, as it is at this fingerprint, bear each text."""
    return (
        pl.scan_parquet(table, glob=False)
        .group_by(pl.col(column).str.strip_chars().alias("text"))
        .len("records")
        .collect(engine="streaming")
    )


def _day_first(written: pl.DataFrame) -> bool | None:
    """Return which of two orders the texts allow; None when both, or none of them, is possible."""
    both = written.select(values.slashed(pl.col("text"))).unnest("text").drop_nulls()
    if both.is_empty():
        return None
    first, second = (bool((both.get_column(name) > 12).any()) for name in ("first", "second"))
    return None if first == second else first


def _by_day(written: pl.DataFrame, day_first: bool | None) -> pl.DataFrame:
    return (
        written.select(values.death_day(pl.col("text"), day_first).alias("day"), "records")
        .drop_nulls()
        .group_by("day")
        .agg(pl.col("records").sum())
        .sort("day")
    )


def _placeholders(days: pl.DataFrame, declared: Iterable[date]) -> tuple[date, ...]:
    """Return the declared days that stand out from the days around them."""
    found = []
    for day in declared:
        around = days.filter(
            (pl.col("day") - pl.lit(day)).dt.total_days().abs().is_between(1, _DAYS_AROUND)
        )
        usual = float(around.get_column("records").sum()) / (2 * _DAYS_AROUND)
        # A death is often told by its month alone, which stands for its last day.
        here = int(days.filter(_is_day_or_month(day)).get_column("records").sum())
        if here > _TIMES_USUAL * usual:
            found.append(day)
    return tuple(found)


def _is_day_or_month(day: date) -> pl.Expr:
    return pl.col("day").is_in([day, day.replace(day=monthrange(day.year, day.month)[1])])


def _last_day(days: pl.DataFrame, after: date) -> date:
    """Return the last day on or after one that no gap divides from the days before it."""
    last = after
    for day in days.filter(pl.col("day") > after).get_column("day"):
        if day - last > _LONGEST_GAP:
            break
        last = day
    return last


def _day_of_share(days: pl.DataFrame, part: float) -> date:
    """Return the day by which this part of the records was made."""
    reached = pl.col("records").cum_sum() >= part * pl.col("records").sum()
    found: date = days.filter(reached).item(0, "day")
    return found
