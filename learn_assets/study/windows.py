"""Window: LIS, BP and FUP as one typed value with explicit, inclusive ends."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

_KEY = re.compile(r"^LIS-(\d+)_BP-(\d+)_FUP-(\d+)$")


@dataclass(frozen=True)
class Period:
    """Calendar days from `first` to `last`, both included; empty when `last` is before `first`."""

    first: date
    last: date

    def __contains__(self, day: date) -> bool:
        return self.first <= day <= self.last

    @property
    def days(self) -> int:
        """Number of days in the period, 0 when empty."""
        return max(0, (self.last - self.first).days + 1)


class Window(BaseModel):
    """Length in system, buffer period and follow-up period around an index date, in days.

    LIS days of history are demanded before the index date, outcomes up to BP days after it are
    too close to predict, and an outcome counts until FUP days after it (LEARN, window config).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    length_in_system: int = Field(alias="LIS", ge=0, le=36_500)
    buffer_period: int = Field(alias="BP", ge=0, le=36_500)
    follow_up_period: int = Field(alias="FUP", ge=1, le=36_500)

    @model_validator(mode="after")
    def _follow_up_outlasts_buffer(self) -> Self:
        if self.follow_up_period <= self.buffer_period:
            raise ValueError("FUP must be longer than BP, or no day is left for an outcome")
        return self

    @property
    def key(self) -> str:
        """Partition key, such as `LIS-730_BP-180_FUP-1825`."""
        return f"LIS-{self.length_in_system}_BP-{self.buffer_period}_FUP-{self.follow_up_period}"

    @classmethod
    def from_key(cls, key: str) -> Self:
        """Parse a partition key; ValueError shows the form wanted."""
        match = _KEY.match(key)
        if match is None:
            raise ValueError(f"not a window key: {key!r}; wanted LIS-<days>_BP-<days>_FUP-<days>")
        lis, bp, fup = (int(part) for part in match.groups())
        return cls.model_validate({"LIS": lis, "BP": bp, "FUP": fup})

    def latest_first_record(self, index_date: date) -> date:
        """Last day on which a first record still gives LIS days in the system."""
        return index_date - timedelta(days=self.length_in_system)

    def buffer(self, index_date: date) -> Period:
        """Days after the index date that are too close for prediction (empty when BP is 0)."""
        first = index_date + timedelta(days=1)
        return Period(first, index_date + timedelta(days=self.buffer_period))

    def time_at_risk(self, index_date: date) -> Period:
        """Days on which an outcome makes a case: BP < days since index <= FUP."""
        return Period(
            index_date + timedelta(days=self.buffer_period + 1),
            index_date + timedelta(days=self.follow_up_period),
        )
