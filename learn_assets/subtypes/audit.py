"""Audit: clusters that failed it are shown nowhere, whoever asks for the tables after them."""

from __future__ import annotations

import polars as pl

from learn_assets.lake import Lake
from learn_assets.study.subtypes import SEXES


class NuisanceError(RuntimeError):
    """Clusters follow from how records were kept; the message says of which sex and the remedy."""


def assert_audited(lake: Lake) -> None:
    """Raise NuisanceError when the clusters of a sex failed the audit.

    A check of Dagster stops what follows in its own run only; this stops later runs too.
    """
    for sex in SEXES:
        audit = lake.read("nuisance_audit", sex)
        failed = audit.filter(pl.col("blocking") & ~pl.col("below_maximum"))
        if failed.height:
            raise NuisanceError(
                f"clusters of sex {sex} follow from the number of diagnoses (adjusted mutual "
                f"information {failed['adjusted_mutual_information'][0]:.2f}, allowed below "
                f"{failed['maximum'][0]:.2f}); use `pooling: length_invariant` in `clusters`"
            )
