"""Shares: Wilson's interval of one, and Newcombe's of the difference of two."""

from __future__ import annotations

import numpy as np

from learn_assets.statistics.discrimination import Z95, Interval


def wilson(successes: int, trials: int) -> Interval:
    """Return a share with its 95 % score interval (Wilson 1927). ZeroDivisionError without any."""
    share, square = successes / trials, Z95**2
    center = (share + square / (2 * trials)) / (1 + square / trials)
    spread = np.sqrt(share * (1 - share) / trials + square / (4 * trials**2))
    half = Z95 * float(spread) / (1 + square / trials)
    return Interval(share, max(0.0, center - half), min(1.0, center + half))


def newcombe(first: Interval, second: Interval) -> Interval:
    """Return the difference of two independent shares with Wilson intervals.

    Method: hybrid score interval, Newcombe 1998 (method 10).
    """
    gap = first.estimate - second.estimate
    below = np.hypot(first.estimate - first.lower, second.upper - second.estimate)
    above = np.hypot(first.upper - first.estimate, second.estimate - second.lower)
    return Interval(gap, gap - float(below), gap + float(above))
