"""Validation: do clusters differ in what they were not made from, and do they come back later?

What belongs here: tests against stay, severity, cost and readmission, replication over years and
the match of the two sexes' clusters.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from learn_assets.study.clusters import ClusterOptions
from learn_assets.subtypes.clustering import CLUSTERERS, Labels
from learn_assets.subtypes.coded import CodedAdmissions
from learn_assets.subtypes.representations import Representation
from learn_assets.subtypes.stability import (
    agreement,
    distance_matrix,
    sampled_rows,
    silhouette,
)

FloatVector = npt.NDArray[np.float64]

READMISSION_DAYS = 30
_SILHOUETTE_ADMISSIONS = 2_000
_NUMBERS = ("stay_days", "cost")
_CLASSES = ("severity", "mortality_risk", "readmission")


@dataclass(frozen=True)
class Difference:
    """One outcome by cluster: the test, its effect size and how many admissions had a value.

    `effect`: epsilon squared of Kruskal and Wallis, or Cramer's V; 0 no difference, 1 all of it.
    """

    outcome: str
    test: str
    statistic: float
    degrees_of_freedom: int
    p_value: float
    effect: float
    admissions: int


def outcome_differences(discharges: pl.DataFrame, labels: Labels) -> tuple[Difference, ...]:
    """Return how outcomes that did not enter the clustering differ by label (n).

    discharges: stay_days, cost, severity, mortality_risk and readmission (see `readmissions`).
    Outcomes known in fewer than two clusters, or the same everywhere, are left out. p values are
    not corrected and take admissions for independent; effect sizes are what to read in files of
    this size.
    """
    found = [_kruskal_wallis(name, discharges[name], labels) for name in _NUMBERS]
    found += [_chi_square(name, discharges[name], labels) for name in _CLASSES]
    return tuple(one for one in found if one is not None)


def readmissions(discharges: pl.DataFrame) -> pl.Series:
    """Return whether a patient was admitted again within 30 days after the discharge (Int8).

    Null when the admission is not linked to a patient, or its stay is not known, or the file ends
    less than 30 days after its discharge. `discharges` must hold all admissions of a patient.
    """
    day = pl.col("admission_date")
    left = day + pl.duration(days=pl.col("stay_days"))
    following = day.shift(-1).over("patient_number", order_by=["admission_date", "admission_id"])
    horizon = pl.col("admission_date").max()
    window = pl.duration(days=READMISSION_DAYS)
    return discharges.select(
        pl.when(pl.col("patient_number").is_null() | left.is_null())
        .then(None)
        .when(following <= left + window)
        .then(1)
        .when(left + window > horizon)
        .then(None)
        .otherwise(0)
        .cast(pl.Int8)
        .alias("readmission")
    )["readmission"]


def _kruskal_wallis(name: str, values: pl.Series, labels: Labels) -> Difference | None:
    from scipy.stats import kruskal

    known = values.is_not_null().to_numpy() & (labels >= 0)
    numbers, groups = values.cast(pl.Float64).to_numpy()[known], labels[known]
    present = np.unique(groups)
    if len(present) < 2 or len(np.unique(numbers)) < 2:
        return None
    result = kruskal(*(numbers[groups == label] for label in present))
    statistic = float(result.statistic)
    # Tomczak & Tomczak 2014: H / (n - 1), the share of rank variance between clusters.
    effect = statistic / (len(numbers) - 1)
    return Difference(
        name, "Kruskal-Wallis", statistic, len(present) - 1, float(result.pvalue), effect,
        len(numbers),
    )  # fmt: skip


def _chi_square(name: str, values: pl.Series, labels: Labels) -> Difference | None:
    from scipy.stats import chi2_contingency

    known = values.is_not_null().to_numpy() & (labels >= 0)
    if not known.any():
        return None
    classes, columns = np.unique(values.to_numpy()[known], return_inverse=True)
    present, rows = np.unique(labels[known], return_inverse=True)
    if min(len(classes), len(present)) < 2:
        return None
    table = np.zeros((len(present), len(classes)))
    np.add.at(table, (rows, columns), 1.0)
    result = chi2_contingency(table, correction=False)
    effect = float(np.sqrt(result.statistic / (table.sum() * (min(table.shape) - 1))))
    return Difference(
        name, "chi-square", float(result.statistic), int(result.dof), float(result.pvalue), effect,
        int(table.sum()),
    )  # fmt: skip


@dataclass(frozen=True)
class Replication:
    """Clusters of the training years applied to one later year.

    `rand`: adjusted Rand index with clusters found anew in that year; `agreement`: share of
    admissions with the same label after matching; `silhouette` of the applied labels.
    """

    year: int
    admissions: int
    rand: float
    agreement: float
    silhouette: float


def replicate(
    coded: CodedAdmissions,
    years: npt.NDArray[np.int64],
    representation: Representation,
    count: int,
    options: ClusterOptions,
) -> tuple[Replication, ...]:
    """Fit on the training years, apply to each later year, and compare with a fit of that year.

    The representation is fitted on the training years too, so nothing later goes into the labels
    that are applied; the comparison fits both anew on the later year alone. Years with fewer than
    20 admissions a cluster are left out; without training years there is nothing to return.
    """
    from sklearn.metrics import adjusted_rand_score

    first, last = options.training_years
    training = np.flatnonzero((years >= first) & (years <= last))
    clusterer = CLUSTERERS[options.clusterer]
    if len(training) < 20 * count or count < 2:
        return ()
    fitted = representation.fit(coded.take(training))
    trained = clusterer.fit(
        fitted.transform(coded.take(training)), count, options.seed, starts=options.starts
    )
    found = []
    for year in np.unique(years[years > last]).tolist():
        later = coded.take(np.flatnonzero(years == year))
        if len(later) < 20 * count:
            continue
        vectors = fitted.transform(later)
        applied = trained.assign(vectors)
        anew_vectors = representation.fit(later).transform(later)
        anew = clusterer.fit(anew_vectors, count, options.seed, starts=options.starts).labels
        rows = sampled_rows(len(later), _SILHOUETTE_ADMISSIONS, options.seed)
        found.append(
            Replication(
                year,
                len(later),
                float(adjusted_rand_score(anew, applied)),
                agreement(anew, applied),
                silhouette(distance_matrix(vectors[rows]), applied[rows]),
            )
        )
    return tuple(found)


@dataclass(frozen=True)
class ClusterMatch:
    """A cluster of one sex and its partner among the other's; None when it has none left.

    `similarity`: cosine of their code profiles, 0 nothing in common, 1 the same.
    """

    first: int
    second: int | None
    similarity: float


def match_clusters(first: pl.DataFrame, second: pl.DataFrame) -> tuple[ClusterMatch, ...]:
    """Match clusters one to one by code profiles, so that the sum of cosines is greatest.

    first, second: disease weights (cluster, code, published_weight). Hungarian method (Kuhn 1955).
    """
    from scipy.optimize import linear_sum_assignment

    codes = sorted({*first["code"], *second["code"]})
    similarity = _profiles(first, codes) @ _profiles(second, codes).T
    rows, columns = linear_sum_assignment(-similarity)
    partner = dict(zip(rows.tolist(), columns.tolist(), strict=True))
    return tuple(
        ClusterMatch(
            cluster,
            partner.get(cluster),
            float(similarity[cluster, partner[cluster]]) if cluster in partner else 0.0,
        )
        for cluster in range(len(similarity))
    )


def _profiles(weights: pl.DataFrame, codes: list[str]) -> FloatVector:
    """Return the weights of each cluster, (k, codes), scaled to length 1."""
    place = {code: column for column, code in enumerate(codes)}
    clusters = int(str(weights["cluster"].max())) + 1 if weights.height else 0
    profiles = np.zeros((clusters, len(codes)))
    columns = [place[code] for code in weights["code"]]
    profiles[weights["cluster"].to_numpy(), columns] = weights["published_weight"].to_numpy()
    lengths = np.linalg.norm(profiles, axis=1, keepdims=True)
    scaled = np.divide(profiles, lengths, out=np.zeros_like(profiles), where=lengths > 0)
    return np.asarray(scaled, dtype=np.float64)
