"""Cell tables: what an analysis of a cell leaves in the lake, and why it may be empty."""

from collections.abc import Mapping
from types import MappingProxyType

import dagster as dg
import polars as pl

from learn_assets.defs.metadata import table_result
from learn_assets.defs.stages import CellStep
from learn_assets.study import Study

NOT_ASKED = "the study does not ask for it: see `sensitivity.analyses`"
NO_MODELS = "too few cases or controls for models"


def written(
    study: Study,
    step: CellStep,
    table: str,
    frame: pl.DataFrame,
    *,
    counts: Mapping[str, int] = MappingProxyType({}),
    **facts: dg.MetadataValue | float | str,
) -> dg.MaterializeResult:
    """Write a table of a cell and return what the UI shows of it: rows, and these facts."""
    stamp = step.lake.write(table, frame, window=step.window, encoder=step.encoder.id)
    return table_result(
        study, table, stamp, counts=counts, synthetic_data=str(study.synthetic), **facts
    )


def empty_because(frame: pl.DataFrame, reason: str) -> str:
    """Return why a table is empty, or that it is not."""
    return reason if frame.is_empty() else "not empty"
