"""Temporal validation of a cell: models of earlier patients, judged on later ones."""

from __future__ import annotations

from datetime import date

from learn_assets.reporting.context import CellContext, not_made
from learn_assets.reporting.document import (
    Block,
    Column,
    Table,
    absent,
)
from learn_assets.reporting.places import SensitivityBlocks
from learn_assets.reporting.sections.long_tables import models_of, rows_of, single
from learn_assets.reporting.sections.sensitivity import (
    METRICS,
    MODEL,
    NOT_ASKED,
    model_cells,
)
from learn_assets.reporting.values import (
    count_of,
    estimate,
    share,
)


def temporal(cell: CellContext) -> list[Block]:
    """Return who is in either part, and how the later patients are judged."""
    title = "Temporal validation"
    frame = cell.of_cell("temporal_validation")
    if frame is None:
        return [absent(title, not_made("temporal_validation"))]
    if frame.is_empty():
        return [absent(title, NOT_ASKED)]
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


SECTION = SensitivityBlocks(10, temporal)
