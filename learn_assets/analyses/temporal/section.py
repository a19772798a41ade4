"""Temporal validation of a cell: models of earlier patients, judged on later ones."""

from __future__ import annotations

from datetime import date

import polars as pl

from learn_assets.reporting.context import CellContext
from learn_assets.reporting.document import (
    Block,
    Column,
    Table,
)
from learn_assets.reporting.places import SensitivityBlocks
from learn_assets.reporting.sections.long_tables import models_of, rows_of, single
from learn_assets.reporting.sections.sensitivity import (
    METRICS,
    MODEL,
    model_cells,
)
from learn_assets.reporting.values import (
    count_of,
    estimate,
    share,
)


def temporal(_cell: CellContext, frame: pl.DataFrame) -> list[Block]:
    """Return who is in either part, and how the later patients are judged."""
    cut = frame["cut_date"][0]
    table = Table(
        "temporal_validation",
        f"Models of patients before {_month(cut)}, judged on the patients since, 95 % intervals",
        (
            *MODEL,
            Column("training_n", "Earlier patients"),
            Column("training_prevalence", "Prevalence"),
            Column("n", "Later patients"),
            Column("prevalence", "Prevalence"),
            *(Column(metric, title) for metric, title, _ in METRICS),
        ),
        tuple(
            (
                *model_cells(model),
                count_of(single(own, "training_n")),
                share(single(own, "training_prevalence")),
                count_of(single(own, "n")),
                share(single(own, "prevalence")),
                *(estimate(single(own, metric), digits) for metric, _, digits in METRICS),
            )
            for model in models_of(frame)
            for own in [rows_of(frame, model)]
        ),
        note="Training sees only labels that were known before the cut. A dash stands where "
        "a small count could be worked out.",
        grouped=True,
    )
    return [table]


def _month(day: date) -> str:
    # The day itself is a patient's index date.
    return f"{day:%B %Y}"


SECTION = SensitivityBlocks(10, "Temporal validation", "temporal_validation", temporal)
