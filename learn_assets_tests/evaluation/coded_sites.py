"""Synthetic patients as features without files: counts of their codes, and what the codes mean."""

from __future__ import annotations

import numpy as np
import polars as pl

from learn_assets.modeling.pipeline import Cell, CellTables, build_cell
from learn_assets.modeling.protocol import ModelingProtocol
from learn_assets.synthetic.codebook import codebook
from learn_assets.synthetic.patients import Block
from learn_assets.synthetic.truth import REPORTED_WINDOWS, labels, patient_truth
from learn_assets_tests.modeling.site import ENCODER


def coded_cell(block: Block, records: dict[str, pl.DataFrame], protocol: ModelingProtocol) -> Cell:
    """Return the labeled patients of a block: counts of codes, and one number a concept as vector.

    The vector stands for an encoder that reads the meaning of every code.
    """
    labeled = labels(patient_truth(block), REPORTED_WINDOWS[0]).select("patient_id", "label")
    people = pl.DataFrame(
        {"patient": np.arange(len(block)), "patient_id": block.patient_id, "index": block.index}
    ).join(labeled, on="patient_id")
    past = pl.concat(
        frame.with_columns(pl.lit(kind).alias("kind")) for kind, frame in records.items()
    )
    past = past.join(people, on="patient").filter(pl.col("day") < pl.col("index"))
    roster = labeled.with_columns(
        pl.lit(40.0).alias("age_at_index"), pl.lit("F").alias("sex"), pl.col("label").cast(pl.Int8)
    )
    counts = past.group_by(
        "patient_id", pl.concat_str("kind", "code_system", "code", separator="|").alias("feature")
    ).agg(pl.len().cast(pl.Float64).alias("count"))
    tables = CellTables(
        cohort=roster,
        scoring_population=roster.clear().drop("label"),
        event_counts=counts,
        latest_measurement=counts.clear().rename({"count": "value"}),
        patient_embeddings=_concept_vectors(past),
        encoder=ENCODER,
    )
    return build_cell(tables, protocol)


def _concept_vectors(past: pl.DataFrame) -> pl.DataFrame:
    # Habits write the same NDC in different styles.
    known = pl.concat([codebook("home").truth(), codebook("transfer").truth()])
    meanings = known.select("code_system", "code", "concept").unique(
        ["code_system", "code"], keep="first", maintain_order=True
    )
    burden = (
        past.join(meanings, on=["code_system", "code"])
        .group_by("patient_id", "concept")
        .len()
        .with_columns(pl.col("len").log1p())
        .pivot("concept", index="patient_id", values="len")
        .fill_null(0.0)
        .sort("patient_id")
    )
    names = sorted(set(burden.columns) - {"patient_id"})
    matrix = burden.select(names).to_numpy().astype(np.float32)
    return burden.select("patient_id", pl.lit("diagnosis").alias("kind")).with_columns(
        pl.Series("vector", matrix, dtype=pl.Array(pl.Float32, len(names)))
    )
