"""Bars of explanations: the rows that a report shows in words, and their drawing as SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from learn_assets.reporting.figures import (
    INK,
    QUIET,
    SvgFigure,
    color_of,
    draw,
    shortened,
)
from learn_assets.reporting.labels import feature_set_label, feature_set_rank, learner_label

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SUBJECT_WORDS = {
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
_ROW, _HEAD = 0.27, 0.9
_LABEL = 44
_RAISES, _LOWERS, _EITHER = "#d55e00", "#0072b2", "#767676"
# Below this size a direction says neither up nor down.
_UNDECIDED = 0.1
_TITLES = {
    "shap": "What moves predicted risk: mean contribution of a feature",
    "permutation": "What ranking depends on: AUROC lost without a block",
    "occlusion": "Which past records matter: change of predicted risk without them",
}
_AXES = {
    "shap": "Mean absolute contribution (log odds)",
    "permutation": "AUROC lost when exchanged between patients",
    "occlusion": "Mean absolute change of predicted risk",
}


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
    known = row["words"] or _SUBJECT_WORDS.get(subject)
    if known is None:
        return subject.removeprefix("missing|").replace("|", " ") + _missing(subject)
    return known + _missing(subject)


def _missing(subject: str) -> str:
    return " (not measured)" if subject.startswith("missing|") else ""


def explanation_bars(
    rows: Sequence[ExplanationRow], identifier: str, limit: int = 15
) -> SvgFigure | None:
    """Return the largest importances of one model and method with intervals; None without any.

    rows: of one feature set, learner and method. Color says whether more raises or lowers the risk.
    """
    known = [row for row in rows if row.estimate is not None]
    largest = sorted(known, key=lambda row: -(row.estimate or 0.0))[:limit]
    if not largest:
        return None
    model = f"{feature_set_label(largest[0].feature_set)}, {learner_label(largest[0].learner)}"
    return draw(
        identifier,
        f"{_TITLES[largest[0].method]} ({model})",
        "; ".join(f"{row.words}: {row.estimate:.3f}{_direction_words(row)}" for row in largest),
        _HEAD + 0.35 + _ROW * len(largest),
        lambda figure: _bars(figure, largest),
    )


def _bars(figure: Figure, rows: Sequence[ExplanationRow]) -> None:
    from matplotlib.patches import Patch

    axes = figure.add_subplot()
    for place, row in enumerate(rows):
        axes.barh([place], [row.estimate or 0.0], color=_color(row), height=0.62)
        if row.lower is not None and row.upper is not None:
            axes.plot([row.lower, row.upper], [place, place], color=INK, linewidth=1.1)
    axes.set_yticks(range(len(rows)), [shortened(row.words, _LABEL) for row in rows])
    axes.tick_params(axis="y", length=0, labelsize=8)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.axvline(0.0, color=QUIET, linewidth=0.8)
    axes.grid(axis="x")
    axes.set_xlabel(_AXES[rows[0].method], loc="right")
    axes.spines["left"].set_visible(False)
    if any(row.direction is not None for row in rows):
        meanings = ((_RAISES, "raises risk"), (_LOWERS, "lowers risk"), (_EITHER, "either way"))
        patches = [Patch(color=color, label=label) for color, label in meanings]
        figure.legend(handles=patches, loc="outside upper right", ncols=3, fontsize=8)


def _color(row: ExplanationRow) -> str:
    if row.method == "permutation":
        return color_of(row.feature_set)
    if row.direction is None or abs(row.direction) < _UNDECIDED:
        return _EITHER
    return _RAISES if row.direction > 0 else _LOWERS


def _direction_words(row: ExplanationRow) -> str:
    if row.direction is None:
        return ""
    meanings = {_RAISES: ", raises risk", _LOWERS: ", lowers risk", _EITHER: ", either way"}
    return meanings[_color(row)]
