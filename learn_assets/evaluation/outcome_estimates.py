"""Estimates about outcomes over time, and the groups of a score that they are made in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from learn_assets.statistics.discrimination import FloatVector, Interval, limits_of


@dataclass(frozen=True)
class Estimate:
    """A measure by a day and of a group of patients, or why there is none."""

    metric: str
    value: Interval | float | None
    horizon_days: int | None = None
    group: int | None = None
    reason: str | None = None

    @property
    def row(self) -> dict[str, object]:
        """The estimate as a table holds it."""
        return {
            "metric": self.metric,
            "group": self.group,
            "horizon_days": self.horizon_days,
            **limits_of(self.value),
            "reason": self.reason,
        }


def score_groups(score: FloatVector, groups: int) -> npt.NDArray[np.int64]:
    """Return the group of each score, 1 (lowest) to `groups`, of equal size; ties stay together."""
    if not len(score):
        return np.zeros(0, dtype=np.int64)
    from scipy.stats import rankdata

    place = (rankdata(score, method="average") - 0.5) / len(score)
    return np.asarray(np.minimum((place * groups).astype(np.int64) + 1, groups))
