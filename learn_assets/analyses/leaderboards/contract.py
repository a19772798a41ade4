"""Contract of both leaderboards."""

from __future__ import annotations

import pandera.polars as pa
import polars as pl

from learn_assets.schemas.declared import RESULTS, Declared
from learn_assets.schemas.estimates import FEATURE_SET, LEARNER, LOWER, UPPER
from learn_assets.schemas.records import Table


class Leaderboard(Table):
    """AUROC of every cell, and of a cell that is chosen without the patients that judge it."""

    basis: str = pa.Field(
        isin=["cell", "chosen"],
        description="`chosen`: in each part of the patients, the cell the other parts preferred.",
    )
    window: str = pa.Field(nullable=True, description="Window; empty: chosen among all.")
    encoder: str = pa.Field(nullable=True, description="Encoder; empty: chosen among all.")
    feature_set: str = pa.Field(description=FEATURE_SET)
    learner: str = pa.Field(description=LEARNER)
    patients: pl.Int64 = pa.Field(nullable=True, ge=0, description="Empty: too few to show.")
    cases: pl.Int64 = pa.Field(nullable=True, ge=0, description="Empty: too few to show.")
    auroc: pl.Float64 = pa.Field(ge=0, le=1, description="Within folds or parts.")
    lower: pl.Float64 = pa.Field(nullable=True, description=LOWER)
    upper: pl.Float64 = pa.Field(nullable=True, description=UPPER)
    times_chosen: pl.Int32 = pa.Field(
        nullable=True, ge=0, description="Parts that chose the cell; empty: not up for choice."
    )
    difference: pl.Float64 = pa.Field(
        nullable=True,
        ge=-1,
        le=1,
        description="AUROC minus that of the study's first encoder in the window, same patients; "
        "encoders only.",
    )
    difference_lower: pl.Float64 = pa.Field(nullable=True, description=LOWER)
    difference_upper: pl.Float64 = pa.Field(nullable=True, description=UPPER)


TABLES = {
    "window_leaderboard": Declared(RESULTS, Leaderboard, in_report=True),
    "encoder_leaderboard": Declared(RESULTS, Leaderboard, in_report=True),
}
