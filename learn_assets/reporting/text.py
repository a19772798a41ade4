"""Text: the same results in a terminal, short enough to read after a run."""

from __future__ import annotations

from collections.abc import Sequence

from learn_assets.reporting.cohort_numbers import CohortNumbers
from learn_assets.reporting.estimates import CellResults
from learn_assets.reporting.labels import feature_set_label, learner_label
from learn_assets.reporting.results import StudyResults, WindowResults
from learn_assets.reporting.setup import window_in_words
from learn_assets.reporting.values import estimate, share

_HEADER = ("features", "learner", "AUROC [95 % interval]", "AUPRC", "Brier", "slope")


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
            estimate(model.metrics.get("auroc")).text,
            estimate(model.metrics.get("auprc")).text.split(" ")[0],
            estimate(model.metrics.get("brier"), digits=3).text.split(" ")[0],
            estimate(model.metrics.get("calibration_slope")).text.split(" ")[0],
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
