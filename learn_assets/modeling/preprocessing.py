"""Preprocessing: everything learned from training patients before a learner sees them.

What belongs here: column filters, imputation, scaling and resampling. `fit_preprocessing` takes the
training patients of one fold and nothing else; that is what keeps the held-out fold held out.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from learn_assets.modeling.arrays import (
    FloatMatrix,
    FloatVector,
    IndexVector,
    Labels,
    read_arrays,
    write_arrays,
)
from learn_assets.modeling.features import (
    DEMOGRAPHIC_NAMES,
    FEATURE_SET_BLOCKS,
    Block,
    EmbeddingBlock,
    FeatureBlocks,
    FeatureReference,
    ModelFeatureSet,
)

_MINIMUM_VARIANCE = 1e-10
_SMOTE_NEIGHBORS = 5


@dataclass(frozen=True)
class PreprocessingOptions:
    """What is learned in a fold.

    minimum_patients: a count, value, kind of narrative, sex or missing flag of fewer training
    patients is dropped.
    log_counts: counts become log(1 + count), which tames their heavy tail.
    """

    minimum_patients: int = 11
    log_counts: bool = True


@dataclass(frozen=True)
class Column:
    """One column of the preprocessed matrix and the block it belongs to."""

    block: Block
    name: str


@dataclass(frozen=True)
class FittedPreprocessing:
    """What training patients taught: kept columns, fill values, centers and scales.

    `kept` numbers the assembled columns that stay; `center` and `scale` belong to these.
    `vector_fill` is the training mean vector of each kind, in the order of the reference.
    """

    options: PreprocessingOptions
    reference: FeatureReference
    columns: tuple[Column, ...]
    age_fill: float
    measurement_fill: FloatMatrix
    vector_fill: tuple[FloatMatrix, ...]
    kept: IndexVector
    center: FloatVector
    scale: FloatVector

    def transform(self, blocks: FeatureBlocks) -> FloatMatrix:
        """Return the standardized matrix, float32 (patients, columns), without missing values."""
        assembled = _assemble(
            blocks.aligned(self.reference),
            self.options,
            self.age_fill,
            self.measurement_fill,
            self.vector_fill,
        )
        matrix: FloatMatrix = assembled[:, self.kept]
        matrix -= self.center.astype(np.float32)
        matrix /= self.scale.astype(np.float32)
        return matrix

    def columns_of(self, feature_set: ModelFeatureSet) -> IndexVector:
        """Return the column numbers of the matrix that belong to a feature set."""
        blocks = FEATURE_SET_BLOCKS[feature_set]
        chosen = [number for number, column in enumerate(self.columns) if column.block in blocks]
        return np.array(chosen, dtype=np.int64)

    def save(self, folder: Path) -> None:
        """Write the arrays as safetensors and the names as JSON."""
        arrays: dict[str, npt.NDArray[np.generic]] = {
            "measurement_fill": self.measurement_fill,
            "kept": self.kept,
            "center": self.center,
            "scale": self.scale,
            "age_fill": np.array([self.age_fill], dtype=np.float64),
        }
        kinds = [kind for kind, _ in self.reference.embedding_dimensions]
        arrays |= {f"fill.{kind}": fill for kind, fill in zip(kinds, self.vector_fill, strict=True)}
        write_arrays(
            folder,
            arrays,
            {
                "minimum_patients": self.options.minimum_patients,
                "log_counts": self.options.log_counts,
                "count_names": self.reference.count_names,
                "measurement_names": self.reference.measurement_names,
                "embedding_dimensions": self.reference.embedding_dimensions,
                "columns": [[column.block, column.name] for column in self.columns],
            },
        )

    @classmethod
    def load(cls, folder: Path) -> FittedPreprocessing:
        """Read what `save` wrote."""
        arrays, settings = read_arrays(folder)
        dimensions = tuple((kind, int(size)) for kind, size in settings["embedding_dimensions"])
        return cls(
            options=PreprocessingOptions(settings["minimum_patients"], settings["log_counts"]),
            reference=FeatureReference(
                tuple(settings["count_names"]), tuple(settings["measurement_names"]), dimensions
            ),
            columns=tuple(Column(block, name) for block, name in settings["columns"]),
            age_fill=float(arrays["age_fill"][0]),
            measurement_fill=arrays["measurement_fill"],
            vector_fill=tuple(arrays[f"fill.{kind}"] for kind, _ in dimensions),
            kept=arrays["kept"],
            center=arrays["center"],
            scale=arrays["scale"],
        )


def fit_preprocessing(
    training: FeatureBlocks, options: PreprocessingOptions
) -> FittedPreprocessing:
    """Learn filters, fill values, centers and scales from training patients only."""
    reference = _frequent_features(training, options.minimum_patients)
    aligned = training.aligned(reference)
    age_fill = _median(training.demographics[:, 0])
    measurement_fill = np.array(
        [_median(column) for column in aligned.measurements.T], dtype=np.float32
    )
    vector_fill = tuple(_mean_vector(block) for block in aligned.embeddings)
    assembled = _assemble(aligned, options, age_fill, measurement_fill, vector_fill)
    columns = _assembled_columns(reference)
    center = assembled.mean(axis=0, dtype=np.float64)
    variance = assembled.var(axis=0, dtype=np.float64)
    varies = variance > _MINIMUM_VARIANCE
    kept = np.flatnonzero(varies & _common_enough(assembled, columns, options.minimum_patients))
    return FittedPreprocessing(
        options=options,
        reference=reference,
        columns=tuple(columns[number] for number in kept),
        age_fill=age_fill,
        measurement_fill=measurement_fill,
        vector_fill=vector_fill,
        kept=kept.astype(np.int64),
        center=center[kept],
        scale=np.sqrt(variance[kept]),
    )


def oversample(matrix: FloatMatrix, labels: Labels, seed: int) -> tuple[FloatMatrix, Labels]:
    """Return training rows with synthetic rows of the rarer class until both are equal (SMOTE).

    Unchanged when the rarer class has fewer than two rows, which leaves nothing to interpolate.
    Method: Chawla et al. 2002, five neighbors, as LEARN uses it.
    """
    from imblearn.over_sampling import SMOTE

    rarer = int(np.bincount(labels, minlength=2).min())
    if rarer < 2:
        return matrix, labels
    sampler = SMOTE(random_state=seed, k_neighbors=min(_SMOTE_NEIGHBORS, rarer - 1))
    resampled, resampled_labels = sampler.fit_resample(matrix, labels)
    return resampled.astype(np.float32, copy=False), resampled_labels.astype(np.int8)


def _frequent_features(training: FeatureBlocks, minimum_patients: int) -> FeatureReference:
    seen_counts = np.asarray((training.counts > 0).sum(axis=0)).ravel()
    values = training.measurements
    # Zero says "absent" in supplied counts, so a value occurs where it is present and not zero.
    seen_values = (np.isfinite(values) & (values != 0)).sum(axis=0)
    # The mean vector of a kind that a handful of patients has would be nearly theirs.
    frequent_kinds = {
        block.kind for block in training.embeddings if (~block.missing).sum() >= minimum_patients
    }
    reference = training.reference
    return FeatureReference(
        _at_least(reference.count_names, seen_counts, minimum_patients),
        _at_least(reference.measurement_names, seen_values, minimum_patients),
        tuple(item for item in reference.embedding_dimensions if item[0] in frequent_kinds),
    )


def _at_least(
    names: tuple[str, ...], seen: npt.NDArray[np.integer], minimum: int
) -> tuple[str, ...]:
    return tuple(name for name, patients in zip(names, seen, strict=True) if patients >= minimum)


def _median(values: npt.NDArray[np.floating]) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else 0.0


def _mean_vector(block: EmbeddingBlock) -> FloatMatrix:
    present = block.vectors[~block.missing]
    if not len(present):
        return np.zeros(block.dimensions, dtype=np.float32)
    return np.asarray(present.mean(axis=0, dtype=np.float64), dtype=np.float32)


def _assemble(
    blocks: FeatureBlocks,
    options: PreprocessingOptions,
    age_fill: float,
    measurement_fill: FloatMatrix,
    vector_fill: tuple[FloatMatrix, ...],
) -> FloatMatrix:
    """Return the filled but unscaled matrix in the order of `_assembled_columns`."""
    demographics = blocks.demographics.copy()
    demographics[~np.isfinite(demographics[:, 0]), 0] = age_fill
    counts = blocks.counts.toarray().astype(np.float32, copy=False)
    unknown = ~np.isfinite(blocks.measurements)
    pieces = [
        demographics,
        np.log1p(counts) if options.log_counts else counts,
        np.where(unknown, measurement_fill, blocks.measurements),
        unknown.astype(np.float32),
    ]
    for block, fill in zip(blocks.embeddings, vector_fill, strict=True):
        pieces.append(np.where(block.missing[:, None], fill, block.vectors))
        pieces.append(block.missing[:, None].astype(np.float32))
    return np.concatenate(pieces, axis=1, dtype=np.float32)


def _assembled_columns(reference: FeatureReference) -> list[Column]:
    columns = [Column("demographics", name) for name in DEMOGRAPHIC_NAMES]
    columns += [Column("counts", name) for name in reference.count_names]
    columns += [Column("measurements", name) for name in reference.measurement_names]
    columns += [Column("measurements", f"missing|{name}") for name in reference.measurement_names]
    for kind, dimensions in reference.embedding_dimensions:
        columns += [Column("embeddings", f"{kind}|{number}") for number in range(dimensions)]
        columns.append(Column("embeddings", f"missing|{kind}"))
    return columns


def _common_enough(
    assembled: FloatMatrix, columns: list[Column], minimum_patients: int
) -> npt.NDArray[np.bool_]:
    """Return which columns stay: a yes-no column needs enough patients on both sides."""
    common = np.ones(len(columns), dtype=np.bool_)
    for number, column in enumerate(columns):
        if column.name.startswith(("sex|", "missing|")):
            yes = int(assembled[:, number].sum())
            common[number] = minimum_patients <= yes <= len(assembled) - minimum_patients
    return common
