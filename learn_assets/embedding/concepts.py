"""Concepts: each distinct description is embedded once; a patient is their average by recency.

What belongs here: encoder mode `concept`, which costs as many texts as a site has descriptions,
however many patients mention them.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl

from learn_assets.embedding.engine import EmbeddingRun

_GROUP_ROWS = 20_000
_KEY = ("patient_id", "kind")


def description_texts(mentions: pl.LazyFrame) -> pl.DataFrame:
    """Return the distinct descriptions of mentions as texts for an `EmbeddingRun`, sorted."""
    distinct = mentions.select("description").unique().sort("description")
    return distinct.select(
        pl.col("description").alias("patient_id"),
        pl.lit("description").alias("kind"),
        pl.col("description").alias("text"),
    ).collect()


def concept_frames(
    mentions: pl.LazyFrame,
    run: EmbeddingRun,
    *,
    half_life_days: float,
    described: pl.LazyFrame | None = None,
) -> Iterator[pl.DataFrame]:
    """Yield patient_id, kind, vector, chunks and tokens, sorted by patient and kind.

    `mentions`: patient_id, kind, description, days_before (1 or more). A vector is the mean over
    the descriptions of a patient and kind, each weighing the sum of 2^(-days_before / half-life)
    over the days it was recorded on, scaled to length 1. `chunks` counts the descriptions and
    `tokens` theirs; a patient and kind whose descriptions have no token has no row. `described`:
    mentions whose descriptions are embedded; none: these.
    """
    texts = description_texts(mentions if described is None else described)
    embedded = pl.concat(run.frames(texts))
    vectors = embedded["vector"].to_numpy().astype(np.float64)
    concepts = embedded.select(
        pl.col("patient_id").alias("description"), pl.col("tokens"), pl.row_index("concept")
    )
    empty = embedded.clear().drop("text", strict=False)
    yield empty
    weighted = _weights(mentions, half_life_days).join(concepts.lazy(), on="description")
    rows = weighted.sort(*_KEY, "concept").collect(engine="streaming")
    for group in _groups(rows):
        yield _averaged(group, vectors, empty.schema)


def _weights(mentions: pl.LazyFrame, half_life_days: float) -> pl.LazyFrame:
    # Counted from a patient's latest record: the scale cancels out, and old ones do not vanish.
    latest = pl.col("days_before").min().over(*_KEY)
    age = (pl.col("days_before") - latest) / half_life_days
    return (
        mentions.with_columns(weight=(-age * float(np.log(2.0))).exp())
        .group_by(*_KEY, "description")
        .agg(pl.col("weight").sort().sum())
    )


def _groups(rows: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Yield whole patients and kinds, about `_GROUP_ROWS` rows together."""
    if rows.is_empty():
        return
    run = rows.select(pl.struct(*_KEY).rle_id()).to_series().to_numpy()
    start = 0
    while start < len(run):
        end = min(start + _GROUP_ROWS, len(run))
        end = int(np.searchsorted(run, run[end - 1], side="right"))
        yield rows[start:end]
        start = end


def _averaged(group: pl.DataFrame, vectors: np.ndarray, schema: pl.Schema) -> pl.DataFrame:
    run = group.select(pl.struct(*_KEY).rle_id()).to_series().to_numpy()
    starts = np.flatnonzero(np.diff(run, prepend=-1))
    weighted = vectors[group["concept"].to_numpy()] * group["weight"].to_numpy()[:, None]
    mean = np.add.reduceat(weighted, starts)
    mean /= np.linalg.norm(mean, axis=1, keepdims=True)
    first = group[starts.tolist()]
    tokens = np.add.reduceat(group["tokens"].to_numpy(), starts)
    return pl.DataFrame(
        {
            "patient_id": first["patient_id"],
            "kind": first["kind"],
            "vector": pl.Series(mean.astype(np.float32), dtype=schema["vector"]),
            "chunks": np.diff(starts, append=len(run)),
            "tokens": tokens,
        },
        schema=schema,
    )
