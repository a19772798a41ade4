"""Page: one self-contained HTML file for a study, from results that are already masked.

What belongs here: turning results into words and placing them. The markup is in `templates/`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from learn_assets.evaluation.performance import ModelCurves
from learn_assets.reporting import figures
from learn_assets.reporting.figures import SvgFigure
from learn_assets.reporting.labels import feature_set_label, learner_label
from learn_assets.reporting.results import (
    CellResults,
    CohortNumbers,
    Estimate,
    ModelResult,
    StudyResults,
    WindowResults,
)
from learn_assets.reporting.setup import Fact, window_in_words

_TEMPLATES = Path(__file__).parent / "templates"
NOT_AVAILABLE = "-"


@dataclass(frozen=True)
class LadderRow:
    """One line of the ladder's table, formatted; `first` opens a feature set of `models` lines."""

    feature_set: str
    learner: str
    auroc: str
    auprc: str
    lift: str
    brier: str
    slope: str
    intercept: str
    first: bool
    models: int


@dataclass(frozen=True)
class CellView:
    """One encoder of a window as the template shows it."""

    anchor: str
    encoder: str
    ladder: tuple[LadderRow, ...]
    figures: tuple[tuple[SvgFigure, str], ...]
    no_curves: str | None


@dataclass(frozen=True)
class WindowView:
    """One window as the template shows it."""

    anchor: str
    heading: str
    words: str
    results: WindowResults
    numbers: tuple[Fact, ...]
    cells: tuple[CellView, ...]


@dataclass(frozen=True)
class OverviewRow:
    """One cell in the overview: AUROC of the reference learner for each feature set."""

    anchor: str
    heading: str
    encoder: str
    labeled: str
    cases: str
    prevalence: str
    auroc: tuple[str, ...]


def write_page(results: StudyResults, path: Path) -> None:
    """Write the study's page as one file that needs no network; an older page is replaced."""
    path.parent.mkdir(parents=True, exist_ok=True)
    staged = path.with_suffix(f".{os.getpid()}.tmp")
    staged.write_text(render_page(results), encoding="utf-8")
    staged.replace(path)


def render_page(results: StudyResults) -> str:
    """Return the page as HTML text; the same results give the same bytes."""
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    feature_sets = _feature_sets(results)
    return environment.get_template("study_report.html").render(
        results=results,
        windows=[_window_view(window, results) for window in results.windows],
        feature_sets=[feature_set_label(name) for name in feature_sets],
        overview=_overview(results, feature_sets),
        reference_learner=learner_label(results.reference_learner),
        style=(_TEMPLATES / "study_report.css").read_text(encoding="utf-8"),
    )


def interval_text(estimate: Estimate | None, digits: int = 2) -> str:
    """Return an estimate with its limits, such as `0.83 [0.80, 0.86]`."""
    if estimate is None:
        return NOT_AVAILABLE
    value = f"{estimate.value:.{digits}f}"
    if estimate.lower is None or estimate.upper is None:
        return value
    return f"{value} [{estimate.lower:.{digits}f}, {estimate.upper:.{digits}f}]"


def percent(share: float | None) -> str:
    """Return a share in percent with one decimal."""
    return NOT_AVAILABLE if share is None else f"{100 * share:.1f} %"


def _feature_sets(results: StudyResults) -> list[str]:
    cells = [cell for window in results.windows for cell in window.cells]
    return list(dict.fromkeys(model.feature_set for cell in cells for model in cell.models))


def _overview(results: StudyResults, feature_sets: Sequence[str]) -> list[OverviewRow]:
    return [
        OverviewRow(
            anchor=_anchor(window, cell),
            heading=_heading(window),
            encoder=cell.encoder,
            labeled=str(window.cohort.labeled) if window.cohort else NOT_AVAILABLE,
            cases=str(window.cohort.cases) if window.cohort else NOT_AVAILABLE,
            prevalence=percent(window.cohort.prevalence if window.cohort else None),
            auroc=tuple(
                interval_text(_auroc(cell, feature_set, results.reference_learner))
                for feature_set in feature_sets
            ),
        )
        for window in results.windows
        for cell in window.cells
    ]


def _auroc(cell: CellResults, feature_set: str, learner: str) -> Estimate | None:
    for model in cell.models:
        if (model.feature_set, model.learner) == (feature_set, learner):
            return model.metrics.get("auroc")
    return None


def _window_view(window: WindowResults, results: StudyResults) -> WindowView:
    return WindowView(
        anchor=_anchor(window),
        heading=_heading(window),
        words=window_in_words(window.window),
        results=window,
        numbers=_numbers(window.cohort) if window.cohort else (),
        cells=tuple(_cell_view(window, cell, results) for cell in window.cells),
    )


def _numbers(cohort: CohortNumbers) -> tuple[Fact, ...]:
    facts = [
        ("Labeled patients", str(cohort.labeled)),
        ("Cases", str(cohort.cases)),
        ("Controls", str(cohort.controls)),
        ("Prevalence", percent(cohort.prevalence)),
        ("Age at index, years", _quartile_text(cohort.age_quartiles)),
        ("Women", str(cohort.women)),
        ("Men", str(cohort.men)),
        ("Sex unknown", str(cohort.sex_unknown)),
        ("Days to event or end", _quartile_text(cohort.follow_up_quartiles)),
    ]
    if cohort.scoring_population is not None:
        facts.append(("Eligible now, without label", str(cohort.scoring_population)))
    return tuple(Fact(*fact) for fact in facts)


def _quartile_text(quartiles: tuple[float, float, float] | None) -> str:
    if quartiles is None:
        return NOT_AVAILABLE
    low, middle, high = quartiles
    return f"{middle:,.0f} ({low:,.0f} to {high:,.0f})"


def _cell_view(window: WindowResults, cell: CellResults, results: StudyResults) -> CellView:
    anchor = _anchor(window, cell)
    shown = cell.curves_of(results.reference_learner)
    reasons = {model.reason for model in shown if model.reason}
    return CellView(
        anchor=anchor,
        encoder=cell.encoder,
        ladder=tuple(_ladder_rows(cell.models)),
        figures=tuple(_figures(cell, shown, anchor, results.reference_learner)),
        no_curves="; ".join(sorted(reasons)) or None,
    )


def _figures(
    cell: CellResults, shown: Sequence[ModelCurves], anchor: str, learner: str
) -> list[tuple[SvgFigure, str]]:
    name = learner_label(learner)
    drawn = [
        (
            figures.ladder(cell.models, f"{anchor}-ladder"),
            "Ladder. Discrimination of every model on the same patients, out of fold.",
        ),
        (
            figures.roc(shown, f"{anchor}-roc"),
            f"ROC curves of {name}, the learner named first in the study.",
        ),
        (
            figures.precision_recall(shown, f"{anchor}-pr"),
            f"Precision against recall, {name}. The dashed line is what chance gives.",
        ),
        (
            figures.calibration(shown, f"{anchor}-cal"),
            f"Calibration, {name}: bins of equal size, 95 % intervals. Dashed: perfect.",
        ),
    ]
    return [(figure, caption) for figure, caption in drawn if figure is not None]


def _ladder_rows(models: Sequence[ModelResult]) -> list[LadderRow]:
    rows: list[LadderRow] = []
    for index, model in enumerate(models):
        metrics = model.metrics
        rows.append(
            LadderRow(
                feature_set=feature_set_label(model.feature_set),
                learner=learner_label(model.learner),
                auroc=interval_text(metrics.get("auroc")),
                auprc=interval_text(metrics.get("auprc")),
                lift=_lift(model),
                brier=interval_text(metrics.get("brier"), digits=3),
                slope=interval_text(metrics.get("calibration_slope")),
                intercept=interval_text(metrics.get("calibration_intercept")),
                first=index == 0 or models[index - 1].feature_set != model.feature_set,
                models=sum(other.feature_set == model.feature_set for other in models),
            )
        )
    return rows


def _lift(model: ModelResult) -> str:
    auprc, prevalence = model.metrics.get("auprc"), model.metrics.get("prevalence")
    if auprc is None or prevalence is None or prevalence.value == 0:
        return NOT_AVAILABLE
    return f"{auprc.value / prevalence.value:.1f}"


def _heading(window: WindowResults) -> str:
    days = window.window
    return (
        f"LIS {days.length_in_system:,} · BP {days.buffer_period:,} · FUP {days.follow_up_period:,}"
    )


def _anchor(window: WindowResults, cell: CellResults | None = None) -> str:
    parts = [window.window.key, *([cell.encoder] if cell else [])]
    return "-".join(parts).lower().replace("_", "-").replace(".", "-")
