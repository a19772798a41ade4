"""Planned comparisons of a cell: differences on the same patients, in words and as a forest."""

from __future__ import annotations

from collections.abc import Sequence

from learn_assets.reporting.comparison_figures import difference_forest
from learn_assets.reporting.comparison_words import (
    ComparisonResult,
    comparison_results,
    model_label,
    sentence,
)
from learn_assets.reporting.context import CellContext, not_made
from learn_assets.reporting.document import Block, Bullets, Column, Figure, Section, Series, Table
from learn_assets.reporting.labels import in_words
from learn_assets.reporting.values import (
    Estimate,
    Value,
    estimate,
    p_value,
    rounded_column,
    words,
)

_TITLE = "Planned comparisons"


def comparisons(cell: CellContext) -> Section:
    """Return who wins among the planned pairs of models, and by how much."""
    frame = cell.of_cell("comparisons")
    if frame is None:
        return cell.without("comparisons", _TITLE, not_made("comparisons"))
    results = comparison_results(frame)
    tested = [result for result in results if result.method == "delong"]
    if not tested:
        why = "no two models could be compared (too few cases or controls)"
        return cell.without("comparisons", _TITLE, why)
    return cell.section(
        "comparisons",
        _TITLE,
        Bullets("comparison_words", told(cell, tested, len(tested))),
        _forest(cell, tested),
        _table(results),
    )


def told(cell: CellContext, results: Sequence[ComparisonResult], tests: int) -> tuple[str, ...]:
    """Return a sentence for each comparison of the reference learner, of a family of `tests`."""
    own = [result for result in results if result.first.learner == cell.reference.learner]
    return tuple(sentence(result, tests) for result in own or results)


def _forest(cell: CellContext, tested: Sequence[ComparisonResult]) -> Block | None:
    svg = difference_forest(tested, f"{cell.anchor}-differences")
    if svg is None:
        return None
    return Figure(
        "comparison_forest",
        svg,
        "Differences in AUROC on the same patients with 95 % intervals (DeLong).",
        tuple(
            Series(
                f"{model_label(row.first)} - {model_label(row.second)}",
                tuple(
                    (name, rounded_column([getattr(row, name)]))
                    for name in ("difference", "lower", "upper")
                ),
            )
            for row in tested
        ),
    )


def _table(results: Sequence[ComparisonResult]) -> Table:
    pairs = dict.fromkeys((row.question, row.first, row.second) for row in results)
    rows = []
    for question, first, second in pairs:
        own = {
            (row.metric, row.method): row
            for row in results
            if (row.question, row.first, row.second) == (question, first, second)
        }
        delong = own.get(("auroc", "delong"))
        rows.append(
            (
                words(in_words(question)),
                words(model_label(first)),
                words(model_label(second)),
                _difference(delong),
                p_value(delong.p_value if delong else None),
                p_value(delong.p_value_holm if delong else None),
                *(
                    _difference(own.get((name, "bootstrap")))
                    for name in ("auroc", "auprc", "brier")
                ),
            )
        )
    return Table(
        "comparisons",
        "Every planned comparison: first minus second, 95 % intervals, on the same patients",
        (
            Column("question", "Question", numeric=False),
            Column("first", "First", numeric=False),
            Column("second", "Second", numeric=False),
            Column("auroc_delong", "AUROC (DeLong)"),
            Column("p", "p"),
            Column("p_holm", "p (Holm)"),
            Column("auroc_bootstrap", "AUROC (bootstrap)"),
            Column("auprc_bootstrap", "AUPRC (bootstrap)"),
            Column("brier_bootstrap", "Brier score (bootstrap)"),
        ),
        tuple(rows),
        note="Holm's correction counts every planned comparison of this cell. A lower Brier score "
        "is better.",
        grouped=True,
        folded=True,
    )


def _difference(result: ComparisonResult | None) -> Value:
    if result is None:
        return estimate(None)
    return estimate(Estimate(result.difference, result.lower, result.upper), 3, signed=True)
