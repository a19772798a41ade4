"""Contrastive encoders: the kinds of one patient are views that should lie close together.

What belongs here: one encoder a kind, trained so that views of a group attract and others repel. A
group is a patient (self-supervised) or all patients with the same label (supervised).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from learn_assets.modeling.arrays import IndexVector, Labels
from learn_assets.modeling.features import EmbeddingBlock, FeatureBlocks
from learn_assets.modeling.kind_encoders import DenseLayer, forward
from learn_assets.modeling.network_training import (
    TrainingSettings,
    dense_layers,
    inner_split,
    linear,
    through,
    train,
)
from learn_assets.modeling.reduction import principal_components

if TYPE_CHECKING:
    from torch import Tensor

_TEMPERATURE = 0.2
_INPUT_DROPOUT = 0.2
# Principal components that an encoder reads, for each dimension of its code. From all of the
# dimensions a small cohort learns its own noise before it learns what patients share.
_COMPONENTS_PER_DIMENSION = 2


def fit_contrastive(
    training: FeatureBlocks,
    labels: Labels | None,
    dimensions: int,
    settings: TrainingSettings,
    seed: int,
) -> tuple[tuple[DenseLayer, ...], ...]:
    """Return the encoder of each kind, in the order of `training.embeddings`.

    labels None: self-supervised (NT-Xent, Chen et al. 2020, over all views). Else supervised
    (SupCon, Khosla et al. 2020, equation 2), cases and controls weighing the same in total; a
    patient of unknown label (-1) attracts the own views only. A missing kind is no view. Each
    encoder reads principal components; the projection that the loss looks at is thrown away
    afterwards, as both papers do.
    """
    import torch

    generator = torch.Generator().manual_seed(seed)
    blocks = training.embeddings
    fronts = [_front(block, _COMPONENTS_PER_DIMENSION * dimensions, seed) for block in blocks]
    inputs = [forward((front,), block.vectors) for front, block in zip(fronts, blocks, strict=True)]
    encoders = [
        [
            linear(front.weight.shape[1], settings.hidden, generator),
            linear(settings.hidden, dimensions, generator),
        ]
        for front in fronts
    ]
    head = linear(dimensions, dimensions, generator)
    groups = _groups(len(training), labels)
    weights = _weights(len(training), labels)

    def loss_of(rows: IndexVector, learning: bool) -> Tensor | None:
        views, owners = [], []
        for block, components, encoder in zip(blocks, inputs, encoders, strict=True):
            there = rows[~block.missing[rows]]
            view = torch.from_numpy(components[there])
            if learning:
                kept = torch.rand(view.shape, generator=generator) >= _INPUT_DROPOUT
                view = view * kept / (1 - _INPUT_DROPOUT)
            views.append(head(through(encoder, view)))
            owners.append(there)
        owner = np.concatenate(owners)
        return contrastive_loss(
            torch.cat(views),
            torch.from_numpy(groups[owner]),
            torch.from_numpy(weights[owner]),
            _TEMPERATURE,
        )

    everyone = np.arange(len(training), dtype=np.int64)
    strata = everyone * 0 if labels is None else labels.astype(np.int64)
    split = inner_split(everyone, strata, settings.held_out_share, seed)
    modules = [layer for encoder in encoders for layer in encoder]
    train([*modules, head], loss_of, split, settings, generator)
    return tuple(
        _behind(front, dense_layers(encoder))
        for front, encoder in zip(fronts, encoders, strict=True)
    )


def contrastive_loss(
    views: Tensor, groups: Tensor, weights: Tensor, temperature: float
) -> Tensor | None:
    """Return the mean over views of -log softmax of similarity, averaged over views of its group.

    views float32 (n, d), any length; groups int64 (n,); weights float32 (n,). A view that is alone
    in its group is compared with, not asked; None when all are alone. Method: Khosla et al. 2020,
    equation 2, which with one group a patient is NT-Xent over several views.
    """
    import torch

    unit = torch.nn.functional.normalize(views, dim=1)
    similarity = unit @ unit.T / temperature
    itself = torch.eye(len(views), dtype=torch.bool)
    log_share = similarity.masked_fill(itself, -torch.inf).log_softmax(dim=1)
    positive = (groups[:, None] == groups[None, :]) & ~itself
    positives = positive.sum(dim=1)
    asked = positives > 0
    if not bool(asked.any()):
        return None
    loss = -log_share.masked_fill(~positive, 0.0).sum(dim=1)[asked] / positives[asked]
    weight = weights[asked]
    return (loss * weight).sum() / weight.sum()


def _front(block: EmbeddingBlock, components: int, seed: int) -> DenseLayer:
    """Return the map to principal components whose mean square is 1, strong ones kept strong."""
    layer = principal_components(block, components, seed)
    scores = forward((layer,), block.vectors[~block.missing])
    spread = np.float32(np.sqrt((scores**2).mean())) if scores.size else np.float32(0)
    spread = spread or np.float32(1)
    return DenseLayer(layer.weight / spread, layer.bias / spread)


def _behind(front: DenseLayer, layers: tuple[DenseLayer, ...]) -> tuple[DenseLayer, ...]:
    """Return layers that take what comes before the front: two linear maps are one."""
    first, *others = layers
    joined = DenseLayer(front.weight @ first.weight, front.bias @ first.weight + first.bias)
    return (joined, *others)


def _groups(patients: int, labels: Labels | None) -> IndexVector:
    own = np.arange(2, patients + 2, dtype=np.int64)
    if labels is None:
        return own
    return np.where(labels < 0, own, labels.astype(np.int64))


def _weights(patients: int, labels: Labels | None) -> np.ndarray:
    weights = np.ones(patients, dtype=np.float32)
    if labels is None:
        return weights
    for value in (0, 1):
        members = labels == value
        if members.any():
            weights[members] = (labels >= 0).sum() / (2 * members.sum())
    return weights
