"""Base: what every study has, whatever its question."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from learn_assets.study.section import Section


class PrivacyOptions(Section):
    """What may leave the lake."""

    minimum_cell: int = Field(default=11, ge=1, description="Counts below it are masked.")


class LakeOptions(Section):
    """Where the tables live; the variable LEARN_HOME wins over it."""

    home: Path = Path(".learn")


_TableAndReason = Annotated[str, Field(pattern=r"^[a-z_]+\.[a-z0-9_]+$")]
_Share = Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)]


class BaseStudy(Section):
    """What every study has, whatever its question."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    title: str
    synthetic: bool = Field(
        default=False, description="Results come from synthetic data and are labelled so."
    )
    owner: str = Field(
        default="team:study", description="Dagster owner: `team:<name>` or an e-mail address."
    )
    accepted_loss: dict[_TableAndReason, _Share] = Field(
        default={},
        description="Share of a table's rows that may be refused for one reason, such as "
        "`lab_result.unknown_patient: 0.1`; 0.05 for each reason that is not named.",
    )
    privacy: PrivacyOptions = PrivacyOptions()
    lake: LakeOptions = LakeOptions()
