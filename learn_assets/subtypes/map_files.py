"""Map files: every figure of the clusters, drawn from the vectors that were clustered.

What belongs here: which figures there are and from which tables each is drawn.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from learn_assets.lake import Lake
from learn_assets.reporting.figures import SvgFigure
from learn_assets.study.subtypes import SEXES, SubtypeStudy
from learn_assets.subtypes.admissions import admissions_of
from learn_assets.subtypes.cluster_figures import choice_figure, codes_figure, map_figure
from learn_assets.subtypes.cluster_results import SexClusters, collect_clusters
from learn_assets.subtypes.maps import MAP_NAMES, MapPoints, coordinates, map_points
from learn_assets.subtypes.spaces import EmbeddedAdmissions, embedded_of
from learn_assets.subtypes.stability import sampled_rows

_FEWEST = 3


def cluster_figures(study: SubtypeStudy, lake: Lake) -> dict[str, SvgFigure]:
    """Return every figure of the clusters by file stem; one with nothing to show is left out."""
    results = collect_clusters(study, lake)
    found: dict[str, SvgFigure | None] = {}
    for one in results.sexes:
        found[f"number_of_clusters_{one.word}"] = choice_figure(one)
        found[f"codes_{one.word}"] = codes_figure(one)
    return {
        name: one for name, one in {**found, **_maps(study, lake, results.sexes)}.items() if one
    }


def _maps(
    study: SubtypeStudy, lake: Lake, sexes: tuple[SexClusters, ...]
) -> dict[str, SvgFigure | None]:
    minimum, options = study.privacy.minimum_cell, study.clusters
    parts = {
        one.sex: _Part.of(lake, one, options.maximum_admissions, options.seed) for one in sexes
    }
    parts = {sex: part for sex, part in parts.items() if part.drawable}
    groups: dict[str, tuple[str, ...]] = {one.word: (one.sex,) for one in sexes if one.sex in parts}
    if len(parts) == len(SEXES) and in_one_space(study, parts):
        groups["both"] = tuple(parts)
    found = {}
    for word, members in groups.items():
        together = [parts[sex] for sex in members]
        vectors = np.vstack([part.shared if len(members) > 1 else part.own for part in together])
        for name in MAP_NAMES:
            places = coordinates(vectors, name, options.seed)
            ends = np.cumsum([0, *(len(part.labels) for part in together)])
            points: dict[str, tuple[MapPoints, ...]] = {
                part.sex: map_points(places[start:stop], part.labels, part.patients, minimum)
                for part, start, stop in zip(together, ends, ends[1:], strict=False)
            }
            whom = f"{word} admissions" if word != "both" else "female and male admissions"
            found[f"map_{name}_{word}"] = map_figure(name, points, whom, minimum)
    return found


class _Part:
    """Vectors, labels and patients of one sex, at most so many admissions as maps are made of."""

    def __init__(
        self,
        sex: str,
        embedded: EmbeddedAdmissions,
        labels: npt.NDArray[np.int64],
        patients: npt.NDArray[np.int64],
    ) -> None:
        self.sex, self.labels, self.patients = sex, labels, patients
        self.own, self._embedded = embedded.vectors, embedded

    @classmethod
    def of(cls, lake: Lake, one: SexClusters, most: int, seed: int) -> _Part:
        """Read the part of one sex."""
        embedded = embedded_of(
            lake.read("discharge_embeddings", one.sex), lake.read("embedding_directions", one.sex)
        )
        admissions = admissions_of(one.admissions.drop("cluster", "readmission"), one.sex)
        rows = sampled_rows(len(admissions), most, seed)
        patients = admissions.patients
        numbers = np.arange(len(admissions)) if patients is None else patients
        labels = one.admissions["cluster"].cast(pl.Int64).to_numpy()
        sampled = EmbeddedAdmissions(embedded.vectors[rows], embedded.directions)
        return cls(one.sex, sampled, labels[rows], numbers[rows])

    @property
    def drawable(self) -> bool:
        """Whether there are vectors to draw."""
        return len(self.own) >= _FEWEST and self.own.shape[1] >= _FEWEST

    @property
    def width(self) -> int:
        """Width of the shared space."""
        return int(self._embedded.directions.shape[1])

    @property
    def shared(self) -> npt.NDArray[np.float32]:
        """The same vectors in the space of both sexes."""
        return self._embedded.shared


def in_one_space(study: SubtypeStudy, parts: dict[str, _Part]) -> bool:
    """Return whether sexes may be drawn together: axes of two models have nothing in common."""
    return study.sexes_share_a_space and len({part.width for part in parts.values()}) == 1
