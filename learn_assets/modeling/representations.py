"""Representations: which ones a fold learns, and the codes its training patients get from them.

What belongs here: the choice of method and the rule that no code of a training patient comes from
an encoder that saw the patient's label. `training` holds the training patients of a fold only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from learn_assets.modeling.arrays import FloatMatrix, Labels
from learn_assets.modeling.autoencoder import fit_autoencoder
from learn_assets.modeling.contrastive import fit_contrastive
from learn_assets.modeling.cross_fitting import Fit, cross_fitted_codes
from learn_assets.modeling.features import (
    Block,
    EmbeddingBlock,
    FeatureBlocks,
    RepresentationName,
)
from learn_assets.modeling.kind_encoders import DenseLayer, Representation, encoder_of
from learn_assets.modeling.network_training import TrainingSettings
from learn_assets.modeling.reduction import partial_least_squares, principal_components
from learn_assets.modeling.threads import fit_pool
from learn_assets.study import ReductionOptions


@dataclass(frozen=True)
class RepresentationOptions:
    """Which representations a fold learns besides the vectors as they are.

    reduction: a linear map that takes the place of the vectors in every feature set that has them.
    learned: further codes, each a feature set of its own, of so many `dimensions` a kind.
    """

    reduction: ReductionOptions = field(default_factory=ReductionOptions)
    learned: tuple[RepresentationName, ...] = ()
    dimensions: int = 32
    seed: int = 123
    training: TrainingSettings = field(default_factory=TrainingSettings)


@dataclass(frozen=True)
class Learned:
    """A fitted representation, and codes (patients, dimensions) of each kind to train on."""

    representation: Representation
    training_codes: tuple[FloatMatrix, ...]

    @property
    def dimensions(self) -> tuple[tuple[str, int], ...]:
        """Kind and length of each code."""
        encoders = self.representation.encoders
        return tuple((encoder.kind, encoder.dimensions) for encoder in encoders)


def learn_representations(
    training: FeatureBlocks, labels: Labels | None, options: RepresentationOptions
) -> tuple[Learned, ...]:
    """Fit every representation that is asked for to training patients.

    labels: 1 case, 0 control, -1 unknown. ValueError when a supervised one gets no labels.
    """
    if not training.embeddings:
        return ()
    learned = _side_by_side(training, labels, options) if options.learned else []
    if options.reduction.method != "none":
        learned.insert(0, _reduced(training, labels, options))
    # Views of one kind have nothing to be close to.
    return tuple(item for item in learned if item.representation.encoders)


def _side_by_side(
    training: FeatureBlocks, labels: Labels | None, options: RepresentationOptions
) -> list[Learned]:
    with fit_pool(None, uses_torch=True) as pool:
        # Later names take longer, so the last of them is not left alone at the end.
        names = reversed(options.learned)
        jobs = [pool.submit(_of_name, name, training, labels, options) for name in names]
        return [job.result() for job in reversed(jobs)]


def _of_name(
    name: RepresentationName,
    training: FeatureBlocks,
    labels: Labels | None,
    options: RepresentationOptions,
) -> Learned:
    dimensions, settings = options.dimensions, options.training
    if name == "autoencoder":
        layers = [
            fit_autoencoder(block, dimensions, settings, options.seed)
            for block in training.embeddings
        ]
        return _uncrossed(_representation(name, training, layers), training)
    if len(training.embeddings) < 2:
        return Learned(Representation(name, ()), ())
    if name == "contrastive_self":
        encoders = fit_contrastive(training, None, dimensions, settings, options.seed)
        return _uncrossed(_representation(name, training, encoders), training)

    def fit(patients: FeatureBlocks, known: Labels) -> Representation:
        encoders = fit_contrastive(patients, known, dimensions, settings, options.seed)
        return _representation(name, patients, encoders)

    return _cross_fitted(fit, training, _known(labels, name), options)


def _reduced(
    training: FeatureBlocks, labels: Labels | None, options: RepresentationOptions
) -> Learned:
    dimensions = options.reduction.dimensions

    def fit(patients: FeatureBlocks, known: Labels) -> Representation:
        supervised = options.reduction.method == "pls"
        layers = [
            partial_least_squares(block, known, dimensions)
            if supervised and _has_both_classes(block, known)
            else principal_components(block, dimensions, options.seed)
            for block in patients.embeddings
        ]
        return _representation("embeddings", patients, [(layer,) for layer in layers])

    if options.reduction.method == "pca":
        representation = fit(training, np.zeros(len(training), dtype=np.int8))
        return _uncrossed(representation, training)
    return _cross_fitted(fit, training, _known(labels, "models.reduction.method: pls"), options)


def _uncrossed(representation: Representation, training: FeatureBlocks) -> Learned:
    return Learned(representation, representation.codes(training))


def _cross_fitted(
    fit: Fit, training: FeatureBlocks, labels: Labels, options: RepresentationOptions
) -> Learned:
    whole = fit(training, labels)
    return Learned(whole, cross_fitted_codes(fit, whole, training, labels, options.seed))


def _representation(
    block: Block, patients: FeatureBlocks, layers: Sequence[tuple[DenseLayer, ...]]
) -> Representation:
    encoders = [
        encoder_of(of_kind, vectors)
        for of_kind, vectors in zip(layers, patients.embeddings, strict=True)
    ]
    return Representation(block, tuple(encoders))


def _known(labels: Labels | None, name: str) -> Labels:
    if labels is None:
        raise ValueError(f"`{name}` learns from labels: give those of the training patients")
    return labels


def _has_both_classes(block: EmbeddingBlock, labels: Labels) -> bool:
    present = labels[~block.missing]
    return bool((present == 0).any() and (present == 1).any())
