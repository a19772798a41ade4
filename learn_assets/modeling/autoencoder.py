"""Autoencoder: a short code of a kind's vectors from which the vectors can be told best."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from learn_assets.modeling.arrays import IndexVector
from learn_assets.modeling.features import EmbeddingBlock
from learn_assets.modeling.kind_encoders import DenseLayer
from learn_assets.modeling.network_training import (
    TrainingSettings,
    dense_layers,
    inner_split,
    linear,
    scaling_of,
    through,
    train,
)

if TYPE_CHECKING:
    from torch import Tensor


def fit_autoencoder(
    block: EmbeddingBlock, dimensions: int, settings: TrainingSettings, seed: int
) -> tuple[DenseLayer, ...]:
    """Return an encoder fitted to the patients who have the kind; labels play no part.

    Method: one hidden layer on each side of the code (Hinton & Salakhutdinov 2006), AdamW, mean
    squared error.
    """
    import torch

    generator = torch.Generator().manual_seed(seed)
    scaling = scaling_of(block)
    sizes = (block.dimensions, settings.hidden, dimensions)
    encoder = [linear(sizes[0], sizes[1], generator), linear(sizes[1], sizes[2], generator)]
    decoder = [linear(sizes[2], sizes[1], generator), linear(sizes[1], sizes[0], generator)]

    def loss_of(rows: IndexVector, training: bool) -> Tensor:
        del training
        scaled = torch.from_numpy(scaling.of(block.vectors[rows]))
        told = through(decoder, through(encoder, scaled))
        return torch.nn.functional.mse_loss(told, scaled)

    present = np.flatnonzero(~block.missing).astype(np.int64)
    split = inner_split(present, np.zeros_like(present), settings.held_out_share, seed)
    train([*encoder, *decoder], loss_of, split, settings, generator)
    return dense_layers(encoder, scaling)
