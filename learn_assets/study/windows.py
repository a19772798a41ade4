"""Window: LIS, BP and FUP as one typed value with explicit, inclusive ends."""

from __future__ import annotations

import re
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

_KEY = re.compile(r"^LIS-(\d+)_BP-(\d+)_FUP-(\d+)$")


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
