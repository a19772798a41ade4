"""Performance of a cell: the ladder, curves, calibration, and every further metric by model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from learn_assets.evaluation.performance import ModelCurves
from learn_assets.reporting import figures
from learn_assets.reporting.context import CellContext, not_made
from learn_assets.reporting.document import Block, Column, Figure, Paragraph, Section, Series, Table
from learn_assets.reporting.estimates import CellResults, ModelResult, sizes
from learn_assets.reporting.labels import (
    feature_set_label,
    learner_label,
    learner_label_inside,
    metric_label,
)
from learn_assets.reporting.values import (
    MISSING,
    Value,
    estimate,
    number,
    rounded_column,
    share,
    words,
)

_MAIN = (
    ("auroc", "AUROC", 3),
    ("auprc", "AUPRC", 3),
    ("brier", "Brier score", 3),
    ("calibration_slope", "Calibration slope", 2),
    ("calibration_intercept", "Calibration intercept", 2),
)
_COUNTS = ("n", "cases", "prevalence")
_MODEL_COLUMNS = (
    Column("features", "Features", numeric=False),
    Column("learner", "Learner", numeric=False),
)


def discrimination(cell: CellContext, results: CellResults | None) -> Section:
    """Return the ladder, ROC and precision-recall curves, and metrics of every model."""
    title = "Discrimination and overall performance"
    if results is None:
        return cell.without("performance", title, not_made("performance"))
    if not results.models:
        why = "the cohort has too few cases or controls for any model"
        return cell.without("performance", title, why)
    curves = results.curves_of(cell.reference.learner)
    return cell.section(
        "performance",
        title,
        _ladder_figure(cell, results),
        _warning(curves),
        *_curve_figures(cell, curves),
        _ladder_table(results.models),
        _further_metrics(results.models),
    )


def calibration(cell: CellContext, results: CellResults | None) -> Section:
    """Return the calibration curve of the reference learner."""
    title = "Calibration"
    if results is None:
        return cell.without("calibration", title, not_made("performance"))
    curves = results.curves_of(cell.reference.learner)
    drawn = figures.calibration(curves, f"{cell.anchor}-cal")
    if drawn is None:
        why = _warning(curves)
        return cell.without("calibration", title, why.text if why else "there is no curve")
    name = learner_label_inside(cell.reference.learner)
    figure = Figure(
        "calibration_curve",
        drawn,
        f"Calibration of {name}: groups of equal size by predicted risk, with 95 % intervals of "
        "the observed share. Dashed: perfect.",
        tuple(
            Series(
                feature_set_label(curve.feature_set),
                (
                    ("predicted", rounded_column([b.mean_probability for b in curve.calibration])),
                    ("observed", rounded_column([b.observed_share for b in curve.calibration])),
                ),
            )
            for curve in curves
            if curve.calibration
        ),
    )
    ideal = Paragraph(
        "Ideal: slope 1, intercept 0. A slope below 1 means predictions are too extreme; an "
        "intercept above 0 means they are too low.",
        tone="quiet",
    )
    return cell.section("calibration", title, figure, _slopes(cell, results), ideal)


def _slopes(cell: CellContext, results: CellResults) -> Table:
    names = [
        (metric, title, digits)
        for metric, title, digits in (*_MAIN[2:], ("ici", "ICI", 3))
        if any(metric in model.metrics for model in results.models)
    ]
    rows = [
        (words(feature_set_label(model.feature_set)), words(learner_label(model.learner)),
         *(estimate(model.metrics.get(metric), digits) for metric, _, digits in names))
        for model in _of_learner(results.models, cell.reference.learner)
    ]  # fmt: skip
    return Table(
        "calibration_slopes",
        "Calibration of the reference learner, out of fold",
        (*_MODEL_COLUMNS, *(Column(metric, title) for metric, title, _ in names)),
        tuple(rows),
    )


def _of_learner(models: Iterable[ModelResult], learner: str) -> list[ModelResult]:
    """Return the models of one learner; a feature set without it has the one it was tried with."""
    chosen: dict[str, ModelResult] = {}
    for model in models:
        if model.feature_set not in chosen or model.learner == learner:
            chosen[model.feature_set] = model
    return list(chosen.values())


def _ladder_figure(cell: CellContext, results: CellResults) -> Block | None:
    drawn = figures.ladder(results.models, f"{cell.anchor}-ladder")
    if drawn is None:
        return None
    return Figure(
        "ladder",
        drawn,
        "Ladder: discrimination of every model on the same patients, out of fold.",
        tuple(
            Series(
                f"{feature_set_label(model.feature_set)}, {learner_label(model.learner)}",
                tuple(
                    (name, rounded_column([value], 2))
                    for name, value in vars(model.metrics["auroc"]).items()
                ),
            )
            for model in results.models
            if "auroc" in model.metrics
        ),
    )


def _warning(curves: Sequence[ModelCurves]) -> Paragraph | None:
    reasons = sorted({curve.reason for curve in curves if curve.reason})
    return Paragraph("; ".join(reasons), tone="warning") if reasons else None


def _curve_figures(cell: CellContext, curves: Sequence[ModelCurves]) -> list[Figure]:
    name = learner_label_inside(cell.reference.learner)
    found = [
        (
            "roc_curve",
            figures.roc(curves, f"{cell.anchor}-roc"),
            f"ROC curves of {name}, averaged over the folds.",
            ("false_positive_rate", "true_positive_rate"),
        ),
        (
            "precision_recall_curve",
            figures.precision_recall(curves, f"{cell.anchor}-pr"),
            f"Precision against recall, {name}. The dashed line is what chance gives.",
            ("recall", "precision"),
        ),
    ]
    return [
        Figure(key, svg, caption, tuple(_curve_series(curve, columns) for curve in curves))
        for key, svg, caption, columns in found
        if svg is not None
    ]


def _curve_series(curve: ModelCurves, columns: Iterable[str]) -> Series:
    return Series(
        feature_set_label(curve.feature_set),
        tuple((column, rounded_column(list(getattr(curve, column)))) for column in columns),
    )


def _ladder_table(models: Sequence[ModelResult]) -> Table:
    columns = [Column(metric, title) for metric, title, _ in _MAIN]
    columns.insert(2, Column("lift", "AUPRC / prevalence"))
    rows = []
    for model in models:
        cells = [estimate(model.metrics.get(metric), digits) for metric, _, digits in _MAIN]
        cells.insert(2, _lift(model))
        rows.append((*_model_cells(model), *cells))
    return Table(
        "performance",
        f"Performance of every model with 95 % intervals, out of fold{sizes(models[0].metrics)}",
        (*_MODEL_COLUMNS, *columns),
        tuple(rows),
        grouped=True,
    )


def _further_metrics(models: Sequence[ModelResult]) -> Table | None:
    known = {metric for metric, _, _ in _MAIN} | set(_COUNTS)
    names = list(dict.fromkeys(name for model in models for name in model.metrics))
    further = [name for name in names if name not in known]
    if not further:
        return None
    return Table(
        "further_metrics",
        "Further metrics of every model, out of fold",
        (*_MODEL_COLUMNS, *(Column(name, metric_label(name)) for name in further)),
        tuple(
            (*_model_cells(model), *(_metric(model, name) for name in further)) for model in models
        ),
        grouped=True,
        folded=True,
    )


def _metric(model: ModelResult, name: str) -> Value:
    found = model.metrics.get(name)
    is_share = name.startswith(("sensitivity", "positive_predictive", "negative_predictive"))
    return share(found) if is_share else estimate(found, 3)


def _model_cells(model: ModelResult) -> tuple[Value, Value]:
    return words(feature_set_label(model.feature_set)), words(learner_label(model.learner))


def _lift(model: ModelResult) -> Value:
    auprc, prevalence = model.metrics.get("auprc"), model.metrics.get("prevalence")
    if auprc is None or prevalence is None or prevalence.value == 0:
        return MISSING
    return number(auprc.value / prevalence.value, 1)
