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
# Below this, converting the weights of a layer costs more than multiplying by them.
_SMALLEST_HALVED = 100_000


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
    bfloat16: wide layers multiply in bfloat16 where the processor does so natively; the weights
    that are updated and kept stay float32.
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
    bfloat16: bool = False

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
        bfloat16=True,
    )


def multiplies_bfloat16() -> bool:
    """Return whether this processor multiplies bfloat16 natively; elsewhere it would be slower."""
    import torch

    capabilities: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


@dataclass(frozen=True)
class _Weights:
    """Parameters of the network, and the float32 tensors that the optimizer updates for them.

    Both are the same tensor, except where the network multiplies in bfloat16.
    """

    blocks: list[nn.Sequential]
    used: list[nn.Parameter]
    updated: list[Tensor]

    @classmethod
    def of(cls, blocks: list[nn.Sequential], *, bfloat16: bool) -> _Weights:
        used = [parameter for block in blocks for parameter in block.parameters()]
        updated: list[Tensor] = list(used)
        for number, parameter in enumerate(used):
            if bfloat16 and parameter.ndim == 2 and parameter.numel() >= _SMALLEST_HALVED:
                updated[number] = full = parameter.detach().clone()
                # Kept from step to step: fresh memory of this size costs more than the product.
                full.grad = full.new_zeros(full.shape)
                parameter.data = full.bfloat16()
        return cls(blocks, used, updated)

    @property
    def halved(self) -> list[tuple[nn.Parameter, Tensor]]:
        """The pairs whose two sides differ."""
        pairs = zip(self.used, self.updated, strict=True)
        return [(used, full) for used, full in pairs if used is not full]

    def forget_gradients(self) -> None:
        """Drop the gradients of the step before."""
        for used in self.used:
            used.grad = None

    def step(self, optimizer: Optimizer, clip_norm: float) -> None:
        """Update by the clipped gradients."""
        from torch import nn

        halved = self.halved
        for used, full in halved:
            if full.grad is not None and used.grad is not None:
                full.grad.copy_(used.grad)
        nn.utils.clip_grad_norm_(self.updated, clip_norm)
        optimizer.step()
        for used, full in halved:
            used.data.copy_(full)

    def folded(self) -> tuple[Layer, ...]:
        """Return the layers with running batch-norm statistics folded into weight and bias."""
        full = {id(used): updated for used, updated in zip(self.used, self.updated, strict=True)}
        return tuple(_folded(block, full[id(block[0].weight)]) for block in self.blocks)


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
    weights = _Weights.of(
        _initialized(matrix.shape[1], settings.hidden, generator),
        bfloat16=settings.bfloat16 and multiplies_bfloat16(),
    )
    family = torch.optim.AdamW if settings.decoupled_decay else torch.optim.Adam
    optimizer = family(
        weights.updated, lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True
    )
    importance = balanced_weights(labels) if settings.balanced else np.ones(len(labels))
    rows = _Rows(
        torch.from_numpy(np.ascontiguousarray(matrix)),
        torch.from_numpy(labels.astype(np.float32)),
        torch.from_numpy(importance.astype(np.float32)),
    )
    best_loss, best_layers, waited = float("inf"), weights.folded(), 0
    for _ in range(settings.epochs):
        _epoch(settings, weights, optimizer, rows, generator)
        if validation is None:
            continue
        layers = weights.folded()
        judged = balanced_weights(validation[1]) if settings.balanced else None
        loss = weighted_log_loss(_forward(layers, validation[0]), validation[1], judged)
        waited = 0 if loss < best_loss else waited + 1
        if loss < best_loss:
            best_loss, best_layers = loss, layers
        if waited >= settings.patience:
            break
    return best_layers if validation is not None else weights.folded()


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


@dataclass(frozen=True)
class _Rows:
    """Training rows: inputs (rows, columns), targets and importance (rows)."""

    inputs: Tensor
    targets: Tensor
    importance: Tensor


def _epoch(
    settings: NeuralNetworkSettings,
    weights: _Weights,
    optimizer: Optimizer,
    rows: _Rows,
    generator: Generator,
) -> None:
    """Pass once over the rows in a new order."""
    import torch
    from torch import nn

    halves = bool(weights.halved)
    order = torch.randperm(len(rows.inputs), generator=generator)
    for start in range(0, len(order), settings.batch):
        drawn = order[start : start + settings.batch]
        if len(drawn) < 2:  # batch norm has no variance over one row
            continue
        with torch.autocast("cpu", torch.bfloat16, enabled=halves):
            logits = _training_forward(
                weights.blocks, settings.dropout, rows.inputs[drawn], generator
            )
        loss = nn.functional.binary_cross_entropy_with_logits(
            logits.float(), rows.targets[drawn], weight=rows.importance[drawn]
        )
        weights.forget_gradients()
        loss.backward()
        weights.step(optimizer, settings.clip_norm)


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


def _folded(block: nn.Sequential, trained: Tensor) -> Layer:
    """Return a layer with running batch-norm statistics folded into weight and bias."""
    tensors = block.state_dict().items()
    state = {name: tensor.detach().numpy().copy() for name, tensor in tensors if name != "0.weight"}
    weight, bias = trained.detach().numpy().copy().T, state["0.bias"]
    if "1.weight" in state:
        gain = state["1.weight"] / np.sqrt(state["1.running_var"] + _BATCH_NORM_EPSILON)
        weight = weight * gain
        bias = (bias - state["1.running_mean"]) * gain + state["1.bias"]
    return Layer(np.ascontiguousarray(weight, dtype=np.float32), bias)


def _forward(layers: tuple[Layer, ...], matrix: FloatMatrix) -> FloatVector:
    rows = matrix
    for layer in layers[:-1]:
        rows = np.clip(rows @ layer.weight + layer.bias, 0.0, 6.0)
    last = layers[-1]
    return np.asarray((rows @ last.weight + last.bias)[:, 0], dtype=np.float64)
