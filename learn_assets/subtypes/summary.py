"""Summary: what a subtypes study has in its lake, as text for the terminal; small counts masked."""

from __future__ import annotations

import polars as pl

from learn_assets.lake import Lake
from learn_assets.reporting.disclosure import shown_parts
from learn_assets.subtypes.study import SubtypeStudy


def subtypes_summary(study: SubtypeStudy, lake: Lake) -> str:
    """Return a few lines on the study; a lake without discharges says what to do."""
    title = f"{study.title}\n"
    if lake.stamp("discharges") is None:
        return f"{title}nothing yet; run: learn-assets materialize --study {study.name}"
    counted = lake.scan("discharges").group_by("sex").agg(pl.len()).sort("sex").collect()
    shown = shown_parts(counted["len"].to_list(), study.privacy.minimum_cell)
    words = {"F": "female", "M": "male"}
    by_sex = ", ".join(
        f"{words[sex]} {count.text}" for sex, count in zip(counted["sex"], shown, strict=True)
    )
    return f"{title}admissions: {by_sex}"
