"""Subgroups of a cell: how the reference model does by sex, age and race."""

from __future__ import annotations

from collections.abc import Sequence

from learn_assets.analyses.subgroups.figure import SubgroupRow, subgroup_forest, subgroup_rows
from learn_assets.reporting.comparison_words import model_label
from learn_assets.reporting.context import CellContext, not_made, note_of_reasons, quiet
from learn_assets.reporting.document import Block, Column, Figure, Section, Series, Table
from learn_assets.reporting.labels import in_words
from learn_assets.reporting.places import CellSection
from learn_assets.reporting.sections.long_tables import rows_of, shown_model
from learn_assets.reporting.values import (
    Estimate,
    Value,
    count_of,
    estimate,
    rounded_column,
    share,
    words,
)

_TITLE = "Subgroups"
_ATTRIBUTES = {"sex": "Sex", "age_band": "Age at index", "race": "Race"}
_METRICS = (
    ("auroc", "AUROC"),
    ("calibration_intercept", "Calibration intercept"),
    ("calibration_slope", "Calibration slope"),
)


def subgroups(cell: CellContext) -> Section:
    """Return performance of the reference model by group, and differences between groups."""
    frame = cell.of_cell("subgroup_performance")
    if frame is None:
        return cell.without("subgroups", _TITLE, not_made("subgroup_performance"))
    model = shown_model(frame, cell.reference)
    if model is None or rows_of(frame, model)["estimate"].drop_nulls().is_empty():
        why = "every group is too small, or no model could be evaluated"
        return cell.without("subgroups", _TITLE, why)
    own = rows_of(frame, model)
    rows = subgroup_rows(own)
    return cell.section(
        "subgroups",
        _TITLE,
        _figure(cell, rows),
        _table(rows, model_label(model), cell.study.evaluation.specificities[0]),
        _differences(rows),
        quiet(note_of_reasons(own)),
    )


def _figure(cell: CellContext, rows: Sequence[SubgroupRow]) -> Block | None:
    svg = subgroup_forest(rows, f"{cell.anchor}-subgroups")
    if svg is None:
        return None
    series = tuple(
        Series(
            row.group,
            tuple((name, rounded_column([getattr(row, name)], 2))
                  for name in ("estimate", "lower", "upper")),
        )
        for row in rows
        if row.metric == "auroc" and row.estimate is not None
    )  # fmt: skip
    return Figure(
        "subgroup_forest", svg, "AUROC of the reference model by group, 95 % intervals.", series
    )


def _table(rows: Sequence[SubgroupRow], model: str, specificity: float) -> Table:
    places = dict.fromkeys((row.attribute, row.group) for row in rows)
    return Table(
        "subgroups",
        f"Performance by group, {model}, out of fold, 95 % intervals",
        (
            Column("attribute", "By", numeric=False),
            Column("group", "Group", numeric=False),
            Column("patients", "Patients"),
            Column("cases", "Cases"),
            *(Column(metric, title) for metric, title in _METRICS),
            Column("sensitivity", "Sensitivity"),
            Column("specificity", "Specificity"),
        ),
        tuple(
            (
                words(_ATTRIBUTES.get(attribute, in_words(attribute))),
                words(in_words(group)),
                count_of(_found(rows, attribute, group, "patients")),
                count_of(_found(rows, attribute, group, "cases")),
                *(estimate(_found(rows, attribute, group, metric), 2) for metric, _ in _METRICS),
                *(
                    share(_found(rows, attribute, group, metric))
                    for metric in ("sensitivity", "specificity")
                ),
            )
            for attribute, group in places
        ),
        note="Sensitivity and specificity at the threshold that gives all patients of a fold a "
        f"specificity of {specificity:.2f}.",
        grouped=True,
    )


def _differences(rows: Sequence[SubgroupRow]) -> Table | None:
    places = [
        (row.attribute, row.group, row.reference)
        for row in rows
        if row.metric == "auroc_difference" and row.reference and row.estimate is not None
    ]
    if not places:
        return None
    metrics = (
        ("auroc_difference", "AUROC"),
        ("calibration_intercept_difference", "Calibration intercept"),
    )
    return Table(
        "subgroup_differences",
        "Differences between groups, group minus the largest one, 95 % intervals",
        (
            Column("attribute", "By", numeric=False),
            Column("group", "Group", numeric=False),
            Column("reference", "Minus", numeric=False),
            *(Column(metric, title) for metric, title in metrics),
        ),
        tuple(
            (
                words(_ATTRIBUTES.get(attribute, in_words(attribute))),
                words(in_words(group)),
                words(in_words(str(reference))),
                *(_gap(rows, attribute, group, metric) for metric, _ in metrics),
            )
            for attribute, group, reference in places
        ),
        grouped=True,
    )


def _gap(rows: Sequence[SubgroupRow], attribute: str, group: str, metric: str) -> Value:
    return estimate(_found(rows, attribute, group, metric), 2, signed=True)


def _found(rows: Sequence[SubgroupRow], attribute: str, group: str, metric: str) -> Estimate | None:
    for row in rows:
        if (row.attribute, row.group, row.metric) == (attribute, group, metric):
            return None if row.estimate is None else Estimate(row.estimate, row.lower, row.upper)
    return None


SECTION = CellSection(30, subgroups)
