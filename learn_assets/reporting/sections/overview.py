"""Overview: the answer in a few sentences, and AUROC of the reference learner in every cell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from learn_assets.reporting.cohort_numbers import CohortNumbers
from learn_assets.reporting.comparison_words import comparison_results, model_label
from learn_assets.reporting.context import CellContext, StudyContext, anchor_of
from learn_assets.reporting.document import Block, Bullets, Column, Paragraph, Section, Table
from learn_assets.reporting.estimates import CellResults, sizes
from learn_assets.reporting.labels import feature_set_label, in_words, learner_label_inside
from learn_assets.reporting.sections.comparisons import told
from learn_assets.reporting.sections.long_tables import estimate_of, rows_of, shown_model
from learn_assets.reporting.setup import window_heading
from learn_assets.reporting.values import Estimate, Value, count, estimate, share, words

_BEYOND = "LEARN beyond its alternative"


@dataclass(frozen=True)
class FinishedCell:
    """A cell with results, and the size of its cohort."""

    context: CellContext
    results: CellResults
    cohort: CohortNumbers | None


def overview(
    context: StudyContext, cells: Sequence[FinishedCell], absent_cells: Sequence[str]
) -> Section:
    """Return main findings in words and the table of all cells."""
    blocks: list[Block] = []
    if not cells:
        text = "Nothing has been materialized yet, so there is nothing to show."
        blocks.append(Paragraph(text, tone="warning"))
    else:
        findings = tuple(sentence for cell in cells for sentence in _findings(cell))
        if findings:
            blocks.append(Bullets("findings", findings))
        blocks.append(_table(context, cells))
    if absent_cells:
        blocks.append(Paragraph(f"Not materialized: {'; '.join(absent_cells)}.", tone="quiet"))
    return Section("overview", "Overview", tuple(blocks))


def _findings(cell: FinishedCell) -> list[str]:
    """Return the reference model's performance, comparisons of LEARN and severe outcomes."""
    context = cell.context
    place = f"{window_heading(context.window)}, {context.encoder.id}"
    found = [f"{place}. {text}" for text in _performance(cell)]
    frame = context.of_cell("comparisons")
    if frame is not None:
        tested = [row for row in comparison_results(frame) if row.method == "delong"]
        own = [row for row in tested if row.question == _BEYOND]
        found += [f"{place}. {text}" for text in told(context, own, len(tested))]
    severe = _severe(context)
    return [*found, f"{place}. {severe}"] if severe else found


def _performance(cell: FinishedCell) -> list[str]:
    """Return discrimination and calibration of the reference model; nothing without it."""
    reference = cell.context.reference
    models = [
        model
        for model in cell.results.models
        if (model.feature_set, model.learner) == (reference.feature_set, reference.learner)
    ]
    if not models or "auroc" not in models[0].metrics:
        return []
    metrics = models[0].metrics
    told = [
        f"AUROC {estimate(metrics['auroc'], 3).text}",
        f"calibration slope {estimate(metrics.get('calibration_slope'), 2).text}",
        f"intercept {estimate(metrics.get('calibration_intercept'), 2).text}",
        f"Brier score {estimate(metrics.get('brier'), 3).text}",
    ]
    return [f"{model_label(reference)}, out of fold{sizes(metrics)}: {', '.join(told)}."]


def _severe(context: CellContext) -> str | None:
    frame = context.of_cell("nephritis_evaluation")
    model = None if frame is None else shown_model(frame, context.reference)
    if frame is None or model is None:
        return None
    rows = rows_of(frame, model).filter(population="all", metric="hazard_ratio_per_sd_adjusted")
    told_of = [
        f"{in_words(row['outcome'])}: adjusted hazard ratio "
        f"{estimate(found, 2).text} per standard deviation of the score"
        for row in rows.iter_rows(named=True)
        if (found := estimate_of(row)) is not None
    ]
    return f"{'; '.join(told_of)}." if told_of else None


def _table(context: StudyContext, cells: Sequence[FinishedCell]) -> Table:
    learner = context.reference.learner
    feature_sets = list(
        dict.fromkeys(model.feature_set for cell in cells for model in cell.results.models)
    )
    rows = []
    for cell in cells:
        cohort = cell.cohort
        rows.append(
            (
                words(window_heading(cell.context.window), link=anchor_of(cell.context.window.key)),
                words(cell.context.encoder.id, link=cell.context.anchor),
                count(cohort.labeled if cohort else None),
                count(cohort.cases if cohort else None),
                share(cohort.prevalence if cohort else None),
                *(_auroc(cell.results, name, learner) for name in feature_sets),
            )
        )
    return Table(
        "cells",
        f"AUROC with 95 % interval by features, {learner_label_inside(learner)}, out of fold",
        (
            Column("window", "Window, days", numeric=False),
            Column("encoder", "Encoder", numeric=False),
            Column("labeled", "Labeled"),
            Column("cases", "Cases"),
            Column("prevalence", "Prevalence"),
            *(Column(name, feature_set_label(name)) for name in feature_sets),
        ),
        tuple(rows),
    )


def _auroc(cell: CellResults, feature_set: str, learner: str) -> Value:
    of_set = [model for model in cell.models if model.feature_set == feature_set]
    chosen = [model for model in of_set if model.learner == learner] or of_set
    found: Estimate | None = chosen[0].metrics.get("auroc") if chosen else None
    return estimate(found, 3)
