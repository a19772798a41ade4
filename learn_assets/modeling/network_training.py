"""Network training: small encoders trained on one thread, stopped early on an inner held-out part.

What belongs here: what the autoencoder and the contrastive encoders share. Rows are read batch by
batch, so memory beyond the vectors themselves does not grow with the number of patients.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from learn_assets.modeling.arrays import FloatMatrix, IndexVector
from learn_assets.modeling.features import EmbeddingBlock
from learn_assets.modeling.kind_encoders import DenseLayer

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn

_LARGEST_HELD_OUT = 512
_FEWEST_HELD_OUT = 8
_ROWS_AT_A_TIME = 1024

# Loss of some rows, while training or not; None when these rows have nothing to learn from.
LossOfRows = Callable[[IndexVector, bool], "Tensor | None"]


@dataclass(frozen=True)
class TrainingSettings:
    """hidden: units between vector and code. patience: epochs without a better held-out loss.

    held_out_share: part of the training patients on which training is stopped.
    """

    hidden: int = 128
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    batch: int = 256
    epochs: int = 60
    patience: int = 5
    held_out_share: float = 0.15


@dataclass(frozen=True)
class Scaling:
    """Center of each dimension and one spread of all, of the patients who have the kind."""

    center: FloatMatrix
    spread: float

    def of(self, rows: FloatMatrix) -> FloatMatrix:
        """Return rows with mean 0 and, over all dimensions, mean square 1."""
        return (rows - self.center) / np.float32(self.spread)


def scaling_of(block: EmbeddingBlock) -> Scaling:
    """Return center and spread of a kind's vectors; one spread keeps strong dimensions strong."""
    present = np.flatnonzero(~block.missing)
    if not len(present):
        return Scaling(np.zeros(block.dimensions, dtype=np.float32), 1.0)
    total, squares = np.zeros(block.dimensions), 0.0
    for start in range(0, len(present), _ROWS_AT_A_TIME):
        rows = block.vectors[present[start : start + _ROWS_AT_A_TIME]].astype(np.float64)
        total += rows.sum(axis=0)
        squares += float((rows**2).sum())
    center = total / len(present)
    variance = squares / (len(present) * block.dimensions) - float((center**2).mean())
    spread = float(np.sqrt(max(variance, 0.0)))
    return Scaling(center.astype(np.float32), spread or 1.0)


def inner_split(
    rows: IndexVector, strata: IndexVector, share: float, seed: int
) -> tuple[IndexVector, IndexVector]:
    """Return rows to train on and rows to stop on, drawn from each stratum alike.

    No row to stop on when there would be a handful only.
    """
    random = np.random.default_rng(seed)
    held_out: list[int] = []
    share = min(share, _LARGEST_HELD_OUT / max(len(rows), 1))
    for stratum in np.unique(strata):
        members = random.permutation(np.flatnonzero(strata == stratum))
        held_out += members[: round(share * len(members))].tolist()
    if len(held_out) < _FEWEST_HELD_OUT:
        return rows, rows[:0]
    chosen = np.zeros(len(rows), dtype=np.bool_)
    chosen[held_out] = True
    return rows[~chosen], rows[chosen]


def train(
    modules: Sequence[nn.Linear],
    loss_of: LossOfRows,
    split: tuple[IndexVector, IndexVector],
    settings: TrainingSettings,
    generator: Generator,
) -> None:
    """Train the modules in place and leave them as they were at their best held-out loss.

    Without rows to stop on, training takes as many epochs as patience has.
    """
    import torch

    torch.set_num_threads(1)
    training, held_out = split
    parameters = [parameter for module in modules for parameter in module.parameters()]
    optimizer = torch.optim.AdamW(
        parameters, lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True
    )
    best, best_loss, waited = _copied(parameters), _held_out_loss(loss_of, held_out), 0
    for _ in range(settings.epochs if len(held_out) else settings.patience):
        order = torch.randperm(len(training), generator=generator).numpy()
        for start in range(0, len(order), settings.batch):
            loss = loss_of(training[order[start : start + settings.batch]], True)
            if loss is None:
                continue
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        if not len(held_out):
            best = _copied(parameters)
            continue
        loss_now = _held_out_loss(loss_of, held_out)
        waited = 0 if loss_now < best_loss else waited + 1
        if loss_now < best_loss:
            best, best_loss = _copied(parameters), loss_now
        if waited >= settings.patience:
            break
    with torch.no_grad():
        for parameter, value in zip(parameters, best, strict=True):
            parameter.copy_(value)


def linear(inputs: int, outputs: int, generator: Generator) -> nn.Linear:
    """Return a linear layer whose first weights come from the generator alone."""
    from torch import nn

    layer = nn.utils.skip_init(nn.Linear, inputs, outputs)
    limit = 1.0 / float(np.sqrt(inputs))
    nn.init.uniform_(layer.weight, -limit, limit, generator=generator)
    nn.init.zeros_(layer.bias)
    return layer


def dense_layers(
    modules: Sequence[nn.Linear], scaling: Scaling | None = None
) -> tuple[DenseLayer, ...]:
    """Return the modules as plain layers, the scaling of their input folded into the first."""
    layers = []
    for number, module in enumerate(modules):
        weight = module.weight.detach().numpy().T.astype(np.float64)
        bias = module.bias.detach().numpy().astype(np.float64)
        if number == 0 and scaling is not None:
            weight = weight / scaling.spread
            bias = bias - scaling.center @ weight
        layers.append(DenseLayer(weight.astype(np.float32), bias.astype(np.float32)))
    return tuple(layers)


def through(modules: Sequence[nn.Linear], rows: Tensor) -> Tensor:
    """Return what the last module gives, with ReLU between them."""
    for module in modules[:-1]:
        rows = module(rows).relu()
    result: Tensor = modules[-1](rows)
    return result


def _held_out_loss(loss_of: LossOfRows, rows: IndexVector) -> float:
    import torch

    if not len(rows):
        return float("inf")
    with torch.no_grad():
        loss = loss_of(rows, False)
    return float("inf") if loss is None else float(loss)


def _copied(parameters: Sequence[nn.Parameter]) -> list[Tensor]:
    return [parameter.detach().clone() for parameter in parameters]
