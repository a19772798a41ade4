"""Features: typed blocks (demographics, counts, measurements, embeddings) of a set of patients.

What belongs here: turning lake tables into aligned arrays, before anything is fitted. Whatever is
learned from the values lives in `preprocessing.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy import sparse

from learn_assets.modeling.arrays import FloatMatrix, IndexVector
from learn_assets.study import KINDS, FeatureSet

ModelFeatureSet = Literal["age_sex"] | FeatureSet
RepresentationName = Literal["autoencoder", "contrastive_self", "contrastive_supervised"]
Block = (
    Literal["demographics", "counts", "measurements", "embeddings", "missing_kinds"]
    | RepresentationName
)

BASELINE: ModelFeatureSet = "age_sex"
_CODES: tuple[Block, ...] = ("demographics", "counts", "measurements")
_TEXT: tuple[Block, ...] = ("embeddings", "missing_kinds")
FEATURE_SET_BLOCKS: dict[ModelFeatureSet, tuple[Block, ...]] = {
    "age_sex": ("demographics",),
    "count": _CODES,
    "embedding": _TEXT,
    "learn": (*_CODES, *_TEXT),
    "stacking": (*_CODES, *_TEXT),
    "autoencoder": ("autoencoder", "missing_kinds"),
    "contrastive_self": ("contrastive_self", "missing_kinds"),
    "contrastive_supervised": ("contrastive_supervised", "missing_kinds"),
    "count_without_medication": _CODES,
    "embedding_without_medication": _TEXT,
    "learn_without_medication": (*_CODES, *_TEXT),
}
STACKING: ModelFeatureSet = "stacking"
# A model of each is fitted, and their predictions combined.
STACKED: tuple[ModelFeatureSet, ...] = ("count", "embedding")
REPRESENTATIONS: tuple[RepresentationName, ...] = (
    "autoencoder",
    "contrastive_self",
    "contrastive_supervised",
)
SEXES = ("F", "M", "U")
DEMOGRAPHIC_NAMES = ("age_at_index", *(f"sex|{sex}" for sex in SEXES))

_SUPPLIED_PREFIX = "supplied|"
_MEDICATION_PREFIX = "medication|"


class DuplicatePatientError(ValueError):
    """A patient stands in a table more often than once."""


@dataclass(frozen=True)
class EncoderIdentity:
    """The text encoder that made a set of vectors; vectors of two encoders never mix."""

    id: str
    revision: str


@dataclass(frozen=True)
class EmbeddingBlock:
    """Vectors of one kind: float32 (patients, dimensions), zero where `missing` is true."""

    kind: str
    vectors: FloatMatrix
    missing: npt.NDArray[np.bool_]

    @property
    def dimensions(self) -> int:
        """Length of one vector."""
        return int(self.vectors.shape[1])


@dataclass(frozen=True)
class FeatureReference:
    """Names that fix the columns of feature blocks, so that new patients line up with old ones."""

    count_names: tuple[str, ...]
    measurement_names: tuple[str, ...]
    embedding_dimensions: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class FeatureBlocks:
    """All features of some patients, row i of every block belonging to `patient_ids[i]`.

    demographics: float32 (n, 4), age in years (NaN when unknown) and one column a sex.
    counts: sparse float32 (n, c), number of records, absent = 0.
    measurements: float32 (n, m) in the unit sent, absent = NaN.
    """

    patient_ids: npt.NDArray[np.str_]
    demographics: FloatMatrix
    counts: sparse.csr_array
    measurements: FloatMatrix
    embeddings: tuple[EmbeddingBlock, ...]
    reference: FeatureReference
    encoder: EncoderIdentity | None = None

    def __len__(self) -> int:
        return len(self.patient_ids)

    def rows(self, index: IndexVector) -> FeatureBlocks:
        """Return the same features for the patients at these row numbers, in that order."""
        return replace(
            self,
            patient_ids=self.patient_ids[index],
            demographics=self.demographics[index],
            counts=self.counts[index],
            measurements=self.measurements[index],
            embeddings=tuple(
                EmbeddingBlock(block.kind, block.vectors[index], block.missing[index])
                for block in self.embeddings
            ),
        )

    def positions(self, patient_ids: Sequence[str]) -> IndexVector:
        """Return the row number of each patient; KeyError when some patients have no features."""
        place = {patient_id: row for row, patient_id in enumerate(self.patient_ids.tolist())}
        unknown = sum(patient_id not in place for patient_id in patient_ids)
        if unknown:
            raise KeyError(f"{unknown} patients have no row in the feature blocks")
        return np.array([place[patient_id] for patient_id in patient_ids], dtype=np.int64)

    def aligned(self, reference: FeatureReference) -> FeatureBlocks:
        """Return blocks with exactly the columns of `reference`.

        Unknown features are dropped; an absent count is 0, an absent measurement NaN, an absent
        kind missing for everyone. ValueError when vectors of a kind have another length.
        """
        if reference == self.reference:
            return self
        return replace(
            self,
            counts=_aligned_counts(self.counts, self.reference.count_names, reference.count_names),
            measurements=_aligned_measurements(
                self.measurements, self.reference.measurement_names, reference.measurement_names
            ),
            embeddings=_aligned_embeddings(
                self.embeddings, reference.embedding_dimensions, len(self)
            ),
            reference=reference,
        )


def build_feature_blocks(
    patients: pl.DataFrame,
    event_counts: pl.DataFrame,
    latest_measurement: pl.DataFrame,
    patient_embeddings: pl.DataFrame | None = None,
    *,
    include_medication: bool = True,
    encoder: EncoderIdentity | None = None,
) -> FeatureBlocks:
    """Build the feature blocks of the patients, sorted by patient id.

    patients: patient_id, age_at_index, sex; the other tables as in the lake, rows of other
    patients ignored. Features named `supplied|...` become measurements: their empty cells are
    missing values, not zeros. DuplicatePatientError when a patient stands twice.
    """
    roster = patients.select("patient_id", "age_at_index", "sex").sort("patient_id")
    _assert_distinct(roster)
    index = roster.select("patient_id").with_row_index("row")
    long_counts = _wanted_features(event_counts, include_medication)
    supplied = pl.col("feature").str.starts_with(_SUPPLIED_PREFIX)
    counts, count_names = _sparse_counts(long_counts.filter(~supplied), index)
    values = pl.concat(
        [
            latest_measurement.select("patient_id", "feature", pl.col("value").cast(pl.Float64)),
            long_counts.filter(supplied).select(
                "patient_id", "feature", pl.col("count").cast(pl.Float64).alias("value")
            ),
        ]
    )
    measurements, measurement_names = _dense_measurements(values, index)
    embeddings = _embedding_blocks(patient_embeddings, index, include_medication)
    return FeatureBlocks(
        patient_ids=np.array(roster["patient_id"].to_list(), dtype=np.str_),
        demographics=_demographics(roster),
        counts=counts,
        measurements=measurements,
        embeddings=embeddings,
        reference=FeatureReference(
            count_names,
            measurement_names,
            tuple((block.kind, block.dimensions) for block in embeddings),
        ),
        encoder=encoder,
    )


def _assert_distinct(roster: pl.DataFrame) -> None:
    repeated = roster.height - roster["patient_id"].n_unique()
    if repeated:
        raise DuplicatePatientError(
            f"{repeated} of {roster.height} rows repeat a patient_id; cohort and scoring "
            "population must be disjoint, with one row a patient"
        )


def _wanted_features(event_counts: pl.DataFrame, include_medication: bool) -> pl.DataFrame:
    if include_medication:
        return event_counts
    return event_counts.filter(~pl.col("feature").str.starts_with(_MEDICATION_PREFIX))


def _demographics(roster: pl.DataFrame) -> FloatMatrix:
    known = pl.when(pl.col("sex").is_in(SEXES)).then(pl.col("sex")).otherwise(pl.lit("U"))
    columns = [pl.col("age_at_index").cast(pl.Float32).fill_null(float("nan"))]
    columns += [(known == sex).cast(pl.Float32).alias(f"sex|{sex}") for sex in SEXES]
    return np.ascontiguousarray(roster.select(columns).to_numpy(), dtype=np.float32)


def _coordinates(
    long: pl.DataFrame, index: pl.DataFrame, value: str
) -> tuple[IndexVector, IndexVector, npt.NDArray[Any], tuple[str, ...]]:
    """Return row numbers, column numbers and values of a long table, and its sorted features."""
    present = long.join(index, on="patient_id").drop_nulls(value)
    names = present.select("feature").unique().sort("feature").with_row_index("column")
    placed = present.join(names, on="feature").sort("row", "column")
    return (
        placed["row"].to_numpy().astype(np.int64),
        placed["column"].to_numpy().astype(np.int64),
        placed[value].to_numpy(),
        tuple(names["feature"].to_list()),
    )


def _sparse_counts(
    long: pl.DataFrame, index: pl.DataFrame
) -> tuple[sparse.csr_array, tuple[str, ...]]:
    rows, columns, values, names = _coordinates(long, index, "count")
    shape = (index.height, len(names))
    return sparse.csr_array((values.astype(np.float32), (rows, columns)), shape=shape), names


def _dense_measurements(
    long: pl.DataFrame, index: pl.DataFrame
) -> tuple[FloatMatrix, tuple[str, ...]]:
    rows, columns, values, names = _coordinates(long, index, "value")
    dense = np.full((index.height, len(names)), np.nan, dtype=np.float32)
    dense[rows, columns] = values
    return dense, names


def _embedding_blocks(
    patient_embeddings: pl.DataFrame | None, index: pl.DataFrame, include_medication: bool
) -> tuple[EmbeddingBlock, ...]:
    if patient_embeddings is None or patient_embeddings.is_empty():
        return ()
    kinds = [kind for kind in KINDS if include_medication or kind != "medication"]
    blocks = []
    for kind in kinds:
        present = patient_embeddings.filter(pl.col("kind") == kind)
        # Only ids are joined: Polars 1.44 panics when a join leaves no row of an Array column.
        place = present.select("patient_id").join(
            index, on="patient_id", how="left", maintain_order="left"
        )["row"]
        if place.null_count() == len(place):
            continue
        known = place.is_not_null().to_numpy()
        rows = place.drop_nulls().to_numpy().astype(np.int64)
        stacked = present["vector"].to_numpy()[known].astype(np.float32, copy=False)
        vectors = np.zeros((index.height, stacked.shape[1]), dtype=np.float32)
        missing = np.ones(index.height, dtype=np.bool_)
        vectors[rows] = stacked
        missing[rows] = False
        blocks.append(EmbeddingBlock(kind, vectors, missing))
    return tuple(blocks)


def _aligned_counts(
    counts: sparse.csr_array, own: tuple[str, ...], wanted: tuple[str, ...]
) -> sparse.csr_array:
    source, target = _shared_columns(own, wanted)
    # A selection matrix moves every column in one sparse product.
    selection = sparse.csr_array(
        (np.ones(len(source), dtype=np.float32), (source, target)), shape=(len(own), len(wanted))
    )
    return sparse.csr_array(counts @ selection)


def _aligned_measurements(
    measurements: FloatMatrix, own: tuple[str, ...], wanted: tuple[str, ...]
) -> FloatMatrix:
    source, target = _shared_columns(own, wanted)
    aligned = np.full((measurements.shape[0], len(wanted)), np.nan, dtype=np.float32)
    aligned[:, target] = measurements[:, source]
    return aligned


def _aligned_embeddings(
    embeddings: tuple[EmbeddingBlock, ...], wanted: tuple[tuple[str, int], ...], patients: int
) -> tuple[EmbeddingBlock, ...]:
    own = {block.kind: block for block in embeddings}
    aligned = []
    for kind, dimensions in wanted:
        block = own.get(kind)
        if block is None:
            zeros = np.zeros((patients, dimensions), dtype=np.float32)
            block = EmbeddingBlock(kind, zeros, np.ones(patients, dtype=np.bool_))
        if block.dimensions != dimensions:
            raise ValueError(
                f"{kind} vectors have {block.dimensions} dimensions, the model needs {dimensions}; "
                "embed with the encoder named in the bundle"
            )
        aligned.append(block)
    return tuple(aligned)


def _shared_columns(
    own: tuple[str, ...], wanted: tuple[str, ...]
) -> tuple[IndexVector, IndexVector]:
    place = {name: column for column, name in enumerate(own)}
    shared = [(place[name], target) for target, name in enumerate(wanted) if name in place]
    pairs = np.array(shared, dtype=np.int64).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]
