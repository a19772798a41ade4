"""Findings: rows of the table `data_quality` for whoever shows them; already disclosure-safe."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import polars as pl

from learn_assets.study.expectations import Bound, Category, Severity, Unit

_BOUNDS = {"at_least": "≥", "at_most": "≤"}


@dataclass(frozen=True)
class Finding:
    """One expectation, what was found, and whether it holds (None: not judged)."""

    name: str
    category: Category
    subcategory: str | None
    table: str
    measure: str
    unit: Unit
    bound: Bound
    threshold: float
    value: float | None
    shown: str
    records: int | None
    severity: Severity
    passed: bool | None
    detail: str | None

    @property
    def expected(self) -> str:
        """Return the threshold in words, such as `≥ 95 %`."""
        limit = f"{100 * self.threshold:g} %" if self.unit == "share" else f"{self.threshold:g}"
        return f"{_BOUNDS[self.bound]} {limit}"

    @property
    def found(self) -> str:
        """Return what was found in words, with the months it is about."""
        return f"{self.shown} ({self.detail})" if self.detail and self.value else self.shown

    @property
    def is_error(self) -> bool:
        """Return whether it stops what is made from the data."""
        return self.passed is False and self.severity == "error"


def findings(data_quality: pl.DataFrame) -> tuple[Finding, ...]:
    """Return the rows of the table in its order."""
    return tuple(Finding(**row) for row in data_quality.iter_rows(named=True))


def failed(found: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return what does not hold, errors first, otherwise in the order given."""
    wrong = [finding for finding in found if finding.passed is False]
    return tuple(sorted(wrong, key=lambda finding: not finding.is_error))
