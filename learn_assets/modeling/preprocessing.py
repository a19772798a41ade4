"""Preprocessing: everything learned from training patients before a learner sees them.

What belongs here: column filters, imputation, scaling and resampling; representations of vectors
are learned next door. `preprocess` takes the training patients of one fold and nothing else; that
is what keeps the held-out fold held out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
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
    REPRESENTATIONS,
    Block,
    EmbeddingBlock,
    FeatureBlocks,
    FeatureReference,
    ModelFeatureSet,
)
from learn_assets.modeling.kind_encoders import Representation, representation_of
from learn_assets.modeling.representations import (
    Learned,
    RepresentationOptions,
    learn_representations,
)
from learn_assets.modeling.threads import single_torch_thread
from learn_assets.study import WITHOUT_MEDICATION

_MINIMUM_VARIANCE = 1e-10
_SMOTE_NEIGHBORS = 5
_MISSING = "missing|"

# Codes (patients, dimensions) of each kind, by the block they stand in.
Codes = Mapping[Block, tuple[FloatMatrix, ...]]


@dataclass(frozen=True)
class PreprocessingOptions:
    """What is learned in a fold.

    minimum_patients: a count, value, kind of narrative, sex or missing flag of fewer training
    patients is dropped.
    log_counts: counts become log(1 + count), which tames their heavy tail.
    representations: what is learned of the vectors; a scoring site needs the result only.
    """

    minimum_patients: int = 11
    log_counts: bool = True
    representations: RepresentationOptions = field(default_factory=RepresentationOptions)


@dataclass(frozen=True)
class Column:
    """One column of the preprocessed matrix and the block it belongs to."""

    block: Block
    name: str

    @property
    def kind(self) -> str:
        """The kind of record it tells of; `sex`, `supplied` and the like where there is none."""
        return self.name.removeprefix(_MISSING).split("|")[0]


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
    representations: tuple[Representation, ...] = ()

    def transform(self, blocks: FeatureBlocks) -> FloatMatrix:
        """Return the standardized matrix, float32 (patients, columns), without missing values.

        For patients other than those it was fitted to: `preprocess` returns the matrix of those.
        """
        aligned = blocks.aligned(self.reference)
        codes = {item.block: item.codes(aligned) for item in self.representations}
        assembled = _assemble(
            aligned, self.options, self.age_fill, self.measurement_fill, self.vector_fill, codes
        )
        return _standardized(assembled, self.kept, self.center, self.scale)

    def columns_of(self, feature_set: ModelFeatureSet) -> IndexVector:
        """Return the column numbers of the matrix that belong to a feature set."""
        blocks = FEATURE_SET_BLOCKS[feature_set]
        if feature_set in REPRESENTATIONS and not self._has_block(feature_set):
            # What was not learned leaves no feature set behind, least of all one of flags alone.
            return np.zeros(0, dtype=np.int64)
        left_out = "medication" if feature_set in WITHOUT_MEDICATION else None
        chosen = [
            number
            for number, column in enumerate(self.columns)
            if column.block in blocks and (left_out is None or column.kind != left_out)
        ]
        return np.array(chosen, dtype=np.int64)

    def _has_block(self, block: str) -> bool:
        return any(column.block == block for column in self.columns)

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
        for item in self.representations:
            arrays |= item.arrays()
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
                "representations": [[item.block, item.depths()] for item in self.representations],
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
            representations=tuple(
                representation_of(block, depths, arrays)
                for block, depths in settings["representations"]
            ),
        )


def preprocess(
    training: FeatureBlocks, options: PreprocessingOptions, labels: Labels | None = None
) -> tuple[FittedPreprocessing, FloatMatrix]:
    """Learn filters, fill values, representations, centers and scales from training patients only.

    labels: 1 case, 0 control, -1 unknown, of the training patients; only supervised representations
    read them. Also returns the matrix to train on, in which no code of a patient comes from an
    encoder that saw the patient's label. ValueError when labels are needed and not given.
    """
    reference = _frequent_features(training, options.minimum_patients)
    aligned = training.aligned(reference)
    age_fill = _median(training.demographics[:, 0])
    measurement_fill = np.array(
        [_median(column) for column in aligned.measurements.T], dtype=np.float32
    )
    vector_fill = tuple(_mean_vector(block) for block in aligned.embeddings)
    with single_torch_thread():
        learned = learn_representations(aligned, labels, options.representations)
    codes = {item.representation.block: item.training_codes for item in learned}
    assembled = _assemble(aligned, options, age_fill, measurement_fill, vector_fill, codes)
    columns = _assembled_columns(reference, learned)
    center = assembled.mean(axis=0, dtype=np.float64)
    variance = assembled.var(axis=0, dtype=np.float64)
    varies = variance > _MINIMUM_VARIANCE
    kept = np.flatnonzero(varies & _common_enough(assembled, columns, options.minimum_patients))
    fitted = FittedPreprocessing(
        options=options,
        reference=reference,
        columns=tuple(columns[number] for number in kept),
        age_fill=age_fill,
        measurement_fill=measurement_fill,
        vector_fill=vector_fill,
        kept=kept.astype(np.int64),
        center=center[kept],
        scale=np.sqrt(variance[kept]),
        representations=tuple(item.representation for item in learned),
    )
    return fitted, _standardized(assembled, fitted.kept, fitted.center, fitted.scale)


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
    codes: Codes,
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
    reduced = codes.get("embeddings")
    for number, (block, fill) in enumerate(zip(blocks.embeddings, vector_fill, strict=True)):
        if reduced is None:
            pieces.append(np.where(block.missing[:, None], fill, block.vectors))
        else:
            pieces.append(reduced[number])
        pieces.append(block.missing[:, None].astype(np.float32))
    for place, learned in codes.items():
        pieces += learned if place != "embeddings" else ()
    return np.concatenate(pieces, axis=1, dtype=np.float32)


def _assembled_columns(reference: FeatureReference, learned: tuple[Learned, ...]) -> list[Column]:
    columns = [Column("demographics", name) for name in DEMOGRAPHIC_NAMES]
    columns += [Column("counts", name) for name in reference.count_names]
    columns += [Column("measurements", name) for name in reference.measurement_names]
    columns += [Column("measurements", f"{_MISSING}{name}") for name in reference.measurement_names]
    dimensions = {item.representation.block: item.dimensions for item in learned}
    for kind, size in dimensions.pop("embeddings", reference.embedding_dimensions):
        columns += [Column("embeddings", f"{kind}|{number}") for number in range(size)]
        columns.append(Column("missing_kinds", f"{_MISSING}{kind}"))
    for block, sizes in dimensions.items():
        columns += [
            Column(block, f"{kind}|{number}") for kind, size in sizes for number in range(size)
        ]
    return columns


def _standardized(
    assembled: FloatMatrix, kept: IndexVector, center: FloatVector, scale: FloatVector
) -> FloatMatrix:
    matrix: FloatMatrix = assembled[:, kept]
    matrix -= center.astype(np.float32)
    matrix /= scale.astype(np.float32)
    return matrix


def _common_enough(
    assembled: FloatMatrix, columns: list[Column], minimum_patients: int
) -> npt.NDArray[np.bool_]:
    """Return which columns stay: a yes-no column needs enough patients on both sides."""
    common = np.ones(len(columns), dtype=np.bool_)
    for number, column in enumerate(columns):
        if column.name.startswith(("sex|", _MISSING)):
            yes = int(assembled[:, number].sum())
            common[number] = minimum_patients <= yes <= len(assembled) - minimum_patients
    return common
