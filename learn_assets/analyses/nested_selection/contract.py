"""Contract of the scores by which a cell is chosen."""

from __future__ import annotations

import pandera.polars as pa
import polars as pl

from learn_assets.schemas.declared import SENSITIVITY, Declared
from learn_assets.schemas.records import Table


class NestedSelection(Table):
    """Scores of patients by models of the other parts, and the AUROC among those alone."""

    patient_id: str = pa.Field(unique=True, description="Person.")
    part: pl.Int32 = pa.Field(ge=0, description="Part of the study's patients, same in all cells.")
    inner_auroc: pl.Float64 = pa.Field(
        nullable=True, ge=0, le=1, description="Cross-validated among the other parts alone."
    )
    probability: pl.Float64 = pa.Field(ge=0, le=1, description="Probability of being a case.")
    label: pl.Int8 = pa.Field(isin=[0, 1], description="1 case, 0 control.")


TABLES = {
    "nested_selection": Declared(SENSITIVITY, NestedSelection, "metadata"),
}
