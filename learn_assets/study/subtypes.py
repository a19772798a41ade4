"""SubtypeStudy: everything a user may choose in a study of diagnostic subtypes.

What belongs here: the typed form of a study file with `question: subtypes`, and nothing that acts
on it.
"""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from learn_assets.study import BaseStudy
from learn_assets.study.clusters import ClusterOptions
from learn_assets.study.language_model import LanguageModelOptions
from learn_assets.study.section import Section

Sex = Literal["F", "M"]
SEXES: tuple[Sex, ...] = ("F", "M")

# Adolescents' admissions for substance use, Spain, 2016 to the first wave of COVID-19: the rules of
# the published study.
_PRUNING_PRESETS: dict[str, dict[str, object]] = {
    "published": {"last_admission": datetime.date(2020, 3, 15), "principal_diagnosis": ("F",)},
    "none": {},
}


class DischargeFiles(Section):
    """Downloads of the Spanish discharge registry RAE-CMBD: CSV (plain, gzip or zip) or SPSS."""

    format: Literal["rae_cmbd"]
    files: tuple[Path, ...] = Field(min_length=1, description="CSV files or SPSS .sav files.")
    placeholders: tuple[str, ...] = Field(
        default=("ZZZ.ZZZS",), description="Codes that mean that there is no diagnosis."
    )


class SyntheticDischarges(Section):
    """A synthetic download in the registry's layout, made from a seed, with planted clusters."""

    format: Literal["synthetic"]
    admissions: int = Field(default=2000, ge=100, le=5_000_000)
    seed: int = Field(default=20261125, ge=0)
    planted_clusters: int = Field(
        default=4, ge=0, le=4, description="Clusters a sex; 0: diagnoses without any structure."
    )
    dirty_share: float = Field(default=0.01, ge=0.0, le=0.2, description="Share of bad rows.")


DischargeSource = Annotated[DischargeFiles | SyntheticDischarges, Field(discriminator="format")]


class PruningRules(Section):
    """Which admissions stay. A key that is given replaces that rule of the preset."""

    preset: Literal["published", "none"] = "published"
    first_admission: datetime.date | None = Field(
        default=None, description="First day of admission that stays."
    )
    last_admission: datetime.date | None = Field(
        default=None, description="Last day of admission that stays."
    )
    principal_diagnosis: tuple[str, ...] = Field(
        default=(), description="Beginnings of the principal diagnosis that stay; none: all."
    )
    minimum_age: int | None = Field(default=None, ge=0, le=130, description="Years at admission.")
    maximum_age: int | None = Field(default=None, ge=0, le=130, description="Years at admission.")

    @model_validator(mode="before")
    @classmethod
    def _start_from_the_preset(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {**_PRUNING_PRESETS.get(str(value.get("preset", "published")), {}), **value}

    @field_validator("principal_diagnosis")
    @classmethod
    def _written_as_compared(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(prefix.replace(".", "").upper() for prefix in value)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        for low, high in (("first_admission", "last_admission"), ("minimum_age", "maximum_age")):
            first, last = getattr(self, low), getattr(self, high)
            if first is not None and last is not None and first > last:
                raise ValueError(f"`{low}` is above `{high}`")
        return self


class DescriptionOptions(Section):
    """Where the descriptions of diagnosis codes come from, and how many codes must have one."""

    code_file: Path | None = Field(
        default=None,
        description="The CMS text file icd10cm-codes-<month>-<year>.txt; none: packaged titles.",
    )
    minimum_coverage: float = Field(
        default=0.99, ge=0.0, le=1.0, description="Share of mentions with a description."
    )


class SubtypeStudy(BaseStudy):
    """One study of diagnostic subtypes among hospital admissions."""

    question: Literal["subtypes"]
    source: DischargeSource
    pruning: PruningRules = PruningRules()
    descriptions: DescriptionOptions = DescriptionOptions()
    language_model: LanguageModelOptions | None = Field(
        default=LanguageModelOptions(),
        description="The model trained on the texts; null: none, clusters use another encoder.",
    )
    clusters: ClusterOptions = ClusterOptions()

    @model_validator(mode="after")
    def _synthetic_is_labelled(self) -> Self:
        if isinstance(self.source, SyntheticDischarges) and not self.synthetic:
            raise ValueError("a synthetic source needs `synthetic: true`, so results are labelled")
        return self

    @model_validator(mode="after")
    def _clusters_have_their_model(self) -> Self:
        if self.clusters.representation == "language_model" and self.language_model is None:
            raise ValueError(
                "`clusters.representation: language_model` needs the section `language_model`, "
                "which is null"
            )
        return self

    @property
    def sexes_share_a_space(self) -> bool:
        """Whether vectors of both sexes may be compared and drawn together: not of two models."""
        model = self.language_model if self.clusters.representation == "language_model" else None
        return model is None or model.sharing == "shared"
