"""Label dates in a window: the judgment on labels that depend on when the index event was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

import polars as pl

from learn_assets.disclosure import shown
from learn_assets.evaluation.label_dates import LabelDates, label_dates
from learn_assets.reporting.context import CellContext, WindowContext
from learn_assets.reporting.judgments import (
    NO,
    NO_INFORMATION,
    PROBABLY_NO,
    PROBABLY_YES,
    YES,
    Judgment,
)
from learn_assets.reporting.sections.overview import FinishedCell
from learn_assets.reporting.values import Estimate, estimate
from learn_assets.statistics.discrimination import Interval

DATES_QUESTION = "4.6b Are labels independent of the date of the index event?"


def label_dates_judgment(
    window: WindowContext, cells: Sequence[FinishedCell], topics: Mapping[str, str]
) -> Judgment:
    """Return whether the day of the index event tells the label in a window, and the remedy."""
    domain, key = "4 Analysis", window.window.key
    cohort, events = window.of_window("cohort"), window.table("index_events")
    last = None if events is None else events["last_record_date"].max()
    if cohort is None or cohort.is_empty() or not isinstance(last, date):
        return Judgment(
            domain, DATES_QUESTION, NO_INFORMATION, f"The cohort of {key} has no dates."
        )
    if window.study.dates.shifted is not None:
        moved = "De-identification shifted each patient's dates, so index dates do not compare."
        return Judgment(domain, DATES_QUESTION, NO_INFORMATION, moved)
    found = label_dates(cohort, window.window, last, minimum_cell=window.minimum_cell)
    if found.everyone is None:
        few = f"Fewer than {window.minimum_cell} cases or controls in {key}."
        return Judgment(domain, DATES_QUESTION, NO_INFORMATION, few)
    answer = _answer_on_dates(found)
    evidence = [
        f"{key}: {_cut_short(window, cells, found.cut_short)} The index date alone ranks cases "
        f"above controls with AUROC {_auroc(found.everyone)}"
        + ("" if found.whole is None else f", and {_auroc(found.whole)} among patients whose whole "
           "window lies within the data")
        + "."
    ]  # fmt: skip
    remedies = {
        "time_to_event": "the time-to-event arm keeps everyone",
        "temporal_validation": "the temporal hold-out judges whole windows only",
    }
    if answer in {NO, PROBABLY_NO}:
        evidence.append(f"Remedy: {'; '.join(remedies.values())}.")
    shown_where = [topic for topic in remedies if topic in topics]
    topic = shown_where[0] if shown_where else "sizes"
    return Judgment(domain, DATES_QUESTION, answer, " ".join(evidence), topic)


def _answer_on_dates(found: LabelDates) -> str:
    told = _excludes_half(found.everyone)
    if not found.cut_short:
        return PROBABLY_NO if told else YES
    return NO if told else PROBABLY_YES


def _excludes_half(area: Interval | None) -> bool:
    return area is not None and not area.lower <= 0.5 <= area.upper


def _cut_short(window: WindowContext, cells: Sequence[FinishedCell], count: int) -> str:
    """Return how many labeled patients can only be cases, unless the hold-out withholds them."""
    if not count:
        return "No labeled patient's window ends after the data."
    number = shown(count, window.minimum_cell).text
    if any(_withheld_by_hold_out(cell.context) for cell in cells if _is_of(cell, window)):
        number = "some"
    return (
        f"The window of {number} labeled patients ends after the data: only its cases have a label."
    )


def _is_of(cell: FinishedCell, window: WindowContext) -> bool:
    return cell.context.window.key == window.window.key


def _withheld_by_hold_out(cell: CellContext) -> bool:
    """Return whether the temporal hold-out tells counts, but not this one, which would add one."""
    frame = cell.of_cell("temporal_validation")
    if frame is None or frame.is_empty():
        return False
    return frame.filter(pl.col("metric") == "left_out_later_window_open").is_empty()


def _auroc(area: Interval) -> str:
    return estimate(Estimate(area.estimate, area.lower, area.upper), 2).text
