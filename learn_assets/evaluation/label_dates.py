"""Label dates: how far the day of the index event alone tells who is a case.

What belongs here: the bias of labels that need complete follow-up. A control is seen through to the
end of the window; a case is a case from the day of the outcome. So a patient whose window ends
after the data can only be a case, and whatever tells the date (codes of a year, the amount of
records) tells something of the label.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl

from learn_assets.statistics.discrimination import Interval, auroc
from learn_assets.study.windows import Window


@dataclass(frozen=True)
class LabelDates:
    """What index dates say of labels.

    cut_short: labeled patients whose window ends after the data, all of them cases. everyone and
    whole: AUROC of a later index date for being a case, among all labeled patients and among those
    whose whole window lies within the data; 0.5 says nothing. None where cases or controls are few.
    """

    cut_short: int
    everyone: Interval | None
    whole: Interval | None


def label_dates(
    cohort: pl.DataFrame, window: Window, end_of_data: date, *, minimum_cell: int
) -> LabelDates:
    """Return how labels depend on the index date (`label` and `index_date` of a cohort).

    end_of_data: last day on record. Intervals are DeLong's, 95 %.
    """
    labeled = cohort.filter(pl.col("label").is_not_null(), pl.col("index_date").is_not_null())
    over = pl.col("index_date") + pl.duration(days=window.follow_up_period) <= end_of_data
    whole = labeled.filter(over)
    return LabelDates(
        cut_short=labeled.height - whole.height,
        everyone=_told_by_date(labeled, minimum_cell),
        whole=_told_by_date(whole, minimum_cell),
    )


def _told_by_date(labeled: pl.DataFrame, minimum_cell: int) -> Interval | None:
    labels = labeled["label"].to_numpy().astype(np.int64)
    cases = int(labels.sum())
    if min(cases, len(labels) - cases) < max(2, minimum_cell):
        return None
    days = labeled["index_date"].cast(pl.Int32).to_numpy().astype(np.float64)
    return auroc(days, labels)
