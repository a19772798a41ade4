"""Selection: how many clusters there are, if any, with the evidence for every count tried.

What belongs here: the rule and its verdict in words. `docs/decisions/0017` says why it is this one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from learn_assets.modeling.threads import fit_pool
from learn_assets.study.clusters import ClusterOptions
from learn_assets.subtypes.clustering import CLUSTERERS, Clusterer, Clusters, FloatMatrix
from learn_assets.subtypes.coded import CodedAdmissions
from learn_assets.subtypes.null_reference import NullComparison, compare_with_null
from learn_assets.subtypes.published_rule import PublishedVerdict, published_rule
from learn_assets.subtypes.representations import Representation
from learn_assets.subtypes.stability import (
    Resampling,
    Stability,
    bootstrap_stability,
    prediction_strength,
    sampled_rows,
)

# Hennig 2007: from 0.75 on a cluster counts as found again; at 0.5 it dissolves.
STABLE_MEAN = 0.75
STABLE_LOWEST = 0.5
# Fewer standard deviations above null files are no surprise when 24 counts are looked at.
MINIMUM_EXCESS = 3.0


@dataclass(frozen=True)
class CountEvidence:
    """What speaks for one number of clusters."""

    count: int
    silhouette: float
    null_silhouette: float
    excess: float
    gap: float
    gap_error: float
    mean_jaccard: float
    lowest_jaccard: float
    rand: float
    prediction_strength: float

    @property
    def stable(self) -> bool:
        """Whether all clusters come back in resamples."""
        return self.mean_jaccard >= STABLE_MEAN and self.lowest_jaccard >= STABLE_LOWEST

    @property
    def supported(self) -> bool:
        """Whether they are stable and lie further apart than in null files.

        Either alone misleads: a few common principal diagnoses make stable clusters of codes that
        come together at random, and a single odd group lies far apart at counts that split it.
        """
        return self.stable and self.excess >= MINIMUM_EXCESS


@dataclass(frozen=True)
class Selection:
    """The verdict: `count` clusters, 1 when there is no structure."""

    count: int
    p_value: float
    significance: float
    null_files: int
    evidence: tuple[CountEvidence, ...]
    gap_count: int | None
    published: PublishedVerdict | None

    @property
    def structure(self) -> bool:
        """Whether there is more than one cluster."""
        return self.count > 1

    @property
    def ceiling_hit(self) -> bool:
        """Whether the chosen count is the largest tried, so that more might fit better."""
        return self.structure and len(self.evidence) > 1 and self.count == self.evidence[-1].count

    @property
    def chosen(self) -> CountEvidence | None:
        """Return the evidence for the chosen count, None when there is no structure."""
        return next((one for one in self.evidence if one.count == self.count), None)

    @property
    def sentence(self) -> str:
        """Return the verdict in words."""
        return _structure_words(self) if self.structure else _none_words(self)


def select_count(
    coded: CodedAdmissions,
    representation: Representation,
    options: ClusterOptions,
    patients: npt.NDArray[np.int64] | None = None,
) -> Selection:
    """Choose the number of clusters of coded admissions.

    Structure: clusters lie further apart than in null files (p of the largest excess over all
    counts at most `significance`) and some count is supported. Of the supported counts the one
    whose silhouette exceeds that of null files by most is chosen. Measured on at most
    `maximum_admissions`, drawn by the seed; the same algorithm clusters everywhere.

    patients: a number (n) for the patient of each admission, when the file links them; resamples
    then draw patients, as admissions of one patient are not independent.
    """
    rows = sampled_rows(len(coded), options.maximum_admissions, options.seed)
    sample = coded.take(rows)
    drawn = None if patients is None else patients[rows]
    vectors = representation.fit(sample).transform(sample)
    clusterer = CLUSTERERS[options.clusterer]
    counts = _counts(vectors, clusterer, options)
    published = _published(vectors, options)
    if not counts:
        return Selection(1, 1.0, options.significance, options.null_files, (), None, published)
    with fit_pool(None, uses_torch=False) as pool:
        null = compare_with_null(
            sample,
            representation,
            clusterer,
            counts,
            null_files=options.null_files,
            seed=options.seed,
            pool=pool,
        )
        stabilities = [
            bootstrap_stability(
                vectors,
                clusterer.fit(vectors, count, options.seed).labels,
                count,
                clusterer,
                resampling_of(options),
                patients=drawn,
                pool=pool,
            )
            for count in counts
        ]
        strengths = list(
            pool.map(
                lambda k: prediction_strength(vectors, k, clusterer, seed=options.seed), counts
            )
        )
    evidence = _evidence(null, stabilities, strengths)
    return Selection(
        _chosen(evidence, null.p_value, options),
        null.p_value,
        options.significance,
        options.null_files,
        evidence,
        null.gap_count,
        published,
    )


def resampling_of(options: ClusterOptions) -> Resampling:
    """Return how the study's resamples are drawn."""
    return Resampling(
        options.resamples, options.smallest_share, options.largest_share, seed=options.seed
    )


def clusters_to_fit(selection: Selection, options: ClusterOptions) -> int:
    """Return how many clusters the study asks for: the verdict's, or those of the published rule.

    Without structure everyone is in one cluster.
    """
    if options.selection == "published" and selection.published is not None:
        return selection.published.count
    return selection.count


def fit_clusters(vectors: FloatMatrix, count: int, options: ClusterOptions) -> Clusters:
    """Return all vectors in `count` clusters, by the study's algorithm."""
    clusterer = CLUSTERERS[options.clusterer]
    if count == 1:
        # K-means of one cluster is the mean, whatever algorithm the study names.
        return CLUSTERERS["kmeans"].fit(vectors, 1, options.seed, starts=1)
    return clusterer.fit(vectors, count, options.seed, starts=options.starts)


def _counts(vectors: FloatMatrix, clusterer: Clusterer, options: ClusterOptions) -> list[int]:
    """Return the counts to try: each resample must hold a few vectors a cluster."""
    if clusterer.chooses_count:
        found = clusterer.fit(vectors, 0, options.seed).count
        return [found] if found > 1 else []
    most = int(options.smallest_share * len(vectors)) // 3
    return list(range(options.smallest_count, min(options.largest_count, most) + 1))


def _published(vectors: FloatMatrix, options: ClusterOptions) -> PublishedVerdict | None:
    try:
        return published_rule(vectors, options.seed)
    except ValueError:
        return None


def _evidence(
    null: NullComparison, stabilities: list[Stability], strengths: list[float]
) -> tuple[CountEvidence, ...]:
    return tuple(
        CountEvidence(
            count=count,
            silhouette=null.silhouette[i],
            null_silhouette=null.null_silhouette[i],
            excess=null.excess[i],
            gap=null.gap[i],
            gap_error=null.gap_error[i],
            mean_jaccard=stabilities[i].mean_jaccard,
            lowest_jaccard=stabilities[i].lowest_jaccard,
            rand=stabilities[i].rand,
            prediction_strength=strengths[i],
        )
        for i, count in enumerate(null.counts)
    )


def _chosen(evidence: tuple[CountEvidence, ...], p_value: float, options: ClusterOptions) -> int:
    supported = [one for one in evidence if one.supported]
    if p_value > options.significance or not supported:
        return 1
    beyond = np.array([one.silhouette - one.null_silhouette for one in supported])
    return supported[int(beyond.argmax())].count


def _structure_words(selection: Selection) -> str:
    chosen = selection.chosen
    if chosen is None:
        raise ValueError("structure without evidence for the chosen count")
    ceiling = (
        " This is the largest count tried: raise `largest_count`." if selection.ceiling_hit else ""
    )
    return (
        f"Structure: {chosen.count} clusters. Silhouette {chosen.silhouette:.2f}, against "
        f"{chosen.null_silhouette:.2f} when the codes are dealt at random "
        f"(p {_p_words(selection)}); in resamples the clusters come back with Jaccard "
        f"{chosen.mean_jaccard:.2f} on average and {chosen.lowest_jaccard:.2f} at worst.{ceiling}"
    )


def _none_words(selection: Selection) -> str:
    if not selection.evidence:
        return "No structure: the algorithm finds fewer than two clusters."
    if selection.p_value > selection.significance:
        reason = (
            "clusters lie no further apart than when the codes are dealt at random "
            f"(p {_p_words(selection)})"
        )
    elif not any(one.stable for one in selection.evidence):
        best = max(selection.evidence, key=lambda one: one.mean_jaccard)
        reason = (
            f"no count gives clusters that come back in resamples (best: {best.count}, with "
            f"Jaccard {best.mean_jaccard:.2f} on average and {best.lowest_jaccard:.2f} at worst)"
        )
    else:
        reason = (
            "codes come together more than at random, but no count gives clusters that both come "
            "back in resamples and lie further apart for it"
        )
    return f"No structure: {reason}."


def _p_words(selection: Selection) -> str:
    smallest = 1 / (selection.null_files + 1)
    if selection.p_value <= smallest:
        return f"<= {smallest:.2g}"
    return f"= {selection.p_value:.2g}"
