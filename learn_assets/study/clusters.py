"""Options of the clusters of a subtypes study: what a user may choose, typed and validated."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from learn_assets.study import EncoderChoice
from learn_assets.study.section import Section

ClustererName = Literal["kmeans", "gaussian_mixture", "hdbscan", "consensus"]
Pooling = Literal["mean", "length_invariant"]


class ClusterOptions(Section):
    """How admissions become vectors, how they are clustered and what is asked of the clusters."""

    representation: Literal["description", "language_model", "tfidf"] = Field(
        default="description",
        description="Frozen vectors of the code descriptions, vectors of the language model of the "
        "study, or TF-IDF and SVD of the codes; the latter always stands beside as baseline.",
    )
    encoder: EncoderChoice = EncoderChoice(id="minilm", overlap_tokens=0)
    dimensions: int = Field(default=50, ge=2, le=1024)
    principal_weight: float = Field(
        default=2.0, ge=1.0, le=20.0, description="How often the principal diagnosis counts."
    )
    pooling: Pooling = Field(
        default="length_invariant",
        description="`mean` lets vectors depend on the number of diagnoses.",
    )
    clusterer: ClustererName = "kmeans"
    starts: int = Field(default=10, ge=1, le=100, description="Random starts of the final fit.")
    selection: Literal["recommended", "published"] = Field(
        default="recommended",
        description="`published`: the count of the published rule is used; both are shown.",
    )
    smallest_count: int = Field(default=2, ge=2, le=50)
    largest_count: int = Field(default=25, ge=2, le=100)
    resamples: int = Field(default=100, ge=20, le=1_000)
    smallest_share: float = Field(default=0.5, ge=0.3, le=0.95)
    largest_share: float = Field(default=0.8, ge=0.3, le=0.95)
    null_files: int = Field(default=99, ge=19, le=9_999)
    significance: float = Field(default=0.02, gt=0.0, le=0.1)
    maximum_admissions: int = Field(
        default=5_000, ge=200, description="The count is chosen on at most so many admissions."
    )
    maximum_nuisance: float = Field(
        default=0.05,
        gt=0.0,
        le=1.0,
        description="Adjusted mutual information with the number of diagnoses that fails.",
    )
    training_years: tuple[int, int] = Field(
        default=(2016, 2018), description="First and last year of the fit that is replicated later."
    )
    seed: int = Field(default=42, ge=0)

    @model_validator(mode="after")
    def _ranges_are_ordered(self) -> Self:
        if self.smallest_count > self.largest_count:
            raise ValueError("`smallest_count` is above `largest_count`")
        if self.smallest_share > self.largest_share:
            raise ValueError("`smallest_share` is above `largest_share`")
        if self.training_years[0] > self.training_years[1]:
            raise ValueError("`training_years`: the first is after the last")
        return self

    @model_validator(mode="after")
    def _null_files_can_say_so(self) -> Self:
        if 1 / (self.null_files + 1) > self.significance:
            needed = int(1 / self.significance)
            raise ValueError(f"`significance` {self.significance} needs `null_files` >= {needed}")
        return self
