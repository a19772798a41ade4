"""Dates: what a study states about the calendar of its extract."""

from __future__ import annotations

import datetime
from typing import Literal

from pydantic import Field

from learn_assets.study.section import Section

# How databases, spreadsheets and exports write that there is no date.
_PLACEHOLDERS = (
    datetime.date(1753, 1, 1),
    datetime.date(1800, 1, 1),
    datetime.date(1899, 12, 30),
    datetime.date(1900, 1, 1),
    datetime.date(1970, 1, 1),
    datetime.date(2999, 12, 31),
    datetime.date(9999, 1, 1),
    datetime.date(9999, 12, 31),
)


class DateOptions(Section):
    """How the dates of an extract are to be understood; nothing here depends on a machine's clock.

    A placeholder counts as no date where far more records bear it than the days around it.
    """

    shifted: Literal["per_patient"] | None = Field(
        default=None,
        description="`per_patient`: de-identification moved each patient's dates by a span of its "
        "own, as in MIMIC; no date is in the future then, and nothing is told by calendar year.",
    )
    today: datetime.date | None = Field(
        default=None,
        description="Last day that a date may have; none: five years after the extract's last "
        "record. Records that five empty years or more divide from the others do not count.",
    )
    order: Literal["day_first", "month_first"] | None = Field(
        default=None,
        description="How 03/04/2014 is meant; none: as days above 12 in the extract tell.",
    )
    placeholders: tuple[datetime.date, ...] = Field(
        default=_PLACEHOLDERS, description="Days that may stand for no date."
    )
