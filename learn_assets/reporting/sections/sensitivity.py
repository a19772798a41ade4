"""Sensitivity analyses of a cell: one section of what each of them adds, and words they share."""

from __future__ import annotations

import polars as pl

from learn_assets.evaluation.comparison import ModelName
from learn_assets.reporting.context import CellContext
from learn_assets.reporting.document import Column, Section
from learn_assets.reporting.labels import feature_set_label, learner_label
from learn_assets.reporting.places import SensitivityBlocks, placed
from learn_assets.reporting.sections.long_tables import models_of
from learn_assets.reporting.values import Value, words

METRICS = (
    ("auroc", "AUROC", 3),
    ("brier", "Brier score", 3),
    ("calibration_intercept", "Calibration intercept", 2),
    ("calibration_slope", "Calibration slope", 2),
)
MODEL = (
    Column("features", "Features", numeric=False),
    Column("learner", "Learner", numeric=False),
)


def sensitivity(cell: CellContext) -> Section:
    """Return what every sensitivity analysis shows of a cell."""
    blocks = (block for part in placed(SensitivityBlocks) for block in part.blocks(cell))
    return cell.section("sensitivity", "Sensitivity analyses", *blocks)


def shown_learner(frame: pl.DataFrame, reference: ModelName) -> str:
    """Return the reference's learner, else the first that has more than age and sex."""
    learners = [model.learner for model in models_of(frame) if model.feature_set != "age_sex"]
    return reference.learner if reference.learner in learners else learners[0]


def model_cells(model: ModelName) -> tuple[Value, Value]:
    """Return the cells of `MODEL`."""
    return words(feature_set_label(model.feature_set)), words(learner_label(model.learner))
