"""Estimates: the models of one cell with their metrics and curves, as every report shows them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from learn_assets.evaluation.performance import ModelCurves, curves
from learn_assets.lake import Lake
from learn_assets.reporting.labels import feature_set_rank
from learn_assets.reporting.values import Estimate, count_of
from learn_assets.study import EncoderChoice, Study
from learn_assets.study.windows import Window


@dataclass(frozen=True)
class ModelResult:
    """Metrics of one feature set and learner; a metric that does not exist is absent."""

    feature_set: str
    learner: str
    metrics: dict[str, Estimate]


@dataclass(frozen=True)
class CellResults:
    """One window with one encoder: its ladder of models, simplest features first."""

    encoder: str
    models: tuple[ModelResult, ...]
    curves: tuple[ModelCurves, ...]

    def curves_of(self, learner: str) -> tuple[ModelCurves, ...]:
        """Return the curves of one learner, a feature set each, in the order of the ladder."""
        order = list(dict.fromkeys(model.feature_set for model in self.models))
        known = [
            curve
            for curve in self.curves
            if curve.learner == learner and curve.feature_set in order
        ]
        return tuple(sorted(known, key=lambda curve: order.index(curve.feature_set)))


def sizes(metrics: Mapping[str, Estimate]) -> str:
    """Return `, on 667 patients (133 cases)`, as far as it may be told; empty when it may not."""
    patients, cases = count_of(metrics.get("n")), count_of(metrics.get("cases"))
    if patients.number is None:
        return ""
    among = "" if cases.number is None else f" ({cases.text} cases)"
    return f", on {patients.text} patients{among}"


def stored_table(
    lake: Lake, table: str, window: Window | None = None, encoder: str | None = None
) -> pl.DataFrame | None:
    """Return a table of the lake, None when no run has written it yet."""
    if lake.stamp(table, window, encoder) is None:
        return None
    return lake.read(table, window, encoder)


def cell_results(study: Study, lake: Lake, window: Window, encoder: EncoderChoice) -> CellResults:
    """Return what one cell shows. MissingTableError when it has no performance yet."""
    performance = lake.read("performance", window, encoder.id)
    predictions = stored_table(lake, "cross_validation", window, encoder.id)
    minimum = study.privacy.minimum_cell
    order: dict[str, int] = {learner: rank for rank, learner in enumerate(study.models.learners)}
    return CellResults(
        encoder=encoder.id,
        models=tuple(sorted(_models(performance), key=lambda model: _rank(model, order))),
        curves=() if predictions is None else curves(predictions, minimum_cell=minimum),
    )


def _rank(model: ModelResult, learners: dict[str, int]) -> tuple[int, str, int, str]:
    place = learners.get(model.learner, len(learners))
    return feature_set_rank(model.feature_set), model.feature_set, place, model.learner


def _models(performance: pl.DataFrame) -> list[ModelResult]:
    metrics: dict[tuple[str, str], dict[str, Estimate]] = {}
    for row in performance.iter_rows(named=True):
        of_model = metrics.setdefault((row["feature_set"], row["learner"]), {})
        if row["estimate"] is not None:
            of_model[row["metric"]] = Estimate(row["estimate"], row["lower"], row["upper"])
    return [ModelResult(*names, found) for names, found in metrics.items()]
