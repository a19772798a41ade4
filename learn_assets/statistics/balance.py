"""Balance: standardized differences between two groups of patients, free of their sizes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from learn_assets.statistics.discrimination import FloatVector


def standardized_mean_difference(first: FloatVector, second: FloatVector) -> float | None:
    """Return (mean first - mean second) / sqrt of the mean of both variances; NaNs are left out.

    None when a group has fewer than two values or neither varies. Method: Austin 2009.
    """
    groups = [values[np.isfinite(values)] for values in (first, second)]
    if min(map(len, groups)) < 2:
        return None
    spread = np.sqrt(np.mean([values.var(ddof=1) for values in groups]))
    if spread == 0:
        return None
    return float((groups[0].mean() - groups[1].mean()) / spread)


def standardized_category_difference(first: Sequence[int], second: Sequence[int]) -> float | None:
    """Return the distance of two distributions over the same categories, 0 or more.

    first, second: patients of each category. For two categories this is the absolute standardized
    difference of a share. None when a group is empty or a category is all there is. Method: Yang &
    Dalton 2012, a Mahalanobis distance with the mean of both multinomial covariances.
    """
    counts = np.array([first, second], dtype=np.float64)
    counts = counts[:, counts.sum(axis=0) > 0]
    sizes = counts.sum(axis=1)
    if counts.shape[1] < 2 or sizes.min() == 0:
        return None
    # One category follows from the others.
    shares = (counts / sizes[:, None])[:, 1:]
    covariance = np.mean([np.diag(row) - np.outer(row, row) for row in shares], axis=0)
    gap = shares[0] - shares[1]
    if np.linalg.matrix_rank(covariance) < len(gap):
        return None
    return float(np.sqrt(gap @ np.linalg.solve(covariance, gap)))
