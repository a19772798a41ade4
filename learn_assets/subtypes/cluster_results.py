"""Results of the clusters of both sexes, read from the lake once for tables, figures and page."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from learn_assets.lake import Lake
from learn_assets.study.subtypes import SEXES, SubtypeStudy
from learn_assets.subtypes.audit import assert_audited
from learn_assets.subtypes.evidence import MAIN
from learn_assets.subtypes.validation import readmissions
from learn_assets.subtypes.weights import cluster_names

SEX_WORDS = {"F": "female", "M": "male"}


@dataclass(frozen=True)
class SexClusters:
    """One sex: its admissions with their cluster, and the tables about these clusters.

    `admissions`: the discharges of the sex with `cluster` (-1: none) and `readmission`.
    """

    sex: str
    admissions: pl.DataFrame
    selection: pl.DataFrame
    verdicts: pl.DataFrame
    audit: pl.DataFrame
    weights: pl.DataFrame
    validation: pl.DataFrame
    replication: pl.DataFrame
    minimum_cell: int

    @property
    def word(self) -> str:
        """Return the sex as a word."""
        return SEX_WORDS[self.sex]

    @property
    def clusters(self) -> list[int]:
        """Return the numbers of the clusters in order."""
        found = self.admissions.filter(pl.col("cluster") >= 0)["cluster"]
        return found.unique().sort().to_list()

    @property
    def structure(self) -> bool:
        """Return whether the verdict is that there are clusters."""
        return bool(self.verdict["structure"])

    @property
    def verdict(self) -> dict[str, object]:
        """Return the verdict on what the study clusters."""
        return self.verdicts.row(by_predicate=pl.col("representation") == MAIN, named=True)

    def label(self, cluster: int) -> str:
        """Return how readers see a cluster: the sex and its place by size, from 1."""
        return f"{self.sex}{cluster + 1}"

    @property
    def names(self) -> dict[int, str]:
        """Return the name of each cluster: the codes that mark it, with their own descriptions.

        A code of few admissions in the cluster names nothing: it would point at them.
        """
        known = self.weights.filter(pl.col("admissions") >= self.minimum_cell)
        texts = known.drop_nulls("description").select("code", "description").unique()
        found = cluster_names(known, dict(texts.iter_rows()))
        return {cluster: found.get(cluster, "no marking code") for cluster in self.clusters}


@dataclass(frozen=True)
class SubtypeResults:
    """Both sexes and which of their clusters are alike."""

    sexes: tuple[SexClusters, ...]
    match: pl.DataFrame
    minimum_cell: int

    def of(self, sex: str) -> SexClusters:
        """Return one sex."""
        return next(one for one in self.sexes if one.sex == sex)


def collect_clusters(study: SubtypeStudy, lake: Lake) -> SubtypeResults:
    """Return the results in the lake.

    MissingTableError when one has not been made; NuisanceError when clusters failed their audit.
    """
    assert_audited(lake)
    discharges = lake.read("discharges")
    minimum = study.privacy.minimum_cell
    sexes = tuple(_of_sex(lake, discharges, sex, minimum) for sex in SEXES)
    return SubtypeResults(sexes, lake.read("subtype_match"), minimum)


def _of_sex(lake: Lake, discharges: pl.DataFrame, sex: str, minimum_cell: int) -> SexClusters:
    members = lake.read("subtypes", sex).select("admission_id", "cluster")
    of_sex = discharges.filter(pl.col("sex") == sex)
    of_sex = of_sex.with_columns(readmission=readmissions(of_sex))

    def table(name: str) -> pl.DataFrame:
        return lake.read(name, sex)

    return SexClusters(
        sex,
        admissions=of_sex.join(members, on="admission_id", how="left", maintain_order="left"),
        selection=table("cluster_selection"),
        verdicts=table("cluster_verdict"),
        audit=table("nuisance_audit"),
        weights=table("disease_weights"),
        validation=table("subtype_validation"),
        replication=table("subtype_replication"),
        minimum_cell=minimum_cell,
    )
