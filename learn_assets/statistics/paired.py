"""Paired differences: two scores of the same patients, by AUROC and by Brier score."""

from __future__ import annotations

import numpy as np

from learn_assets.statistics.discrimination import FloatVector, Interval, Labels, delong, wald


def auroc_difference(
    first: FloatVector,
    second: FloatVector,
    labels: Labels,
    groups: Labels | None = None,
) -> Interval:
    """Return AUROC of `first` minus that of `second` with its paired DeLong interval (Wald).

    groups (n): cases are compared with controls of their own group only, as `delong` does within
    folds. Limits are NaN with one case or control only; OneClassError when no group holds both.
    """
    result = delong(np.stack([first, second]), labels, groups)
    contrast = np.array([1.0, -1.0])
    estimate = float(contrast @ result.estimates)
    # Equal scores leave a variance of rounding only, which may fall below zero.
    variance = float(contrast @ result.covariance @ contrast)
    return wald(estimate, max(variance, 0.0) if np.isfinite(variance) else variance)


def brier_difference(first: FloatVector, second: FloatVector, labels: Labels) -> Interval:
    """Return the Brier score of `first` minus that of `second`, interval of a paired mean.

    Below 0, `first` is the better calibrated or sharper one. Limits are NaN for one patient.
    """
    gap = (first - labels) ** 2 - (second - labels) ** 2
    if len(gap) < 2:
        return Interval(float(gap.mean()), float("nan"), float("nan"))
    return wald(float(gap.mean()), float(gap.var(ddof=1)) / len(gap))
