"""Cohort rules: code lists, and who enters the cohort and has the outcome by them."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from learn_assets.study.names import RecordKind
from learn_assets.study.section import Section

# Steps of the attrition that are not exclusions.
_RULE_NAMES = frozenset(
    (
        "index_event", "outcome_before_risk_period", "prior_outcome", "age_at_index",
        "length_in_system", "follow_up", "minimum_records", "labeled",
        "outcome_in_buffer",
    )
)  # fmt: skip


class CodeEntry(Section):
    """Codes of one code system that belong to a code list."""

    code_system: str
    codes: tuple[str, ...] = Field(min_length=1)
    match: Literal["exact", "prefix"] | None = Field(
        default=None,
        description="`prefix`: also every code below; none: `prefix` for ICD codes, else `exact`.",
    )
    include_descendants: bool = Field(
        default=False, description="OMOP only: also every descendant in concept_ancestor."
    )

    @field_validator("codes", mode="before")
    @classmethod
    def _codes_are_text(cls, value: object) -> object:
        if isinstance(value, list) and any(not isinstance(item, str) for item in value):
            raise ValueError("quote every code: YAML reads 710.0 as a number")
        return value

    @model_validator(mode="after")
    def _concepts_match_by_descent(self) -> Self:
        if self.code_system == "OMOP" and self.match == "prefix":
            raise ValueError("`match`: concept ids match exactly; try `include_descendants`")
        if self.code_system != "OMOP" and self.include_descendants:
            raise ValueError("`include_descendants` is for code system OMOP; try `match: prefix`")
        return self


class AgeRule(Section):
    """Age at index in whole years, both ends included.

    Policy `published` asks as LEARN does, fractions of a year and all: `min - 1` < age <= `max`.
    """

    min: int = Field(default=16, ge=0, le=130)
    max: int = Field(default=85, ge=0, le=130)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min > self.max:
            raise ValueError("`min` is above `max`")
        return self


class IndexEventRule(Section):
    """Derived mode: the first record that matches is the index event."""

    kinds: tuple[RecordKind, ...] = Field(min_length=1)
    code_list: str
    value_text: tuple[str, ...] = Field(
        default=(), description="Laboratory texts that count as positive (case ignored)."
    )
    value_at_least: float | None = Field(
        default=None,
        description="Laboratory number that counts as positive, in the unit sent; `<80` is none.",
    )

    @model_validator(mode="after")
    def _values_are_of_results(self) -> Self:
        idle = {"value_text": self.value_text, "value_at_least": self.value_at_least is not None}
        named = [f"`{name}`" for name, given in idle.items() if given]
        if named and "lab_result" not in self.kinds:
            raise ValueError(f"{', '.join(named)}: only records of kind lab_result have values")
        return self


class OutcomeRule(Section):
    """Derived mode: codes on this many distinct days; the first of them dates the outcome.

    Under policy `prospective`, days that were not complete at the index date cannot have been known
    then: the first of them after it dates the outcome.
    """

    kinds: tuple[RecordKind, ...] = ("diagnosis",)
    code_list: str
    distinct_days: int = Field(default=2, ge=1, le=10)


class Exclusion(Section):
    """A condition that keeps a patient out of the cohort."""

    name: str
    code_list: str | None = Field(
        default=None, description="Needed unless the supplied cohort table has a column for it."
    )
    kinds: tuple[RecordKind, ...] = ("diagnosis",)
    distinct_days: int = Field(default=1, ge=1, le=10)


class ConditionalCodes(Section):
    """Codes that name a severe outcome only in patients who have a condition by then."""

    condition: str = Field(description="Code list of the condition, such as lupus.")
    code_list: str = Field(description="Codes that count from the condition's first day on.")


class SevereOutcome(Section):
    """An outcome evaluated against the score, dated by its first record."""

    name: str
    code_list: str
    kinds: tuple[RecordKind, ...] = ("diagnosis",)
    distinct_days: int = Field(default=1, ge=1, le=10)
    in_patients_with: ConditionalCodes | None = Field(
        default=None, description="Further codes that count only after a condition's first day."
    )
    recurs: bool = Field(
        default=False,
        description="Dated by its first record after the index date, whatever came before.",
    )


class MinimumRecords(Section):
    """Records before the index date below which a history counts as too thin."""

    diagnosis: int = Field(default=0, ge=0)
    procedure: int = Field(default=0, ge=0)
    medication: int = Field(default=0, ge=0)


class CohortRules(Section):
    """Who enters the cohort and what counts as the outcome."""

    mode: Literal["supplied", "derived"]
    policy: Literal["prospective", "published"] = "prospective"
    age_at_index: AgeRule = AgeRule()
    index_event: IndexEventRule | None = None
    outcome: OutcomeRule | None = None
    exclusions: tuple[Exclusion, ...] = ()
    severe_outcomes: tuple[SevereOutcome, ...] = ()
    minimum_records: MinimumRecords = MinimumRecords()
    require_minimum_records: bool = Field(
        default=False, description="Remove thin histories instead of only marking them."
    )

    @model_validator(mode="after")
    def _rules_fit_the_mode(self) -> Self:
        derived = self.mode == "derived"
        if derived and (self.index_event is None or self.outcome is None):
            raise ValueError("mode `derived` needs `index_event` and `outcome`")
        undated = [rule.name for rule in self.exclusions if rule.code_list is None]
        if derived and undated:
            raise ValueError(f"mode `derived`: exclusions without `code_list`: {undated}")
        for name in ("index_event", "outcome"):
            if not derived and getattr(self, name) is not None:
                raise ValueError(
                    f"mode `supplied` takes dates from the cohort table: remove `{name}`, or "
                    "write mode `derived`"
                )
        return self

    @model_validator(mode="after")
    def _conditions_have_names_of_their_own(self) -> Self:
        excluded = [rule.name for rule in self.exclusions]
        severe = [rule.name for rule in self.severe_outcomes]
        for part, names in {"exclusions": excluded, "severe_outcomes": severe}.items():
            repeated = sorted({name for name in names if names.count(name) > 1})
            if repeated:
                raise ValueError(f"`{part}`: the same name stands twice: {repeated}")
        taken = sorted(_RULE_NAMES & set(excluded))
        if taken:
            raise ValueError(f"`exclusions`: names of other steps of the attrition: {taken}")
        return self
