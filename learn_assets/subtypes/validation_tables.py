"""Validation of clusters as tables: outcomes by cluster, replication over years, the other sex.

What belongs here: `subtype_validation`, `subtype_replication` and `subtype_match`. How each is
measured stands in `validation.py`.
"""

from __future__ import annotations

from dataclasses import asdict

import polars as pl

from learn_assets.schemas.registry import empty_frame
from learn_assets.study.clusters import ClusterOptions
from learn_assets.subtypes.admissions import SexAdmissions
from learn_assets.subtypes.bases import admission_bases
from learn_assets.subtypes.clustering import Labels
from learn_assets.subtypes.representations import Representation
from learn_assets.subtypes.spaces import enough_admissions
from learn_assets.subtypes.statistics import holm_corrected
from learn_assets.subtypes.validation import (
    match_clusters,
    outcome_differences,
    readmissions,
    replicate,
)


def validation_frame(admissions: SexAdmissions, labels: Labels) -> pl.DataFrame:
    """Return the table `subtype_validation`: one row an outcome, over admissions and over patients.

    Repeated admissions of a patient are not independent, so each test is made again over the first
    admission of each, where the file links them. p values are corrected within a basis (Holm).
    """
    frame = admissions.discharges.with_columns(
        readmission=readmissions(admissions.discharges), label=pl.Series(labels, dtype=pl.Int64)
    )
    rows: list[dict[str, object]] = []
    for basis, some in admission_bases(frame):
        found = outcome_differences(some, some["label"].to_numpy())
        corrected = holm_corrected([one.p_value for one in found])
        rows += [
            {"sex": admissions.sex, "basis": basis, **asdict(one), "p_holm": p_holm}
            for one, p_holm in zip(found, corrected, strict=True)
        ]
    return pl.DataFrame(rows, schema=empty_frame("subtype_validation").schema)


def replication_frame(
    admissions: SexAdmissions, representation: Representation, count: int, options: ClusterOptions
) -> pl.DataFrame:
    """Return the table `subtype_replication`: one row a later year; none without clusters."""
    years = admissions.discharges["year"].cast(pl.Int64).to_numpy()
    enough = enough_admissions(admissions)
    found = replicate(admissions.coded, years, representation, count, options) if enough else ()
    first, last = options.training_years
    rows = [
        {"sex": admissions.sex, "first_year": first, "last_year": last, **asdict(one)}
        for one in found
    ]
    return pl.DataFrame(rows, schema=empty_frame("subtype_replication").schema)


def match_frame(female: pl.DataFrame, male: pl.DataFrame) -> pl.DataFrame:
    """Return the table `subtype_match`: each cluster with its partner of the other sex.

    female, male: `disease_weights` of each sex. A cluster without a partner has a row of its own.
    """
    matches = match_clusters(female, male)
    matched = {one.second for one in matches}
    alone = sorted(set(male["cluster"].to_list()) - matched)
    rows: list[tuple[int | None, int | None, float | None]] = [
        (one.first, one.second, None if one.second is None else one.similarity) for one in matches
    ]
    rows += [(None, cluster, None) for cluster in alone]
    return pl.DataFrame(rows, schema=empty_frame("subtype_match").schema, orient="row")
