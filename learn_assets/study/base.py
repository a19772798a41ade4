"""Base: what every study has, whatever its question."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from learn_assets.study.section import Section


class PrivacyOptions(Section):
    """What may leave the lake."""

    minimum_cell: int = Field(default=11, ge=1, description="Counts below it are masked.")


class LakeOptions(Section):
    """Where the tables live; the variable LEARN_HOME wins over it."""

    home: Path = Path(".learn")


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
    privacy: PrivacyOptions = PrivacyOptions()
    lake: LakeOptions = LakeOptions()
