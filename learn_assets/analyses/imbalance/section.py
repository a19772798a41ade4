"""Imbalance in a cell: what treating rare cases otherwise does."""

from __future__ import annotations

import polars as pl

from learn_assets.analyses.imbalance.figure import TREATMENTS, imbalance_forest
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
    in_words,
    learner_label_inside,
)
from learn_assets.reporting.places import SensitivityBlocks
from learn_assets.reporting.sections.long_tables import models_of, rows_of, single
from learn_assets.reporting.sections.sensitivity import (
    METRICS,
    MODEL,
    model_cells,
    shown_learner,
)
from learn_assets.reporting.values import (
    estimate,
    rounded_column,
    words,
)


def imbalance(cell: CellContext, frame: pl.DataFrame) -> list[Block]:
    """Return ranks and probabilities by treatment of rare cases: figure and table."""
    learner = shown_learner(frame, cell.reference)
    blocks: list[Block] = []
    svg = imbalance_forest(frame, learner, f"{cell.anchor}-imbalance")
    if svg is not None:
        name = learner_label_inside(learner)
        caption = f"What treating rare cases otherwise does to {name}, same folds."
        blocks.append(Figure("imbalance", svg, caption, _imbalance_series(frame, learner)))
    rows = []
    for model in models_of(frame):
        for treatment, label in TREATMENTS.items():
            own = rows_of(frame, model).filter(imbalance=treatment)
            if own.is_empty():
                continue
            rows.append(
                (
                    *model_cells(model),
                    words(label),
                    *(estimate(single(own, metric), digits) for metric, _, digits in METRICS),
                    estimate(single(own, "auroc_minus_none"), 3, signed=True),
                )
            )
    blocks.append(
        Table(
            "imbalance_table",
            "Performance by treatment of rare cases in training, out of fold, 95 % intervals",
            (
                *MODEL,
                Column("treatment", "Treatment", numeric=False),
                *(Column(metric, title) for metric, title, _ in METRICS),
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
        pl.col("metric").is_in([metric for metric, _, _ in METRICS]),
        pl.col("estimate").is_not_null(),
    )
    return tuple(
        Series(
            f"{feature_set_label(row['feature_set'])}, {TREATMENTS[row['imbalance']]}, "
            f"{in_words(row['metric'])}",
            tuple(
                (name, rounded_column([row[name]], 2)) for name in ("estimate", "lower", "upper")
            ),
        )
        for row in shown.iter_rows(named=True)
    )


SECTION = SensitivityBlocks(30, "Treatment of rare cases", "imbalance_sensitivity", imbalance)
