"""Statistics of two-way tables: intervals, exact tests where counts are small, corrected p values.

What belongs here: functions of counts, without knowledge of what is counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from learn_assets.evaluation.comparison import holm
from learn_assets.statistics.discrimination import Interval, auroc

_SMALL = 5.0

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class TableTest:
    """A test of independence; `p_exact` stands where an expected count is below 5, else None.

    `p_used` is the exact p where there is one. All are None when a row or column is empty, so that
    there is nothing to compare.
    """

    statistic: float | None
    degrees: int | None
    p_value: float | None
    p_exact: float | None

    @property
    def p_used(self) -> float | None:
        """Return the p value to believe: exact where counts are small."""
        return self.p_value if self.p_exact is None else self.p_exact


def independence(table: Counts, *, yates: bool = False, seed: int = 0) -> TableTest:
    """Return the chi-square test of an r x c table of counts.

    yates: Yates' continuity correction (2 x 2 only, Yates 1934). Where an expected count is below 5
    the exact p: Fisher's test for 2 x 2, else its extension by Freeman & Halton (1951) over 9,999
    seeded tables with the same margins. Empty rows and columns are left out.
    """
    from scipy.stats import MonteCarloMethod, chi2_contingency, fisher_exact

    filled = table[table.sum(axis=1) > 0][:, table.sum(axis=0) > 0]
    if min(filled.shape, default=0) < 2:
        return TableTest(None, None, None, None)
    tested = chi2_contingency(filled, correction=yates)
    p_exact = None
    if float(tested.expected_freq.min()) < _SMALL:
        if filled.shape == (2, 2):
            p_exact = float(fisher_exact(filled).pvalue)
        else:
            drawn = MonteCarloMethod(rng=np.random.default_rng(seed))
            p_exact = float(fisher_exact(filled, method=drawn).pvalue)
    return TableTest(float(tested.statistic), int(tested.dof), float(tested.pvalue), p_exact)


def cramers_v(table: Counts) -> Interval | None:
    """Return Cramer's V with the interval from the noncentral chi-square (Smithson 2003).

    None when a row or column is all there is.
    """
    from scipy.optimize import brentq
    from scipy.stats import ncx2

    tested = independence(table)
    if tested.statistic is None or tested.degrees is None:
        return None
    total = float(table.sum())
    filled = table[table.sum(axis=1) > 0][:, table.sum(axis=0) > 0]
    smallest = min(filled.shape) - 1

    def noncentrality(level: float) -> float:
        def above(value: float) -> float:
            return float(ncx2.cdf(tested.statistic, tested.degrees, value)) - level

        return 0.0 if above(1e-9) < 0 else float(brentq(above, 1e-9, 10 * total * smallest + 100))

    def as_v(value: float) -> float:
        return min(1.0, float(np.sqrt(value / (total * smallest))))

    degrees = float(tested.degrees)
    # The noncentrality estimates chi-square minus its degrees of freedom.
    lower, upper = (noncentrality(level) for level in (0.975, 0.025))
    limits = (as_v(lower + degrees if lower else 0.0), as_v(upper + degrees))
    return Interval(as_v(tested.statistic), *limits)


def superiority(first: npt.NDArray[np.float64], second: npt.NDArray[np.float64]) -> Interval | None:
    """Return P(first > second) + P(equal) / 2 with DeLong's interval; None when one is empty.

    This is the Mann-Whitney U statistic over the number of pairs.
    """
    if not (first.size and second.size):
        return None
    values = np.concatenate([first, second])
    labels = np.concatenate([np.ones(first.size, np.int8), np.zeros(second.size, np.int8)])
    return auroc(values, labels)


def holm_corrected(p_values: Sequence[float | None]) -> list[float | None]:
    """Return Holm's corrected p values (1979); a missing one stays missing and counts for none."""
    known = [p for p in p_values if p is not None]
    return _put_back(p_values, holm(known))


def benjamini_hochberg(p_values: Sequence[float | None]) -> list[float | None]:
    """Return Benjamini & Hochberg's corrected p values (1995); a missing one stays missing."""
    from scipy.stats import false_discovery_control

    known = [p for p in p_values if p is not None]
    return _put_back(p_values, false_discovery_control(known).tolist() if known else [])


def _put_back(p_values: Sequence[float | None], corrected: Sequence[float]) -> list[float | None]:
    remaining = iter(corrected)
    return [None if p is None else next(remaining) for p in p_values]
