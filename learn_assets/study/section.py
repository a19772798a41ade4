"""Section: the base of every part of a study."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """Base of every part of a study: immutable, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")
