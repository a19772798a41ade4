"""Subgroups: how models do for women and men, age bands and races, and how groups differ.

What belongs here: performance within groups of the labeled patients from out-of-fold predictions.
No group is shown whose numbers, or the totals minus those of other groups, count few patients.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from learn_assets.disclosure import hidden_groups
from learn_assets.evaluation.patient_groups import UNKNOWN
from learn_assets.schemas.registry import empty_frame
from learn_assets.statistics.calibration import calibration_intercept, calibration_slope
from learn_assets.statistics.discrimination import (
    FloatVector,
    Interval,
    Labels,
    OneClassError,
    auroc,
    delong,
    limits_of,
    wald,
)
from learn_assets.statistics.logistic_line import SeparationError
from learn_assets.statistics.operating_points import fold_thresholds
from learn_assets.statistics.shares import newcombe, wilson

ATTRIBUTES = ("sex", "age_band", "race")
_COUNTS = ("patients", "cases", "prevalence")
_RANKED = ("auroc", "calibration_intercept", "calibration_slope")
_FLAGGED = ("sensitivity", "specificity")
_COMPARED = ("auroc", "calibration_intercept", *_FLAGGED)


@dataclass(frozen=True)
class SubgroupOptions:
    """At which overall specificity patients are flagged, and which counts are small."""

    specificity: float
    minimum_cell: int


@dataclass(frozen=True)
class _Scored:
    """Predictions of one model: scores, labels, folds and who is flagged, a row a patient."""

    scores: FloatVector
    labels: Labels
    folds: Labels
    flagged: npt.NDArray[np.bool_]

    def rows(self, members: npt.NDArray[np.bool_]) -> _Scored:
        return _Scored(
            self.scores[members], self.labels[members], self.folds[members], self.flagged[members]
        )


@dataclass(frozen=True)
class _Group:
    """A group of an attribute: its patients, and which of its numbers must be withheld."""

    name: str
    scored: _Scored
    hidden: bool
    hidden_flags: frozenset[str]


@dataclass(frozen=True)
class _Measure:
    metric: str
    value: Interval | float | None
    reason: str | None = None
    reference: str | None = None


def subgroup_performance(
    cross_validation: pl.DataFrame, attributes: pl.DataFrame, options: SubgroupOptions
) -> pl.DataFrame:
    """Return the performance of every feature set and learner in every group.

    attributes: what `subgroup_attributes` returns. Metrics: `patients`, `cases`, `prevalence`;
    `auroc` (DeLong, pairs within folds); `calibration_intercept` and `calibration_slope` (Wald);
    `sensitivity` and `specificity` (Wilson) at the threshold that gives all patients of a fold the
    specificity of the options. `..._difference` is the group minus `reference`, the largest group
    shown; groups share no patient, so intervals add the variances of DeLong, of Wald, or of Wilson
    (Newcombe 1998). A number that cannot be estimated or shown has a reason instead.
    """
    rows: list[dict[str, object]] = []
    for (feature_set, learner), model in cross_validation.group_by(
        "feature_set", "learner", maintain_order=True
    ):
        ordered = model.sort("patient_id").join(
            attributes, on="patient_id", how="left", maintain_order="left"
        )
        scored = _scored(ordered, options.specificity)
        for attribute in ATTRIBUTES:
            named = ordered[attribute].fill_null(UNKNOWN).to_numpy()
            place = {"feature_set": feature_set, "learner": learner, "attribute": attribute}
            rows += _attribute_rows(place, _groups(scored, named, options.minimum_cell), options)
    return pl.DataFrame(rows, schema=empty_frame("subgroup_performance").schema)


def _scored(model: pl.DataFrame, specificity: float) -> _Scored:
    scores = model["probability"].to_numpy().astype(np.float64)
    labels = model["label"].to_numpy().astype(np.int64)
    folds = model["fold"].to_numpy().astype(np.int64)
    flagged = scores > fold_thresholds(scores, labels, folds, specificity)
    return _Scored(scores, labels, folds, flagged)


def _groups(scored: _Scored, named: npt.NDArray[np.object_], minimum_cell: int) -> list[_Group]:
    names = sorted(set(named.tolist()), key=_order)
    parts = [scored.rows(named == name) for name in names]
    hidden = hidden_groups([_split(part.labels == 1) for part in parts], minimum_cell)
    flags: dict[int, set[str]] = {index: set() for index in range(len(parts))}
    for metric, label in zip(_FLAGGED, (1, 0), strict=True):
        # The total of flagged patients is nearly on show: sensitivity of everyone is.
        chosen = [_split(part.flagged[part.labels == label]) for part in parts]
        for index in hidden_groups(chosen, minimum_cell) | hidden:
            flags[index].add(metric)
    return [
        _Group(name, part, index in hidden, frozenset(flags[index]))
        for index, (name, part) in enumerate(zip(names, parts, strict=True))
    ]


def _order(name: str) -> tuple[bool, bool, str]:
    return name == UNKNOWN, not name.startswith("under "), name


def _split(yes: npt.NDArray[np.bool_]) -> tuple[int, int]:
    return int(yes.sum()), int((~yes).sum())


def _attribute_rows(
    place: dict[str, object], groups: Sequence[_Group], options: SubgroupOptions
) -> Iterator[dict[str, object]]:
    shown = [group for group in groups if not group.hidden]
    reference = max(shown, key=lambda group: len(group.scored.labels), default=None)
    for group in groups:
        measures = list(_measures(group, options))
        if reference is not None and reference is not group:
            measures += _differences(group, reference, options)
        for item in measures:
            yield {
                **place,
                "group": group.name,
                "reference": item.reference,
                "metric": item.metric,
                **limits_of(item.value),
                "reason": item.reason,
            }


def _measures(group: _Group, options: SubgroupOptions) -> Iterator[_Measure]:
    if group.hidden:
        for metric in (*_COUNTS, *_RANKED, *_FLAGGED):
            yield _Measure(metric, None, _withheld(options))
        return
    scored = group.scored
    cases = int(scored.labels.sum())
    yield _Measure("patients", float(len(scored.labels)))
    yield _Measure("cases", float(cases))
    yield _Measure("prevalence", cases / len(scored.labels))
    for metric in _RANKED:
        yield _attempt(metric, scored)
    for metric in _FLAGGED:
        if metric in group.hidden_flags:
            yield _Measure(metric, None, _withheld(options))
        else:
            yield _attempt(metric, scored)


def _withheld(options: SubgroupOptions) -> str:
    return (
        f"withheld: fewer than {options.minimum_cell} patients could be counted here or elsewhere"
    )


def _attempt(metric: str, scored: _Scored) -> _Measure:
    measures: dict[str, Callable[[], Interval]] = {
        "auroc": lambda: auroc(scored.scores, scored.labels, folds=scored.folds),
        "calibration_intercept": lambda: calibration_intercept(scored.scores, scored.labels),
        "calibration_slope": lambda: calibration_slope(scored.scores, scored.labels),
        "sensitivity": lambda: _share("sensitivity", scored),
        "specificity": lambda: _share("specificity", scored),
    }
    try:
        return _Measure(metric, measures[metric]())
    except (OneClassError, SeparationError) as error:
        return _Measure(metric, None, str(error))


def _differences(group: _Group, reference: _Group, options: SubgroupOptions) -> Iterator[_Measure]:
    for metric in _COMPARED:
        name = f"{metric}_difference"
        if group.hidden or metric in (group.hidden_flags | reference.hidden_flags):
            yield _Measure(name, None, _withheld(options), reference.name)
            continue
        try:
            gap = _difference(metric, group.scored, reference.scored)
        except (OneClassError, SeparationError) as error:
            yield _Measure(name, None, str(error), reference.name)
            continue
        yield _Measure(name, gap, None, reference.name)


def _difference(metric: str, group: _Scored, reference: _Scored) -> Interval:
    if metric == "auroc":
        ranked = [delong(item.scores, item.labels, item.folds) for item in (group, reference)]
        first, second = (float(item.estimates[0]) for item in ranked)
        return wald(first - second, sum(float(item.covariance[0, 0]) for item in ranked))
    if metric == "calibration_intercept":
        level, other = (calibration_intercept(x.scores, x.labels) for x in (group, reference))
        width = float(np.hypot(level.upper - level.estimate, other.upper - other.estimate))
        gap = level.estimate - other.estimate
        return Interval(gap, gap - width, gap + width)
    return newcombe(_share(metric, group), _share(metric, reference))


def _share(metric: str, scored: _Scored) -> Interval:
    """Return sensitivity or specificity; OneClassError without a case or without a control."""
    label = int(metric == "sensitivity")
    right = scored.flagged[scored.labels == label] == bool(label)
    if not len(right):
        raise OneClassError("needs at least one case and one control")
    return wilson(int(right.sum()), len(right))
