"""Evidence: decision curves, subgroups and explanations as a report shows them.

What belongs here: typed rows read from the tables `net_benefit`, `subgroup_performance` and
`explanations`, which have passed disclosure control.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from learn_assets.reporting.labels import feature_set_rank

SUBJECT_WORDS = {
    "age_at_index": "Age",
    "sex|F": "Sex: female",
    "sex|M": "Sex: male",
    "sex|U": "Sex: unknown",
}
KIND_WORDS = {
    "diagnosis": "Diagnoses",
    "procedure": "Procedures",
    "medication": "Medications",
    "demographics": "Age and sex",
    "lab_result": "Laboratory",
}


@dataclass(frozen=True)
class DecisionPoint:
    """Net benefit of acting from a risk on, with its limits."""

    threshold: float
    net_benefit: float
    lower: float
    upper: float


@dataclass(frozen=True)
class DecisionCurve:
    """Points of one model that may be shown, and acting on everyone as (threshold, net benefit)."""

    feature_set: str
    learner: str
    points: tuple[DecisionPoint, ...]
    everyone: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class SubgroupRow:
    """One metric of one group; without an estimate, `reason` says why."""

    feature_set: str
    learner: str
    attribute: str
    group: str
    reference: str | None
    metric: str
    estimate: float | None
    lower: float | None
    upper: float | None
    reason: str | None


@dataclass(frozen=True)
class ExplanationRow:
    """How much a model relies on one subject, in words."""

    feature_set: str
    learner: str
    method: str
    kind: str
    words: str
    metric: str
    estimate: float | None
    lower: float | None
    upper: float | None
    direction: float | None
    reason: str | None


def decision_curves(net_benefit: pl.DataFrame, learner: str) -> tuple[DecisionCurve, ...]:
    """Return the curves of one learner and of the age and sex baseline, simplest features first."""
    chosen = net_benefit.filter(
        (pl.col("learner") == learner) | (pl.col("feature_set") == "age_sex"),
        pl.col("threshold").is_not_null(),
    ).sort("threshold")
    curves = []
    for (feature_set, name), model in chosen.group_by(
        "feature_set", "learner", maintain_order=True
    ):
        shown = model.drop_nulls("net_benefit").select("threshold", "net_benefit", "lower", "upper")
        everyone = model.select("threshold", "net_benefit_of_all")
        curves.append(
            DecisionCurve(
                str(feature_set),
                str(name),
                tuple(DecisionPoint(*row) for row in shown.iter_rows()),
                tuple(everyone.iter_rows()),
            )
        )
    return tuple(sorted(curves, key=lambda curve: feature_set_rank(curve.feature_set)))


def subgroup_rows(subgroup_performance: pl.DataFrame) -> tuple[SubgroupRow, ...]:
    """Return the rows of the table in its order, the simplest feature set first."""
    rows = [SubgroupRow(**row) for row in subgroup_performance.iter_rows(named=True)]
    return tuple(sorted(rows, key=lambda row: feature_set_rank(row.feature_set)))


def explanation_rows(explanations: pl.DataFrame) -> tuple[ExplanationRow, ...]:
    """Return the rows of the table with their subjects in words, largest first in each method."""
    rows = [
        ExplanationRow(
            words=_words(row), **{key: row[key] for key in row if key not in {"subject", "words"}}
        )
        for row in explanations.iter_rows(named=True)
    ]
    return tuple(
        sorted(
            rows,
            key=lambda row: (feature_set_rank(row.feature_set), row.method, -(row.estimate or 0.0)),
        )
    )


def _words(row: dict[str, str]) -> str:
    subject = row["subject"]
    if row["method"] != "shap":
        kind = KIND_WORDS.get(row["kind"], row["kind"])
        return kind if row["kind"] == "demographics" else f"{kind}: {subject}"
    known = row["words"] or SUBJECT_WORDS.get(subject)
    if known is None:
        return subject.removeprefix("missing|").replace("|", " ") + _missing(subject)
    return known + _missing(subject)


def _missing(subject: str) -> str:
    return " (not measured)" if subject.startswith("missing|") else ""
