"""Published rule: how the published study chose its number of clusters, kept to be compared with.

Ward's method on five subsamples of 1 %, mean silhouette, K from 2 to 10, the best K wins. It always
finds a number, on noise too; `selection.py` has the rule that may find none.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from learn_assets.subtypes.clustering import FloatMatrix
from learn_assets.subtypes.stability import distance_matrix, silhouette

SUBSAMPLES = 5
SHARE = 0.01
# 1 % of the published file; a smaller file is sampled as thinly as that, not to nothing.
SMALLEST_SUBSAMPLE = 24
COUNTS = range(2, 11)


@dataclass(frozen=True)
class PublishedVerdict:
    """What the rule says: the count, its mean silhouette, and whether it is the last one tried."""

    count: int
    silhouette: float
    subsample: int
    ceiling_hit: bool

    @property
    def sentence(self) -> str:
        """Return the verdict in words."""
        ceiling = ", the last one it tries" if self.ceiling_hit else ""
        return (
            f"The published rule says {self.count} clusters{ceiling} (silhouette "
            f"{self.silhouette:.2f} on {SUBSAMPLES} subsamples of {self.subsample} admissions); "
            "it has no way to say none."
        )


def published_rule(vectors: FloatMatrix, seed: int) -> PublishedVerdict:
    """Return the count that the published rule chooses; the publication set no seed.

    ValueError with fewer vectors than a subsample needs (24).
    """
    from scipy.cluster.hierarchy import fcluster, ward

    size = max(SMALLEST_SUBSAMPLE, int(SHARE * len(vectors)))
    if len(vectors) < size:
        raise ValueError(f"the published rule needs {size} admissions, there are {len(vectors)}")
    generator = np.random.default_rng(seed)
    widths = np.zeros((SUBSAMPLES, len(COUNTS)))
    for subsample in range(SUBSAMPLES):
        chosen = vectors[generator.choice(len(vectors), size, replace=False)]
        tree, distances = ward(chosen.astype(np.float64)), distance_matrix(chosen)
        for column, count in enumerate(COUNTS):
            labels = fcluster(tree, count, criterion="maxclust").astype(np.int64)
            widths[subsample, column] = silhouette(distances, labels)
    # Identical vectors can leave a subsample in one cluster, which has no silhouette.
    means = np.nan_to_num(np.ma.masked_invalid(widths).mean(axis=0).filled(-1.0), nan=-1.0)
    best = int(means.argmax())
    count = COUNTS[best]
    return PublishedVerdict(count, float(means[best]), size, count == COUNTS[-1])
