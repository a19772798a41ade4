"""Words: which words of the descriptions stand out in a cluster; they name no code."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np
import polars as pl

# Words of the classification's grammar, which say nothing of what somebody has.
_GRAMMAR = frozenset(
    (
        "and", "any", "due", "encounter", "for", "from", "initial", "into", "level", "not",
        "other", "others", "elsewhere", "classified", "specified", "than", "that", "the",
        "type", "unspecified", "use", "with", "without", "known", "nec", "nos",
    )
)  # fmt: skip
_SHORTEST = 3


def dominant_words(weights: pl.DataFrame, most: int = 5) -> Mapping[int, tuple[str, ...]]:
    """Return the words with the greatest class-based TF-IDF of each cluster, ties by the alphabet.

    weights: `disease_weights`. A word counts once for each admission and code whose description
    has it; frequency in the cluster times ln(1 + A / frequency over clusters), A the mean total of
    a cluster (Grootendorst 2022).
    """
    counted: dict[str, dict[int, float]] = {}
    for cluster, description, admissions in weights.select(
        "cluster", "description", "admissions"
    ).iter_rows():
        for word in _words(description or ""):
            by_cluster = counted.setdefault(word, {})
            by_cluster[cluster] = by_cluster.get(cluster, 0.0) + admissions
    clusters = weights["cluster"].unique().sort().to_list()
    totals = {c: sum(found.get(c, 0.0) for found in counted.values()) for c in clusters}
    average = float(np.mean(list(totals.values()))) if totals else 0.0

    def weight(word: str, cluster: int) -> float:
        everywhere = sum(counted[word].values())
        if not everywhere or not totals[cluster]:
            return 0.0
        share = counted[word].get(cluster, 0.0) / totals[cluster]
        return share * float(np.log1p(average / everywhere))

    def ranked(cluster: int) -> tuple[str, ...]:
        scored = sorted((-weight(word, cluster), word) for word in counted)
        return tuple(word for score, word in scored[:most] if score < 0)

    return {cluster: ranked(cluster) for cluster in clusters}


def _words(description: str) -> set[str]:
    found = re.findall(r"[a-z]+(?:-[a-z]+)*", description.lower())
    return {word for word in found if len(word) >= _SHORTEST and word not in _GRAMMAR}
