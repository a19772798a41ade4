"""Coverage: which kinds of record have too few descriptions for the study."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from learn_assets.study import Study


@dataclass(frozen=True)
class Coverage:
    """Share of records with a description by kind; `below` names the kinds with too small a share.

    `counts` are the described records and all records behind each share. Kinds without any record
    are in none of these.
    """

    by_kind: dict[str, float]
    counts: dict[str, tuple[int, int]]
    below: tuple[str, ...]


def coverage_below(study: Study, description_coverage: pl.DataFrame) -> Coverage:
    """Return the coverage of each kind over all its code systems, judged by the study's minimum.

    `description_coverage`: kind, code_system, records Int64, described Int64, share Float64.
    """
    totals = (
        description_coverage.group_by("kind")
        .agg(pl.col("described").sum(), pl.col("records").sum())
        .sort("kind")
    )
    counts = {kind: (described, records) for kind, described, records in totals.iter_rows()}
    by_kind = {kind: described / records for kind, (described, records) in counts.items()}
    minimum = study.vocabulary.minimum_coverage
    below = tuple(kind for kind, share in by_kind.items() if share < minimum)
    return Coverage(by_kind, counts, below)
