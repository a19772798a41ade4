"""Explanations of a cell: which features, blocks and past records its models rely on."""

from __future__ import annotations

from collections.abc import Sequence

from learn_assets.analyses.explanations.figure import (
    KIND_WORDS,
    ExplanationRow,
    explanation_bars,
    explanation_rows,
)
from learn_assets.evaluation.comparison import ModelName
from learn_assets.reporting.comparison_words import model_label
from learn_assets.reporting.context import CellContext, not_made, note_of_reasons, quiet
from learn_assets.reporting.document import Block, Column, Figure, Section, Series, Table
from learn_assets.reporting.labels import in_words
from learn_assets.reporting.places import CellSection
from learn_assets.reporting.values import Estimate, estimate, number, rounded_column, words

_TITLE = "What models rely on"
_METHODS = {
    "shap": "Mean absolute contribution of each feature to the log odds (SHAP)",
    "permutation": "AUROC lost when a block of features is exchanged between patients",
    "occlusion": "Mean absolute change of predicted risk without a group of past records",
}


def explanations(cell: CellContext) -> Section:
    """Return importances by method and model, over all patients held out."""
    frame = cell.of_cell("explanations")
    if frame is None:
        return cell.without("explanations", _TITLE, not_made("explanations"))
    rows = [row for row in explanation_rows(frame) if row.estimate is not None]
    if not rows:
        why = note_of_reasons(frame).removeprefix("Where nothing is shown: ").rstrip(".")
        return cell.without("explanations", _TITLE, why or "no model could be explained")
    groups: dict[tuple[str, str, str], list[ExplanationRow]] = {}
    for row in rows:
        groups.setdefault((row.method, row.feature_set, row.learner), []).append(row)
    ordered = sorted(groups, key=lambda place: list(_METHODS).index(place[0]))
    return cell.section(
        "explanations",
        _TITLE,
        *(_figure(cell, groups[place]) for place in ordered),
        *(_table(groups[place]) for place in ordered),
        quiet(note_of_reasons(frame)),
    )


def _name(row: ExplanationRow) -> str:
    return f"{row.method}_{row.feature_set}_{row.learner}"


def _figure(cell: CellContext, rows: Sequence[ExplanationRow]) -> Block | None:
    first = rows[0]
    # Importances of single features are drawn for each model, those of blocks for the reference.
    if first.method != "shap" and first.feature_set != cell.reference.feature_set:
        return None
    identifier = f"{cell.anchor}-{_name(first)}".replace("_", "-")
    svg = explanation_bars(rows, identifier)
    if svg is None:
        return None
    return Figure(
        f"explanations-{_name(first)}",
        svg,
        f"{_METHODS[first.method]}; {_model(first)}.",
        tuple(
            Series(
                row.words,
                tuple(
                    (name, rounded_column([getattr(row, name)], 4))
                    for name in ("estimate", "lower", "upper", "direction")
                ),
            )
            for row in rows
        ),
    )


def _table(rows: Sequence[ExplanationRow]) -> Table:
    first = rows[0]
    directed = any(row.direction is not None for row in rows)
    return Table(
        f"explanations_table-{_name(first)}",
        f"{_METHODS[first.method]}; {_model(first)}",
        (
            Column("kind", "Kind", numeric=False),
            Column("subject", "What", numeric=False),
            Column("importance", "Importance"),
            *([Column("direction", "Direction")] if directed else []),
        ),
        tuple(
            (
                words(KIND_WORDS.get(row.kind, in_words(row.kind))),
                words(row.words),
                estimate(Estimate(row.estimate or 0.0, row.lower, row.upper), 4),
                *([number(row.direction, 2, signed=True)] if directed else []),
            )
            for row in rows
        ),
        note="Direction: above 0 when more of it goes with a higher predicted risk."
        if directed
        else "",
        folded=True,
    )


def _model(row: ExplanationRow) -> str:
    return model_label(ModelName(row.feature_set, row.learner))


SECTION = CellSection(100, explanations)
