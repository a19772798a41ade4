"""Repeated cross-validation of a cell: how much results depend on the folds."""

from __future__ import annotations

import polars as pl

from learn_assets.reporting.context import CellContext
from learn_assets.reporting.document import (
    Block,
    Column,
    Table,
    absent,
)
from learn_assets.reporting.labels import (
    feature_set_label,
    learner_label,
)
from learn_assets.reporting.places import SensitivityBlocks
from learn_assets.reporting.sections.sensitivity import (
    MODEL,
)
from learn_assets.reporting.values import (
    Estimate,
    estimate,
    number,
    words,
)

_TITLE = "Repeated cross-validation"
_NOT_ASKED = "the study does not ask for repeats"


def repeats(_cell: CellContext, frame: pl.DataFrame) -> list[Block]:
    """Return mean AUROC over cross-validations with other folds, and the spread between them."""
    over_all = frame.filter(pl.col("repeat").is_null())
    times = frame["repeat"].drop_nulls().n_unique()
    if times < 2:
        return [absent(_TITLE, _NOT_ASKED)]
    table = Table(
        "repeated_cross_validation",
        f"AUROC over {times} cross-validations with other folds",
        (
            *MODEL,
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
    return [table]


SECTION = SensitivityBlocks(
    40,
    _TITLE,
    "repeated_cross_validation",
    repeats,
    _NOT_ASKED,
)
