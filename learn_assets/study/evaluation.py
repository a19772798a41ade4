"""Evaluation options: what a study says about thresholds, subgroups and explanations."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field, field_validator

from learn_assets.study.section import Section

SPECIFICITIES = (0.9, 0.95)


class EvaluationOptions(Section):
    """At which thresholds models are judged, in which groups, and how they are explained."""

    specificities: tuple[float, ...] = Field(
        default=SPECIFICITIES,
        min_length=1,
        description="Sensitivity and predictive values are given at these; subgroups at the first.",
    )
    decision_thresholds: tuple[float, ...] = Field(
        default=(),
        description="Risks at which somebody would act, for net benefit; none: round numbers from "
        "a quarter of the share of cases to three times it.",
    )
    age_bands: tuple[int, ...] = Field(
        default=(40, 60), description="Years at which a new age band begins."
    )
    explained_features: int = Field(
        default=30, ge=1, le=1000, description="Features shown of each explained model."
    )
    recency_days: tuple[int, ...] = Field(
        default=(90, 365),
        description="Ages at which a new band of past records begins, in explanations.",
    )

    @field_validator("specificities", "decision_thresholds")
    @classmethod
    def _between_none_and_all(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if any(not 0.0 < item < 1.0 for item in value):
            raise ValueError("values must lie above 0 and below 1")
        _must_rise(value)
        return value

    @field_validator("age_bands", "recency_days")
    @classmethod
    def _positive(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if any(item < 1 for item in value):
            raise ValueError("values must be 1 or more")
        _must_rise(value)
        return value


def _must_rise(value: Sequence[float]) -> None:
    if sorted(set(value)) != list(value):
        raise ValueError("values must rise, each once")
