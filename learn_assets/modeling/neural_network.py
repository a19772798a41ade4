"""Multilayer perceptron in torch: seeded, fed by tensor slices, stored as safetensors."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from learn_assets.modeling.arrays import (
    FloatMatrix,
    FloatVector,
    Labels,
    balanced_weights,
    read_arrays,
    weighted_log_loss,
    write_arrays,
)
from learn_assets.modeling.platt import PlattScaling, fit_platt, inner_folds

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn
    from torch.optim import Optimizer

_BATCH_NORM_EPSILON = 1e-5


@dataclass(frozen=True)
class Layer:
    """One layer at prediction time, batch norm folded into weight (inputs, outputs) and bias."""

    weight: FloatMatrix
    bias: FloatMatrix


@dataclass(frozen=True)
class NeuralNetwork:
    """Networks whose logits are averaged, and the scaling of that average."""

    networks: tuple[tuple[Layer, ...], ...]
    platt: PlattScaling

    carries_patient_rows: ClassVar[bool] = False

    def decision(self, matrix: FloatMatrix) -> FloatVector:
        """Return the mean logit of the networks, float64 (patients,)."""
        logits = [_forward(layers, matrix) for layers in self.networks]
        return np.asarray(np.mean(logits, axis=0), dtype=np.float64)

    def predict_probability(self, matrix: FloatMatrix) -> FloatVector:
        """Return the probability of being a case, float64 (patients,)."""
        return self.platt.probability(self.decision(matrix))

    def save(self, folder: Path) -> None:
        """Write the weights and the scaling."""
        arrays = {"platt": np.array([self.platt.intercept, self.platt.slope])}
        for number, layers in enumerate(self.networks):
            for depth, layer in enumerate(layers):
                arrays[f"{number}.{depth}.weight"] = layer.weight
                arrays[f"{number}.{depth}.bias"] = layer.bias
        sizes = [len(layers) for layers in self.networks]
        write_arrays(folder, arrays, {"layers": sizes})

    @classmethod
    def load(cls, folder: Path) -> NeuralNetwork:
        """Read what `save` wrote."""
        arrays, settings = read_arrays(folder)
        networks = tuple(
            tuple(
                Layer(arrays[f"{number}.{depth}.weight"], arrays[f"{number}.{depth}.bias"])
                for depth in range(size)
            )
            for number, size in enumerate(settings["layers"])
        )
        return cls(networks, PlattScaling(*(float(value) for value in arrays["platt"])))


@dataclass(frozen=True)
class NeuralNetworkSettings:
    """hidden: units a layer. dropout: rate after each hidden layer, the last repeated.

    ensemble_folds above 0: that many networks, each stopped early on the inner fold it did not see,
    whose logits also calibrate. 0: one network for all epochs, no early stop, no calibration.
    balanced: cases and controls weigh the same in total; calibration keeps the true share.
    """

    hidden: tuple[int, ...] = (32, 16)
    dropout: tuple[float, ...] = (0.3,)
    learning_rate: float = 3e-3
    weight_decay: float = 0.05
    decoupled_decay: bool = True
    clip_norm: float = 3.0
    epochs: int = 30
    patience: int = 3
    batch: int = 256
    ensemble_folds: int = 3
    balanced: bool = False

    def fit(self, matrix: FloatMatrix, labels: Labels, seed: int) -> NeuralNetwork:
        """Train on one thread; equal seed and rows give equal weights."""
        folds = inner_folds(labels, self.ensemble_folds, seed) if self.ensemble_folds else []
        if not folds:
            layers = _train(self, matrix, labels, None, seed)
            return NeuralNetwork((layers,), PlattScaling())
        networks = []
        held_out_logit = np.zeros(len(labels))
        for number, (training, held_out) in enumerate(folds):
            layers = _train(
                self,
                matrix[training],
                labels[training],
                (matrix[held_out], labels[held_out]),
                seed + number,
            )
            held_out_logit[held_out] = _forward(layers, matrix[held_out])
            networks.append(layers)
        return NeuralNetwork(tuple(networks), fit_platt(held_out_logit, labels))


def published_network(include_medication: bool) -> NeuralNetworkSettings:
    """Return the architecture and training LEARN published; wider when medications take part."""
    return NeuralNetworkSettings(
        hidden=(4096, 1024, 256, 64, 16, 4) if include_medication else (2048, 512, 128, 16, 4),
        dropout=(0.8, 0.6),
        learning_rate=1e-3,
        weight_decay=1e-4,
        decoupled_decay=False,
        clip_norm=3.0,
        epochs=60,
        batch=64,
        ensemble_folds=0,
    )


def _train(
    settings: NeuralNetworkSettings,
    matrix: FloatMatrix,
    labels: Labels,
    validation: tuple[FloatMatrix, Labels] | None,
    seed: int,
) -> tuple[Layer, ...]:
    """Return the trained layers, those of the best validation epoch when there is a validation."""
    import torch

    torch.set_num_threads(1)
    # An own generator: the global one is shared with whatever trains in another thread.
    generator = torch.Generator().manual_seed(seed)
    blocks = _initialized(matrix.shape[1], settings.hidden, generator)
    parameters = [parameter for block in blocks for parameter in block.parameters()]
    family = torch.optim.AdamW if settings.decoupled_decay else torch.optim.Adam
    optimizer = family(
        parameters, lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True
    )
    inputs = torch.from_numpy(np.ascontiguousarray(matrix))
    targets = torch.from_numpy(labels.astype(np.float32))
    weights = balanced_weights(labels) if settings.balanced else np.ones(len(labels))
    weight = torch.from_numpy(weights.astype(np.float32))
    best_loss, best_layers, waited = float("inf"), _folded(blocks), 0
    for _ in range(settings.epochs):
        _epoch(settings, blocks, optimizer, (inputs, targets, weight), generator)
        if validation is None:
            continue
        layers = _folded(blocks)
        judged = balanced_weights(validation[1]) if settings.balanced else None
        loss = weighted_log_loss(_forward(layers, validation[0]), validation[1], judged)
        waited = 0 if loss < best_loss else waited + 1
        if loss < best_loss:
            best_loss, best_layers = loss, layers
        if waited >= settings.patience:
            break
    return best_layers if validation is not None else _folded(blocks)


def _initialized(
    columns: int, hidden: tuple[int, ...], generator: Generator
) -> list[nn.Sequential]:
    """Return one block a layer: linear, and batch norm on every layer but the last."""
    from torch import nn

    blocks: list[nn.Sequential] = []
    sizes = [columns, *hidden, 1]
    for inputs, outputs in pairwise(sizes):
        linear = nn.utils.skip_init(nn.Linear, inputs, outputs)
        limit = 1.0 / float(np.sqrt(inputs))
        nn.init.uniform_(linear.weight, -limit, limit, generator=generator)
        nn.init.uniform_(linear.bias, -limit, limit, generator=generator)
        last = outputs == 1 and len(blocks) == len(hidden)
        norm = nn.BatchNorm1d(outputs, eps=_BATCH_NORM_EPSILON)
        blocks.append(nn.Sequential(linear) if last else nn.Sequential(linear, norm))
    return blocks


def _epoch(
    settings: NeuralNetworkSettings,
    blocks: list[nn.Sequential],
    optimizer: Optimizer,
    rows_targets_weights: tuple[Tensor, Tensor, Tensor],
    generator: Generator,
) -> None:
    """Pass once over the rows in a new order."""
    import torch
    from torch import nn

    inputs, targets, weights = rows_targets_weights
    parameters = [parameter for block in blocks for parameter in block.parameters()]
    order = torch.randperm(len(inputs), generator=generator)
    for start in range(0, len(inputs), settings.batch):
        rows = order[start : start + settings.batch]
        if len(rows) < 2:  # batch norm has no variance over one row
            continue
        logits = _training_forward(blocks, settings.dropout, inputs[rows], generator)
        loss = nn.functional.binary_cross_entropy_with_logits(
            logits, targets[rows], weight=weights[rows]
        )
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, settings.clip_norm)
        optimizer.step()


def _training_forward(
    blocks: list[nn.Sequential], dropout: tuple[float, ...], rows: Tensor, generator: Generator
) -> Tensor:
    import torch
    from torch import nn

    for depth, block in enumerate(blocks[:-1]):
        rows = nn.functional.relu6(block(rows))
        kept = 1.0 - dropout[min(depth, len(dropout) - 1)]
        rows = rows * (torch.rand(rows.shape, generator=generator) < kept) / kept
    logits: Tensor = blocks[-1](rows).squeeze(1)
    return logits


def _folded(blocks: list[nn.Sequential]) -> tuple[Layer, ...]:
    """Return the layers with the running batch-norm statistics folded into weight and bias."""
    layers = []
    for block in blocks:
        tensors = block.state_dict().items()
        state = {name: tensor.detach().numpy().copy() for name, tensor in tensors}
        weight, bias = state["0.weight"].T, state["0.bias"]
        if "1.weight" in state:
            gain = state["1.weight"] / np.sqrt(state["1.running_var"] + _BATCH_NORM_EPSILON)
            weight = weight * gain
            bias = (bias - state["1.running_mean"]) * gain + state["1.bias"]
        layers.append(Layer(np.ascontiguousarray(weight, dtype=np.float32), bias))
    return tuple(layers)


def _forward(layers: tuple[Layer, ...], matrix: FloatMatrix) -> FloatVector:
    rows = matrix
    for layer in layers[:-1]:
        rows = np.clip(rows @ layer.weight + layer.bias, 0.0, 6.0)
    last = layers[-1]
    return np.asarray((rows @ last.weight + last.bias)[:, 0], dtype=np.float64)
