"""Learning curve of a cell: AUROC by number of training patients."""

from __future__ import annotations

import polars as pl

from learn_assets.analyses.learning_curve.figure import learning_curves
from learn_assets.reporting.context import CellContext
from learn_assets.reporting.document import (
    Block,
    Column,
    Figure,
    Series,
    Table,
)
from learn_assets.reporting.labels import (
    feature_set_label,
    learner_label_inside,
)
from learn_assets.reporting.places import SensitivityBlocks
from learn_assets.reporting.sections.long_tables import models_of, rows_of
from learn_assets.reporting.sections.sensitivity import (
    shown_learner,
)
from learn_assets.reporting.values import (
    Estimate,
    Value,
    estimate,
    number,
    rounded_column,
)


def learning_curve(cell: CellContext, frame: pl.DataFrame) -> list[Block]:
    """Return AUROC by number of training patients: figure and table of one learner."""
    learner = shown_learner(frame, cell.reference)
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


def _area(rows: pl.DataFrame) -> Value:
    if rows.is_empty():
        return estimate(None)
    row = rows.row(0, named=True)
    return estimate(Estimate(row["auroc"], row["lower"], row["upper"]), 3)


SECTION = SensitivityBlocks(20, "Learning curve", "learning_curve", learning_curve)
