"""Contracts of what is found among discharges: vectors, clusters, their evidence and meaning."""

from __future__ import annotations

import pandera.polars as pa
import polars as pl

from learn_assets.schemas.records import Table

_SEXES = ["F", "M"]
_ROLES = ["main", "baseline"]
_NUMBERS = {"inner": pl.Float32}
_SEX = "F or M."


def _same_width(data: pa.PolarsData, column: str) -> pl.LazyFrame:
    lists = pl.col(column)
    alike = lists.list.len() == lists.list.len().first()
    finite = lists.list.eval(pl.element().is_finite()).list.all()
    return data.lazyframe.select(alike & finite)


class DischargeEmbeddings(Table):
    """The vector of each admission that is clustered, axes as in embedding_directions."""

    admission_id: str = pa.Field(unique=True, description="Running number of the admission.")
    vector: pl.List = pa.Field(dtype_kwargs=_NUMBERS, description="Coordinates, float32.")

    @pa.dataframe_check(name="vectors_of_one_width_and_finite")
    def _vectors_fit(cls, data: pa.PolarsData) -> pl.LazyFrame:
        return _same_width(data, "vector")


class EmbeddingDirections(Table):
    """The axes of the vectors in the space that both sexes share, one row an axis."""

    axis: pl.Int64 = pa.Field(unique=True, ge=0, description="Place in the vector, from 0.")
    direction: pl.List = pa.Field(
        dtype_kwargs=_NUMBERS, description="Direction of length 1, float32."
    )

    @pa.dataframe_check(name="directions_of_one_width_and_finite")
    def _directions_fit(cls, data: pa.PolarsData) -> pl.LazyFrame:
        return _same_width(data, "direction")


class ClusterSelection(Table):
    """What speaks for each number of clusters tried, one row a representation and count."""

    sex: str = pa.Field(isin=_SEXES, description=_SEX)
    representation: str = pa.Field(isin=_ROLES, description="What the study asks for, or TF-IDF.")
    count: pl.Int64 = pa.Field(ge=1, description="Number of clusters.")
    silhouette: pl.Float64 = pa.Field(ge=-1, le=1, description="Mean silhouette width.")
    null_silhouette: pl.Float64 = pa.Field(ge=-1, le=1, description="Mean over null files.")
    excess: pl.Float64 = pa.Field(
        description="Standard deviations by which the silhouette exceeds null files."
    )
    gap: pl.Float64 = pa.Field(description="Gap statistic against null files.")
    gap_error: pl.Float64 = pa.Field(ge=0, description="Its error.")
    mean_jaccard: pl.Float64 = pa.Field(ge=0, le=1, description="Mean over clusters, in resamples.")
    lowest_jaccard: pl.Float64 = pa.Field(ge=0, le=1, description="Of the least stable cluster.")
    rand: pl.Float64 = pa.Field(ge=-1, le=1, description="Mean adjusted Rand index in resamples.")
    prediction_strength: pl.Float64 = pa.Field(ge=0, le=1, description="Mean over random halves.")
    stable: bool = pa.Field(description="Whether all clusters come back in resamples.")
    supported: bool = pa.Field(description="Whether stable, and further apart than chance.")
    chosen: bool = pa.Field(description="Whether this is the verdict's count.")


class ClusterVerdict(Table):
    """The verdict on structure, one row a representation, and that of the published rule beside."""

    sex: str = pa.Field(isin=_SEXES, description=_SEX)
    representation: str = pa.Field(isin=_ROLES, description="What the study asks for, or TF-IDF.")
    name: str = pa.Field(description="Name of the representation.")
    clusterer: str = pa.Field(description="Algorithm.")
    admissions: pl.Int64 = pa.Field(ge=0, description="On how many the count was chosen.")
    structure: bool = pa.Field(description="Whether there is more than one cluster.")
    count: pl.Int64 = pa.Field(ge=1, description="Clusters by the verdict; 1 when there are none.")
    ceiling_hit: bool = pa.Field(description="Whether it is the largest count tried.")
    clusters: pl.Int64 = pa.Field(ge=1, description="Clusters that were made, as the study asks.")
    p_value: pl.Float64 = pa.Field(ge=0, le=1, description="Of the largest excess over counts.")
    null_files: pl.Int64 = pa.Field(ge=1, description="Files with codes dealt at random.")
    resamples: pl.Int64 = pa.Field(ge=1, description="Resamples behind the stability.")
    smallest_count: pl.Int64 = pa.Field(ge=2, description="First count tried.")
    largest_count: pl.Int64 = pa.Field(ge=2, description="Last count to be tried.")
    gap_count: pl.Int64 = pa.Field(nullable=True, ge=1, description="Count of the gap statistic.")
    published_count: pl.Int64 = pa.Field(
        nullable=True, ge=2, description="Count of the published rule; it never says none."
    )
    published_ceiling_hit: bool = pa.Field(
        nullable=True, description="Whether it is the last one that rule tries."
    )
    published_verdict: str = pa.Field(nullable=True, description="In words.")
    verdict: str = pa.Field(description="In words.")


class Subtypes(Table):
    """The cluster of each admission, one row an admission; -1 is no cluster."""

    admission_id: str = pa.Field(unique=True, description="Running number of the admission.")
    sex: str = pa.Field(isin=_SEXES, description=_SEX)
    cluster: pl.Int64 = pa.Field(ge=-1, description="From 0, the largest first.")
    baseline_cluster: pl.Int64 = pa.Field(ge=-1, description="The same in TF-IDF vectors.")


class NuisanceAudit(Table):
    """What clusters say of how records were kept, one row a kind of clusters and nuisance."""

    sex: str = pa.Field(isin=_SEXES, description=_SEX)
    representation: str = pa.Field(
        isin=[*_ROLES, "published_texts", "published_texts_and_number"],
        description="Which clusters; the published texts show what the audit is for.",
    )
    clusters: pl.Int64 = pa.Field(ge=0, description="How many there are.")
    nuisance: str = pa.Field(
        isin=["number_of_diagnoses", "year", "region", "length_of_stay"], description="Of what."
    )
    adjusted_mutual_information: pl.Float64 = pa.Field(
        ge=-1, le=1, description="0: no more than by chance; 1: one follows from the other."
    )
    maximum: pl.Float64 = pa.Field(gt=0, le=1, description="From here on clusters fail.")
    blocking: bool = pa.Field(description="Whether failing stops what follows.")
    below_maximum: bool = pa.Field(description="Whether it is below the maximum.")


class DiseaseWeights(Table):
    """How each diagnosis code marks each cluster, over all positions, by cluster and rank."""

    sex: str = pa.Field(isin=_SEXES, description=_SEX)
    cluster: pl.Int64 = pa.Field(ge=0, description="Cluster.")
    code: str = pa.Field(description="ICD-10 code without dot.")
    description: str = pa.Field(nullable=True, description="Text of this code.")
    admissions: pl.Int64 = pa.Field(ge=0, description="Of the cluster, with the code.")
    cluster_size: pl.Int64 = pa.Field(ge=0, description="Admissions of the cluster.")
    elsewhere: pl.Int64 = pa.Field(ge=0, description="Admissions of other clusters with the code.")
    elsewhere_size: pl.Int64 = pa.Field(ge=0, description="Admissions of other clusters.")
    prevalence: pl.Float64 = pa.Field(ge=0, le=1, description="Share of the cluster with the code.")
    published_weight: pl.Float64 = pa.Field(ge=0, description="c-DF-IPF as published.")
    template_weight: pl.Float64 = pa.Field(ge=0, description="c-DF-IPF as in its template.")
    prevalence_ratio: pl.Float64 = pa.Field(
        nullable=True, ge=0, description="In the cluster against elsewhere."
    )
    lower: pl.Float64 = pa.Field(nullable=True, ge=0, description="Lower 95 % limit (Katz).")
    upper: pl.Float64 = pa.Field(nullable=True, ge=0, description="Upper 95 % limit (Katz).")
    p_value: pl.Float64 = pa.Field(nullable=True, ge=0, le=1, description="Fisher's exact test.")
    false_discovery_rate: pl.Float64 = pa.Field(
        nullable=True, ge=0, le=1, description="Over all clusters and codes (BH)."
    )
    rank: pl.Int64 = pa.Field(ge=1, description="By published weight, within the cluster.")


class SubtypeValidation(Table):
    """How outcomes that no cluster was made from differ between clusters, one row an outcome."""

    sex: str = pa.Field(isin=_SEXES, description=_SEX)
    basis: str = pa.Field(
        isin=["admissions", "first_admissions"],
        description="All admissions, or the first of each patient.",
    )
    outcome: str = pa.Field(description="Column of the discharges, or readmission in 30 days.")
    test: str = pa.Field(isin=["Kruskal-Wallis", "chi-square"], description="Test.")
    statistic: pl.Float64 = pa.Field(ge=0, description="H, or chi-square.")
    degrees_of_freedom: pl.Int64 = pa.Field(ge=1, description="Of the test.")
    p_value: pl.Float64 = pa.Field(ge=0, le=1, description="Not corrected.")
    effect: pl.Float64 = pa.Field(ge=0, le=1, description="Epsilon squared, or Cramer's V.")
    admissions: pl.Int64 = pa.Field(ge=1, description="With a value.")
    p_holm: pl.Float64 = pa.Field(ge=0, le=1, description="Corrected within the basis (Holm).")


class SubtypeReplication(Table):
    """Clusters of earlier years applied to a later year, one row a year."""

    sex: str = pa.Field(isin=_SEXES, description=_SEX)
    first_year: pl.Int64 = pa.Field(description="First year of the fit.")
    last_year: pl.Int64 = pa.Field(description="Last year of the fit.")
    year: pl.Int64 = pa.Field(description="Year that they are applied to.")
    admissions: pl.Int64 = pa.Field(ge=1, description="Of that year.")
    rand: pl.Float64 = pa.Field(
        ge=-1, le=1, description="Adjusted Rand index with clusters found anew in that year."
    )
    agreement: pl.Float64 = pa.Field(
        ge=0, le=1, description="Share with the same cluster after matching."
    )
    silhouette: pl.Float64 = pa.Field(
        nullable=True, ge=-1, le=1, description="Of the applied clusters."
    )


class SubtypeMatch(Table):
    """Which cluster of the other sex is alike, one row a pair or a cluster without a partner."""

    female_cluster: pl.Int64 = pa.Field(nullable=True, ge=0, description="Cluster of females.")
    male_cluster: pl.Int64 = pa.Field(nullable=True, ge=0, description="Cluster of males.")
    similarity: pl.Float64 = pa.Field(
        nullable=True, ge=0, le=1.000001, description="Cosine of their code profiles."
    )


class SubtypeFiles(Table):
    """Files that show the subtypes, one row a file."""

    file: str = pa.Field(unique=True, description="Name in the asset's folder.")
    title: str = pa.Field(description="What it shows.")
    sha256: str = pa.Field(str_matches=r"^[0-9a-f]{64}$", description="Hash of its content.")
