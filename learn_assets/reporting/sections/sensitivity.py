"""Sensitivity analyses of a cell: later patients, fewer patients, rare cases, other folds."""

from __future__ import annotations

from datetime import date

import polars as pl

from learn_assets.evaluation.comparison import ModelName
from learn_assets.reporting.context import CellContext, not_made
from learn_assets.reporting.document import (
    Block,
    Column,
    Figure,
    Section,
    Series,
    Table,
    absent,
)
from learn_assets.reporting.labels import (
    feature_set_label,
    in_words,
    learner_label,
    learner_label_inside,
)
from learn_assets.reporting.sections.long_tables import models_of, rows_of, single
from learn_assets.reporting.sensitivity_figures import imbalance_forest, learning_curves
from learn_assets.reporting.values import (
    Estimate,
    Value,
    count_of,
    estimate,
    number,
    rounded_column,
    share,
    words,
)

_TITLE = "Sensitivity analyses"
_NOT_ASKED = "the study does not ask for it, or there are too few patients"
_METRICS = (
    ("auroc", "AUROC", 3),
    ("brier", "Brier score", 3),
    ("calibration_intercept", "Calibration intercept", 2),
    ("calibration_slope", "Calibration slope", 2),
)
_TREATMENTS = {"none": "None", "weights": "Weights", "smote": "SMOTE"}
_MODEL = (
    Column("features", "Features", numeric=False),
    Column("learner", "Learner", numeric=False),
)


def sensitivity(cell: CellContext) -> Section:
    """Return what changes with later patients, fewer of them, balanced cases and other folds."""
    return cell.section(
        "sensitivity",
        _TITLE,
        _temporal(cell),
        *_learning_curve(cell),
        *_imbalance(cell),
        _repeats(cell),
    )


def _temporal(cell: CellContext) -> Block:
    title = "Temporal validation"
    frame = cell.of_cell("temporal_validation")
    if frame is None:
        return absent(title, not_made("temporal_validation"))
    if frame.is_empty():
        return absent(title, _NOT_ASKED)
    cut = frame["cut_date"][0]
    return Table(
        "temporal_validation",
        f"Models of patients before {_month(cut)}, judged on the patients since, 95 % intervals",
        (
            *_MODEL,
            Column("training_n", "Earlier patients"),
            Column("training_prevalence", "Prevalence"),
            Column("n", "Later patients"),
            Column("prevalence", "Prevalence"),
            *(Column(metric, title) for metric, title, _ in _METRICS),
        ),
        tuple(
            (
                *_model_cells(model),
                count_of(single(own, "training_n")),
                share(single(own, "training_prevalence")),
                count_of(single(own, "n")),
                share(single(own, "prevalence")),
                *(estimate(single(own, metric), digits) for metric, _, digits in _METRICS),
            )
            for model in models_of(frame)
            for own in [rows_of(frame, model)]
        ),
        note="Training sees only labels that were known before the cut. A dash stands where "
        "a small count could be worked out.",
        grouped=True,
    )


def _month(day: date) -> str:
    # The day itself is a patient's index date.
    return f"{day:%B %Y}"


def _learning_curve(cell: CellContext) -> list[Block]:
    title = "Learning curve"
    frame = cell.of_cell("learning_curve")
    if frame is None:
        return [absent(title, not_made("learning_curve"))]
    if frame.is_empty():
        return [absent(title, _NOT_ASKED)]
    learner = _learner(frame, cell.reference)
    blocks: list[Block] = []
    svg = learning_curves(frame, learner, f"{cell.anchor}-learning")
    own = frame.filter(pl.col("learner") == learner)
    if svg is not None:
        caption = (
            f"Learning curve of {learner_label_inside(learner)}: AUROC on the same held-out folds "
            "by number of training patients, 95 % intervals."
        )
        blocks.append(Figure("learning_curve", svg, caption, _learning_series(own)))
    sizes = own["training_patients"].unique().sort().to_list()
    models = models_of(own)
    blocks.append(
        Table(
            "learning_curve_table",
            f"AUROC by training patients, {learner_label_inside(learner)}, 95 % intervals",
            (
                Column("training_patients", "Training patients"),
                *(Column(m.feature_set, feature_set_label(m.feature_set)) for m in models),
            ),
            tuple(
                (
                    number(size, 0),
                    *(_area(rows_of(own, m).filter(training_patients=size)) for m in models),
                )
                for size in sizes
            ),
            folded=svg is not None,
        )
    )
    return blocks


def _learning_series(own: pl.DataFrame) -> tuple[Series, ...]:
    names = ("training_patients", "auroc", "lower", "upper")
    return tuple(
        Series(
            feature_set_label(model.feature_set),
            tuple((name, rounded_column(points[name].to_list())) for name in names),
        )
        for model in models_of(own)
        for points in [rows_of(own, model).sort("training_patients")]
    )


def _imbalance(cell: CellContext) -> list[Block]:
    title = "Treatment of rare cases"
    frame = cell.of_cell("imbalance_sensitivity")
    if frame is None:
        return [absent(title, not_made("imbalance_sensitivity"))]
    if frame.is_empty():
        return [absent(title, _NOT_ASKED)]
    learner = _learner(frame, cell.reference)
    blocks: list[Block] = []
    svg = imbalance_forest(frame, learner, f"{cell.anchor}-imbalance")
    if svg is not None:
        name = learner_label_inside(learner)
        caption = f"What treating rare cases otherwise does to {name}, same folds."
        blocks.append(Figure("imbalance", svg, caption, _imbalance_series(frame, learner)))
    rows = []
    for model in models_of(frame):
        for treatment, label in _TREATMENTS.items():
            own = rows_of(frame, model).filter(imbalance=treatment)
            if own.is_empty():
                continue
            rows.append(
                (
                    *_model_cells(model),
                    words(label),
                    *(estimate(single(own, metric), digits) for metric, _, digits in _METRICS),
                    estimate(single(own, "auroc_minus_none"), 3, signed=True),
                )
            )
    blocks.append(
        Table(
            "imbalance_table",
            "Performance by treatment of rare cases in training, out of fold, 95 % intervals",
            (
                *_MODEL,
                Column("treatment", "Treatment", numeric=False),
                *(Column(metric, title) for metric, title, _ in _METRICS),
                Column("auroc_minus_none", "AUROC minus none"),
            ),
            tuple(rows),
            grouped=True,
            folded=svg is not None,
        )
    )
    return blocks


def _imbalance_series(frame: pl.DataFrame, learner: str) -> tuple[Series, ...]:
    shown = frame.filter(
        pl.col("learner") == learner,
        pl.col("metric").is_in([metric for metric, _, _ in _METRICS]),
        pl.col("estimate").is_not_null(),
    )
    return tuple(
        Series(
            f"{feature_set_label(row['feature_set'])}, {_TREATMENTS[row['imbalance']]}, "
            f"{in_words(row['metric'])}",
            tuple(
                (name, rounded_column([row[name]], 2)) for name in ("estimate", "lower", "upper")
            ),
        )
        for row in shown.iter_rows(named=True)
    )


def _repeats(cell: CellContext) -> Block:
    title = "Repeated cross-validation"
    frame = cell.of_cell("repeated_cross_validation")
    if frame is None:
        return absent(title, not_made("repeated_cross_validation"))
    over_all = frame.filter(pl.col("repeat").is_null())
    repeats = frame["repeat"].drop_nulls().n_unique()
    if repeats < 2:
        return absent(title, "the study does not ask for repeats")
    return Table(
        "repeated_cross_validation",
        f"AUROC over {repeats} cross-validations with other folds",
        (
            *_MODEL,
            Column("auroc", "Mean AUROC"),
            Column("standard_deviation", "SD between repeats"),
        ),
        tuple(
            (
                words(feature_set_label(row["feature_set"])),
                words(learner_label(row["learner"])),
                estimate(Estimate(row["auroc"], row["lower"], row["upper"]), 3),
                number(row["standard_deviation"], 3),
            )
            for row in over_all.iter_rows(named=True)
        ),
        note="Interval of the mean by Nadeau & Bengio 2003: repeats share patients.",
        grouped=True,
    )


def _learner(frame: pl.DataFrame, reference: ModelName) -> str:
    learners = [model.learner for model in models_of(frame) if model.feature_set != "age_sex"]
    return reference.learner if reference.learner in learners else learners[0]


def _model_cells(model: ModelName) -> tuple[Value, Value]:
    return words(feature_set_label(model.feature_set)), words(learner_label(model.learner))


def _area(rows: pl.DataFrame) -> Value:
    if rows.is_empty():
        return estimate(None)
    row = rows.row(0, named=True)
    return estimate(Estimate(row["auroc"], row["lower"], row["upper"]), 3)
