"""Text: the same results in a terminal, short enough to read after a run, and for programs."""

from __future__ import annotations

from collections.abc import Sequence

from learn_assets.reporting.cohort_numbers import CohortNumbers
from learn_assets.reporting.estimates import CellResults, ModelResult
from learn_assets.reporting.labels import feature_set_label, learner_label
from learn_assets.reporting.results import StudyResults, WindowResults
from learn_assets.reporting.setup import window_in_words
from learn_assets.reporting.values import Value, count, estimate, for_machines, number, share

_HEADER = ("features", "learner", "AUROC [95 % interval]", "AUPRC", "Brier", "slope")
# Shown without limits, with so many decimals.
_PLAIN_METRICS = {"auprc": 2, "brier": 3, "calibration_slope": 2}


def summary(results: StudyResults) -> str:
    """Return cohort sizes, the ladder of every cell and where the page is, as plain text."""
    label = "SYNTHETIC DATA - " if results.synthetic else ""
    lines = [f"{label}{results.title}"]
    if not results.windows:
        lines.append("Nothing has been materialized yet.")
    for window in results.windows:
        lines += ["", *_window_lines(window)]
    if results.absent:
        lines += ["", f"Not materialized: {'; '.join(results.absent)}"]
    if results.page.exists():
        lines += ["", f"Study report: {results.page}"]
    return "\n".join(lines)


def summary_document(results: StudyResults) -> dict[str, object]:
    """Return what `summary` says, number for number."""
    return {
        "study": results.name,
        "title": results.title,
        "synthetic": results.synthetic,
        "windows": [_window_document(window) for window in results.windows],
        "not_materialized": list(results.absent),
        "report": str(results.page) if results.page.exists() else None,
    }


def _window_document(window: WindowResults) -> dict[str, object]:
    chain, cohort = window.attrition, window.cohort
    numbers = {
        "with_index_event": count(chain[0].remaining if chain else None),
        "after_every_rule": count(chain[-1].remaining if chain else None),
        "cases": count(cohort.cases if cohort else None),
        "controls": count(cohort.controls if cohort else None),
        "prevalence": share(cohort.prevalence if cohort else None),
        "eligible_now": count(cohort.scoring_population if cohort else None),
    }
    return {
        "window": window.window.key,
        **{name: for_machines(value) for name, value in numbers.items()},
        "cells": [
            {"encoder": cell.encoder, "models": [_model_document(model) for model in cell.models]}
            for cell in window.cells
        ],
    }


def _model_document(model: ModelResult) -> dict[str, object]:
    metrics = {name: for_machines(value) for name, value in _metrics(model).items()}
    return {"feature_set": model.feature_set, "learner": model.learner, **metrics}


def _metrics(model: ModelResult) -> dict[str, Value]:
    plain = {
        name: number(found.value if (found := model.metrics.get(name)) else None, digits)
        for name, digits in _PLAIN_METRICS.items()
    }
    return {"auroc": estimate(model.metrics.get("auroc")), **plain}


def _window_lines(window: WindowResults) -> list[str]:
    lines = [window.window.key, f"  {window_in_words(window.window)}"]
    if window.attrition:
        first, last = window.attrition[0].remaining, window.attrition[-1].remaining
        lines.append(f"  {first} patients with an index event, {last} left after every rule")
    if window.cohort:
        lines.append(f"  {_cohort_words(window.cohort)}")
    for cell in window.cells:
        lines += ["", *_cell_lines(cell)]
    return lines


def _cohort_words(cohort: CohortNumbers) -> str:
    words = f"{cohort.cases} cases, {cohort.controls} controls"
    if cohort.prevalence is not None:
        words += f" (prevalence {share(cohort.prevalence).text})"
    if cohort.scoring_population is not None:
        words += f"; {cohort.scoring_population} more eligible now"
    return words


def _cell_lines(cell: CellResults) -> list[str]:
    if not cell.models:
        return [
            f"  encoder {cell.encoder}: no model could be evaluated (too few cases or controls)"
        ]
    rows = [
        (
            feature_set_label(model.feature_set),
            learner_label(model.learner),
            *(value.text for value in _metrics(model).values()),
        )
        for model in cell.models
    ]
    return [f"  encoder {cell.encoder}", *(f"    {line}" for line in _table([_HEADER, *rows]))]


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
