"""Membership: which cluster each admission is in, and the audit of what else clusters follow.

What belongs here: the tables `subtypes` and `nuisance_audit`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from learn_assets.embedding.store import VectorStore
from learn_assets.schemas.registry import empty_frame
from learn_assets.study.clusters import ClusterOptions
from learn_assets.subtypes.admissions import SexAdmissions
from learn_assets.subtypes.clustering import FloatMatrix, Labels
from learn_assets.subtypes.evidence import BASELINE, MAIN
from learn_assets.subtypes.kmeans import kmeans
from learn_assets.subtypes.nuisance import audit_nuisance, nuisances_of
from learn_assets.subtypes.published_rule import published_rule
from learn_assets.subtypes.published_texts import published_vectors
from learn_assets.subtypes.selection import fit_clusters
from learn_assets.subtypes.spaces import baseline_representation, enough_admissions

# What the published study found for both sexes: the last number that its rule tries.
PUBLISHED_CLUSTERS = 10
PUBLISHED_TEXTS, PUBLISHED_NUMBER = "published_texts", "published_texts_and_number"


@dataclass(frozen=True)
class Membership:
    """Labels (n) of the admissions by representation: `main`, `baseline`."""

    labels: Mapping[str, Labels]


def find_members(
    admissions: SexAdmissions,
    vectors: FloatMatrix,
    counts: Mapping[str, int],
    options: ClusterOptions,
) -> Membership:
    """Return the clusters of all admissions.

    vectors: what `main` is clustered from, (n, d); counts: role -> number of clusters. Too few
    admissions are all in one cluster.
    """
    if not enough_admissions(admissions):
        together = np.zeros(len(admissions), dtype=np.int64)
        return Membership({MAIN: together, BASELINE: together})
    baseline = baseline_representation(options).fit(admissions.coded).transform(admissions.coded)
    return Membership(
        {
            MAIN: fit_clusters(vectors, counts[MAIN], options).labels,
            BASELINE: fit_clusters(baseline, counts[BASELINE], options).labels,
        }
    )


def subtypes_frame(admissions: SexAdmissions, membership: Membership) -> pl.DataFrame:
    """Return the table `subtypes`: one row an admission; -1 is no cluster."""
    return admissions.discharges.select("admission_id", "sex").with_columns(
        pl.Series("cluster", membership.labels[MAIN], dtype=pl.Int64),
        pl.Series("baseline_cluster", membership.labels[BASELINE], dtype=pl.Int64),
    )


def published_labels(
    admissions: SexAdmissions,
    names: Mapping[str, str],
    options: ClusterOptions,
    store: VectorStore,
) -> dict[str, Labels]:
    """Return clusters of the published texts, by its rule and by the number that it reports.

    They show what the audit is for and are used for nothing else. A frozen encoder stands in for
    the published language model, K-means with 10 starts and seed 42 as published. None with fewer
    admissions than are clustered.
    """
    if not enough_admissions(admissions):
        return {}
    vectors = published_vectors(admissions.coded, names, options.encoder, store)
    counts = {
        PUBLISHED_TEXTS: published_rule(vectors, options.seed).count,
        PUBLISHED_NUMBER: PUBLISHED_CLUSTERS,
    }
    return {
        name: kmeans(vectors, count, starts=10, seed=42).labels for name, count in counts.items()
    }


def nuisance_frame(
    admissions: SexAdmissions, labels: Mapping[str, Labels], limit: float
) -> pl.DataFrame:
    """Return the table `nuisance_audit`: one row a kind of clusters and nuisance.

    Only clusters of `main` can fail.
    """
    nuisances = nuisances_of(admissions.discharges)
    rows = [
        {
            "sex": admissions.sex,
            "representation": name,
            "clusters": len(np.unique(found[found >= 0])),
            "nuisance": finding.nuisance,
            "adjusted_mutual_information": finding.adjusted_mutual_information,
            "maximum": finding.limit,
            "blocking": finding.blocking and name == MAIN,
            "below_maximum": finding.adjusted_mutual_information < finding.limit,
        }
        for name, found in labels.items()
        for finding in audit_nuisance(found, nuisances, limit)
    ]
    return pl.DataFrame(rows, schema=empty_frame("nuisance_audit").schema)
