"""Evidence: what was tried to choose the number of clusters, and the verdict, as tables.

What belongs here: the tables `cluster_selection` and `cluster_verdict`. The rule itself stands in
`selection.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

import polars as pl

from learn_assets.schemas.registry import empty_frame
from learn_assets.study.clusters import ClusterOptions
from learn_assets.subtypes.admissions import SexAdmissions
from learn_assets.subtypes.representations import Representation
from learn_assets.subtypes.selection import Selection, clusters_to_fit, select_count
from learn_assets.subtypes.spaces import MINIMUM_ADMISSIONS, enough_admissions

MAIN, BASELINE = "main", "baseline"
ROLES = (MAIN, BASELINE)


def select_counts(
    admissions: SexAdmissions,
    representations: Mapping[str, Representation],
    options: ClusterOptions,
) -> dict[str, Selection]:
    """Return the verdict of each representation by role; too few admissions have no structure."""
    if not enough_admissions(admissions):
        nothing = Selection(1, 1.0, options.significance, options.null_files, (), None, None)
        return dict.fromkeys(representations, nothing)
    return {
        role: select_count(admissions.coded, representation, options, admissions.patients)
        for role, representation in representations.items()
    }


def selection_frame(sex: str, selections: Mapping[str, Selection]) -> pl.DataFrame:
    """Return the table `cluster_selection`: one row a representation and count tried."""
    rows = [
        {
            "sex": sex,
            "representation": role,
            **asdict(one),
            "stable": one.stable,
            "supported": one.supported,
            "chosen": one.count == selection.count,
        }
        for role, selection in selections.items()
        for one in selection.evidence
    ]
    return pl.DataFrame(rows, schema=empty_frame("cluster_selection").schema)


def verdict_frame(
    admissions: SexAdmissions,
    names: Mapping[str, str],
    selections: Mapping[str, Selection],
    options: ClusterOptions,
) -> pl.DataFrame:
    """Return the table `cluster_verdict`: one row a representation.

    names: role -> name of the representation.
    """
    rows = [
        {
            "sex": admissions.sex,
            "representation": role,
            "name": names[role],
            "clusterer": options.clusterer,
            "admissions": min(len(admissions), options.maximum_admissions),
            "structure": selection.structure,
            "count": selection.count,
            "ceiling_hit": selection.ceiling_hit,
            "clusters": clusters_to_fit(selection, options),
            "p_value": selection.p_value,
            "null_files": selection.null_files,
            "resamples": options.resamples,
            "smallest_count": options.smallest_count,
            "largest_count": options.largest_count,
            "gap_count": selection.gap_count,
            **_published(selection),
            "verdict": _verdict(admissions, selection),
        }
        for role, selection in selections.items()
    ]
    return pl.DataFrame(rows, schema=empty_frame("cluster_verdict").schema)


def _published(selection: Selection) -> dict[str, object]:
    verdict = selection.published
    if verdict is None:
        return {"published_count": None, "published_ceiling_hit": None, "published_verdict": None}
    return {
        "published_count": verdict.count,
        "published_ceiling_hit": verdict.ceiling_hit,
        "published_verdict": verdict.sentence,
    }


def _verdict(admissions: SexAdmissions, selection: Selection) -> str:
    if not enough_admissions(admissions):
        return f"No clusters were looked for: there are fewer than {MINIMUM_ADMISSIONS} admissions."
    return selection.sentence
