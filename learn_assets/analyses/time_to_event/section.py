"""Time to event in a cell: everyone eligible, short follow-up censored, death competing."""

from __future__ import annotations

import polars as pl

from learn_assets.evaluation.comparison import ModelName
from learn_assets.reporting.context import CellContext, not_made, note_of_reasons
from learn_assets.reporting.document import (
    Block,
    Column,
    Facts,
    Figure,
    NamedValue,
    Section,
    Series,
    Table,
)
from learn_assets.reporting.labels import feature_set_label, learner_label
from learn_assets.reporting.outcome_figures import (
    CalibrationPoint,
    Curve,
    over_time,
    risk_calibration,
)
from learn_assets.reporting.places import CellSection
from learn_assets.reporting.sections.long_tables import (
    a_model_a_feature_set,
    estimate_of,
    models_of,
    rows_of,
    single,
)
from learn_assets.reporting.values import (
    count_of,
    estimate,
    rounded_column,
    share,
    words,
)

_TITLE = "Time to event"
_METRICS = (
    ("brier", "Brier score", 3),
    ("scaled_brier", "Scaled Brier score", 3),
    ("mean_predicted_risk", "Mean predicted risk", 3),
    ("observed_to_expected", "Observed / expected", 2),
)


def time_to_event(cell: CellContext) -> Section:
    """Return concordance, AUC over time and calibration at the horizon of survival models."""
    frame = cell.of_cell("time_to_event_performance")
    if frame is None:
        return cell.without("time-to-event", _TITLE, not_made("time_to_event_performance"))
    if frame["estimate"].drop_nulls().is_empty():
        why = note_of_reasons(frame).removeprefix("Where nothing is shown: ").rstrip(".")
        return cell.without("time-to-event", _TITLE, why or "no survival model could be fitted")
    learner = _learner(frame)
    models = a_model_a_feature_set(frame, learner)
    return cell.section(
        "time-to-event",
        _TITLE,
        *_figures(cell, frame, models),
        _sizes(cell, frame),
        _table(cell, frame),
    )


def _learner(frame: pl.DataFrame) -> str:
    """Return the survival learner that figures show: Cox regression when it was fitted."""
    learners = [model.learner for model in models_of(frame)]
    return "cox" if "cox" in learners else learners[0]


def _figures(cell: CellContext, frame: pl.DataFrame, models: list[ModelName]) -> list[Block]:
    curves = [_auc_curve(frame, model) for model in models]
    name = learner_label(_learner(frame))
    drawn: list[Block] = []
    over = over_time(curves, "AUC over time", "Time-dependent AUC", f"{cell.anchor}-auc-time")
    if over is not None:
        drawn.append(
            Figure(
                "auc_over_time",
                over,
                f"Time-dependent AUC of {name} by years after the index date, 95 % intervals.",
                tuple(_series(curve) for curve in curves if curve.days),
            )
        )
    groups = [
        (feature_set_label(model.feature_set), model.feature_set, _points(frame, model))
        for model in models
    ]
    calibrated = risk_calibration(groups, "Calibration at the horizon", f"{cell.anchor}-tte-cal")
    if calibrated is not None:
        drawn.append(
            Figure(
                "calibration_at_horizon",
                calibrated,
                f"Calibration of {name} at day {cell.window.follow_up_period:,}, by group of "
                "predicted risk; death competes.",
                tuple(
                    Series(
                        label,
                        (
                            ("predicted", rounded_column([p.predicted for p in points])),
                            ("observed", rounded_column([p.observed.value for p in points])),
                        ),
                    )
                    for label, _, points in groups
                    if points
                ),
            )
        )
    return drawn


def _auc_curve(frame: pl.DataFrame, model: ModelName) -> Curve:
    rows = rows_of(frame, model).filter(
        pl.col("metric") == "time_dependent_auc", pl.col("estimate").is_not_null()
    )
    found = [(row["horizon_days"], estimate_of(row)) for row in rows.iter_rows(named=True)]
    known = sorted((day, value) for day, value in found if value is not None)
    return Curve(
        feature_set_label(model.feature_set),
        tuple(day for day, _ in known),
        tuple(value for _, value in known),
        model.feature_set,
    )


def _series(curve: Curve) -> Series:
    return Series(
        curve.name,
        (
            ("days", tuple(float(day) for day in curve.days)),
            ("auc", rounded_column([value.value for value in curve.values], 2)),
        ),
    )


def _points(frame: pl.DataFrame, model: ModelName) -> list[CalibrationPoint]:
    own = rows_of(frame, model)
    groups = own.filter(pl.col("metric") == "calibration_observed")["group"].drop_nulls()
    points = []
    for group in groups.unique().sort():
        predicted = single(own, "calibration_predicted", group=group)
        observed = single(own, "calibration_observed", group=group)
        if predicted is not None and observed is not None:
            points.append(CalibrationPoint(predicted.value, observed))
    return points


def _sizes(cell: CellContext, frame: pl.DataFrame) -> Facts:
    own = rows_of(frame, models_of(frame)[-1])
    return Facts(
        "followed",
        (
            NamedValue("Patients followed", count_of(single(own, "patients"))),
            NamedValue("Outcomes at any time", count_of(single(own, "events"))),
            NamedValue("Deaths first", count_of(single(own, "deaths"))),
            NamedValue(
                f"Risk by day {cell.window.follow_up_period:,}", share(single(own, "observed_risk"))
            ),
        ),
        layout="numbers",
    )


def _table(cell: CellContext, frame: pl.DataFrame) -> Table:
    rows = []
    for model in models_of(frame):
        own = rows_of(frame, model)
        horizon = cell.window.follow_up_period
        rows.append(
            (
                words(feature_set_label(model.feature_set)),
                words(learner_label(model.learner)),
                estimate(single(own, "uno_c"), 3),
                estimate(single(own, "time_dependent_auc", horizon_days=horizon), 3),
                *(estimate(single(own, name), digits) for name, _, digits in _METRICS),
            )
        )
    return Table(
        "time_to_event",
        f"Performance by day {cell.window.follow_up_period:,}, out of fold, 95 % intervals",
        (
            Column("features", "Features", numeric=False),
            Column("learner", "Learner", numeric=False),
            Column("uno_c", "Uno's C"),
            Column("auc_at_horizon", "AUC at the horizon"),
            *(Column(name, title) for name, title, _ in _METRICS),
        ),
        tuple(rows),
        note=note_of_reasons(frame),
        grouped=True,
    )


SECTION = CellSection(40, time_to_event)
