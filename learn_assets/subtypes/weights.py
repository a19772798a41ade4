"""Weights: which codes mark a cluster, by c-DF-IPF and by prevalence ratio.

All positions count, each code once an admission; names of clusters come from the codes themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from learn_assets.statistics.discrimination import Z95
from learn_assets.subtypes.clustering import Labels
from learn_assets.subtypes.coded import CodedAdmissions

FloatVector = npt.NDArray[np.float64]

_MARKING_FDR = 0.05

WEIGHT_COLUMNS = {
    "cluster": pl.Int64,
    "code": pl.String,
    "admissions": pl.Int64,
    "cluster_size": pl.Int64,
    "elsewhere": pl.Int64,
    "elsewhere_size": pl.Int64,
    "prevalence": pl.Float64,
    "published_weight": pl.Float64,
    "template_weight": pl.Float64,
    "prevalence_ratio": pl.Float64,
    "lower": pl.Float64,
    "upper": pl.Float64,
    "p_value": pl.Float64,
    "false_discovery_rate": pl.Float64,
    "rank": pl.Int64,
}


@dataclass(frozen=True)
class ClusterCounts:
    """Admissions with each code: `having` (k, codes); `sizes` (k) admissions of each cluster."""

    having: npt.NDArray[np.int64]
    sizes: npt.NDArray[np.int64]

    @classmethod
    def of(cls, coded: CodedAdmissions, labels: Labels) -> ClusterCounts:
        """Count admissions (n) by label; those without a cluster (-1) are left out."""
        clusters = int(labels.max(initial=-1)) + 1
        of_entry = labels[coded.admissions]
        kept = of_entry >= 0
        having = np.zeros((clusters, len(coded.codes)), dtype=np.int64)
        np.add.at(having, (of_entry[kept], coded.positions[kept]), 1)
        return cls(having, np.bincount(labels[labels >= 0], minlength=clusters))


def published_weights(counts: ClusterCounts) -> FloatVector:
    """Return c-DF-IPF as published, (k, codes).

    Mean over a cluster's admissions of [code present] times ln(N / admissions with the code).
    """
    prevalence = counts.having / np.maximum(counts.sizes, 1)[:, None]
    return np.asarray(prevalence * _rarity(counts), dtype=np.float64)


def template_weights(coded: CodedAdmissions, labels: Labels) -> FloatVector:
    """Return c-DF-IPF with the two factors that the publication left out, (k, codes).

    DF: mean over a cluster's admissions of [code present] / (codes of the admission), the
    within-patient factor, so long records do not outweigh short ones; IPF: ln(N / admissions with
    the code); c: ln(1 + A / F), the inverse frequency over clusters of c-TF-IDF (Grootendorst
    2022), where F is the sum of the code's DF over clusters and A the mean of F over codes.
    The shape follows the published method's template (Smith et al. 2025, npj Digital Medicine 8,
    453) as this project's reference describes it: factors in these words, not its source code.
    """
    counts = ClusterCounts.of(coded, labels)
    shares = (1.0 / coded.lengths)[coded.admissions]
    of_entry = labels[coded.admissions]
    kept = of_entry >= 0
    totals = np.zeros(counts.having.shape)
    np.add.at(totals, (of_entry[kept], coded.positions[kept]), shares[kept])
    within = totals / np.maximum(counts.sizes, 1)[:, None]
    frequency = within.sum(axis=0)
    among = frequency[frequency > 0]
    average = float(among.mean()) if len(among) else 0.0
    inverse = np.zeros_like(frequency)
    np.divide(average, frequency, out=inverse, where=frequency > 0)
    return np.asarray(within * _rarity(counts) * np.log1p(inverse), dtype=np.float64)


def _rarity(counts: ClusterCounts) -> FloatVector:
    """Return ln(N / admissions with the code), 0 for a code that nobody has."""
    everywhere = counts.having.sum(axis=0)
    total = counts.sizes.sum()
    return np.where(everywhere > 0, np.log(total / np.maximum(everywhere, 1)), 0.0)


def disease_weights(
    coded: CodedAdmissions, labels: Labels, *, minimum_admissions: int
) -> pl.DataFrame:
    """Return one row a cluster and code (WEIGHT_COLUMNS), by cluster and rank.

    Codes that fewer than `minimum_admissions` admissions have are left out, and with them their
    tests. Prevalence ratio: in the cluster against all other admissions, interval by Katz et al.
    1978, with 0.5 added to every cell when a cell is empty (Haldane); p by Fisher's exact test, two
    sided; false discovery rate over all clusters and codes (Benjamini & Hochberg 1995). `rank`
    orders a cluster's codes by published weight, ties by code. Without a second cluster there is
    nothing to compare: ratio and p are null.
    """
    counts = ClusterCounts.of(coded, labels)
    kept = np.flatnonzero(counts.having.sum(axis=0) >= minimum_admissions)
    published = published_weights(counts)
    template = template_weights(coded, labels)
    names = np.array(coded.codes)
    rows = [
        {
            "cluster": cluster,
            "code": str(names[code]),
            **_comparison(counts, cluster, int(code)),
            "published_weight": float(published[cluster, code]),
            "template_weight": float(template[cluster, code]),
        }
        for cluster in range(len(counts.sizes))
        for code in kept
    ]
    schema = {name: WEIGHT_COLUMNS[name] for name in WEIGHT_COLUMNS if name not in _ADDED}
    frame = pl.DataFrame(rows, schema=schema)
    return _ranked(frame).select(list(WEIGHT_COLUMNS))


_ADDED = ("false_discovery_rate", "rank")


def _ranked(frame: pl.DataFrame) -> pl.DataFrame:
    from scipy.stats import false_discovery_control

    tested = frame["p_value"].drop_nulls()
    corrected = false_discovery_control(tested.to_numpy()) if len(tested) else np.empty(0)
    rates = pl.Series(
        "false_discovery_rate",
        corrected if len(tested) else [None] * frame.height,
        dtype=pl.Float64,
    )
    ordered = frame.with_columns(rates).sort(
        ["cluster", "published_weight", "code"], descending=[False, True, False]
    )
    return ordered.with_columns(
        pl.int_range(1, pl.len() + 1).over("cluster").cast(pl.Int64).alias("rank")
    )


def _comparison(counts: ClusterCounts, cluster: int, code: int) -> dict[str, float | int | None]:
    """Return counts and prevalence ratio of a code in a cluster against elsewhere."""
    having, size = int(counts.having[cluster, code]), int(counts.sizes[cluster])
    elsewhere = int(counts.having[:, code].sum()) - having
    elsewhere_size = int(counts.sizes.sum()) - size
    known = {
        "admissions": having,
        "cluster_size": size,
        "elsewhere": elsewhere,
        "elsewhere_size": elsewhere_size,
        "prevalence": having / size if size else 0.0,
    }
    if not size or not elsewhere_size:
        return {**known, **dict.fromkeys(("prevalence_ratio", "lower", "upper", "p_value"))}
    ratio, lower, upper = prevalence_ratio(having, size, elsewhere, elsewhere_size)
    p_value = _fisher(having, size, elsewhere, elsewhere_size)
    return {**known, "prevalence_ratio": ratio, "lower": lower, "upper": upper, "p_value": p_value}


def prevalence_ratio(
    having: int, size: int, elsewhere: int, elsewhere_size: int
) -> tuple[float, float, float]:
    """Return the ratio of two prevalences and its 95 % limits (Katz et al. 1978).

    0.5 is added to all four cells when one is empty (Haldane's correction).
    """
    cells = (having, size - having, elsewhere, elsewhere_size - elsewhere)
    added = 0.5 if min(cells) == 0 else 0.0
    first, rest, second, others = (cell + added for cell in cells)
    ratio = (first / (first + rest)) / (second / (second + others))
    error = np.sqrt(1 / first - 1 / (first + rest) + 1 / second - 1 / (second + others))
    return ratio, float(ratio * np.exp(-Z95 * error)), float(ratio * np.exp(Z95 * error))


def _fisher(having: int, size: int, elsewhere: int, elsewhere_size: int) -> float:
    from scipy.stats import fisher_exact

    table = [[having, size - having], [elsewhere, elsewhere_size - elsewhere]]
    # Rounding can leave the sum of probabilities a hair above 1.
    return float(min(1.0, fisher_exact(table).pvalue))


def cluster_names(weights: pl.DataFrame, descriptions: Mapping[str, str]) -> dict[int, str]:
    """Return a name for each cluster: the descriptions of the two codes that mark it most.

    A marking code is more frequent in the cluster than elsewhere at a false discovery rate of
    0.05; of these the highest published weights win. A cluster without any is `no marking code`.
    """
    names = {}
    for (cluster,), rows in weights.sort("cluster", "rank").group_by(
        "cluster", maintain_order=True
    ):
        marking = rows.filter(
            (pl.col("prevalence_ratio") > 1) & (pl.col("false_discovery_rate") < _MARKING_FDR)
        )["code"].head(2)
        words = [f"{descriptions.get(code) or 'no description'} ({code})" for code in marking]
        names[int(str(cluster))] = "; ".join(words) or "no marking code"
    return names


def described_weights(
    coded: CodedAdmissions,
    labels: Labels,
    descriptions: Mapping[str, str],
    *,
    minimum_admissions: int,
) -> pl.DataFrame:
    """Return `disease_weights` with the description of each row's own code beside it."""
    weights = disease_weights(coded, labels, minimum_admissions=minimum_admissions)
    texts = pl.Series("description", [descriptions.get(c) for c in weights["code"]], pl.String)
    return weights.select("cluster", "code", texts, *list(WEIGHT_COLUMNS)[2:])
