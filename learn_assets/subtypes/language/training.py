"""Training: the loop both trainings share, with early stop and checkpoints, the same when resumed.

What is drawn at a step (order, masks, views, dropout) follows from the seed and the number of the
step alone, so a checkpoint needs no state of a random generator.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from learn_assets.study.language_model import TrainingOptions
from learn_assets.subtypes.language.checkpoints import (
    Checkpoints,
    Evaluation,
    TrainingState,
    load_parameters,
    parameters_of,
)

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.optim import Optimizer

Rows = npt.NDArray[np.int64]

# Transformers' own defaults.
_CLIP_NORM = 1.0
_UNDECAYED = ("bias", "LayerNorm.weight", "layer_norm.weight")
_SORTED_BATCHES = 16
_ORDER, _STEP = 1, 2

# What a kill costs at most, besides the pass whose end is always kept.
CHECKPOINT_SECONDS = 300.0


class Objective(Protocol):
    """What is trained, and what its losses are."""

    @property
    def module(self) -> nn.Module:
        """The module whose parameters are learned."""

    @property
    def lengths(self) -> Rows:
        """Tokens of each admission that is learned from."""

    def loss(self, rows: Rows, generator: np.random.Generator) -> Tensor:
        """Return the loss of some admissions, drawing from the generator."""

    def held_out_loss(self) -> float:
        """Return the mean loss of all held-out admissions, the same draws at every look."""


@dataclass(frozen=True)
class Trained:
    """How a training went, and the parameters of its best look."""

    evaluations: tuple[Evaluation, ...]
    best: Evaluation
    parameters: dict[str, Tensor]


def train(
    objective: Objective,
    options: TrainingOptions,
    seed: int,
    checkpoints: Checkpoints,
    *,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
) -> Trained:
    """Train until the held-out loss no longer falls, or for all passes; resume where it stood.

    AdamW (no decay of biases and norms), linear warm-up and decay, gradients clipped to norm 1. The
    held-out admissions are looked at before the first step and after each pass.
    """
    optimizer = _optimizer(objective.module, options)
    batches = -(-len(objective.lengths) // options.batch)
    restored = checkpoints.restore(objective.module, optimizer)
    if restored is None:
        state = TrainingState().after_look(0, objective.held_out_loss())
        best = parameters_of(objective.module)
    else:
        state, best = restored
    saved, order = time.monotonic(), list[Rows]()
    with _own_randomness(objective.module):
        while state.step < batches * options.epochs and state.waited < options.patience:
            epoch, place = divmod(state.step, batches)
            if place == 0 or not order:
                order = training_batches(objective.lengths, options.batch, seed, epoch)
            where = (seed, state.step, batches)
            state = state.after_step(_step(objective, optimizer, order[place], options, where))
            if state.step % batches == 0:
                state = state.after_look(epoch + 1, objective.held_out_loss())
                if state.waited == 0:
                    best = parameters_of(objective.module)
            elif time.monotonic() - saved < checkpoint_seconds:
                continue
            checkpoints.save(state, objective.module, optimizer, best)
            saved = time.monotonic()
    load_parameters(objective.module, best)
    return Trained(state.evaluations, state.best, best)


def training_batches(lengths: Rows, batch: int, seed: int, epoch: int) -> list[Rows]:
    """Return the rows of each step of a pass, in an order of its own.

    A batch holds admissions of similar length, so little of it is padding, and in a contrastive
    batch length does not tell admissions apart.
    """
    generator = np.random.default_rng([seed, _ORDER, epoch])
    order = generator.permutation(len(lengths))
    wide = batch * _SORTED_BATCHES
    gathered = [order[start : start + wide] for start in range(0, len(order), wide)]
    by_length = np.concatenate(
        [part[np.argsort(lengths[part], kind="stable")] for part in gathered]
    )
    batches = [by_length[start : start + batch] for start in range(0, len(by_length), batch)]
    return [batches[place] for place in generator.permutation(len(batches))]


def _step(
    objective: Objective,
    optimizer: Optimizer,
    rows: Rows,
    options: TrainingOptions,
    place: tuple[int, int, int],
) -> float:
    """Take one step and return its loss."""
    import torch

    seed, step, batches = place
    generator = np.random.default_rng([seed, _STEP, step])
    torch.manual_seed(int(generator.integers(2**62)))
    rate = options.learning_rate * _rate(step, batches * options.epochs, options.warmup_share)
    for group in optimizer.param_groups:
        group["lr"] = rate
    objective.module.train()
    loss = objective.loss(rows, generator)
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(objective.module.parameters(), _CLIP_NORM)
    optimizer.step()
    return float(loss.detach())


def _rate(step: int, steps: int, warmup_share: float) -> float:
    """Return the share of the highest rate: up in a line, then down in a line to 0."""
    warmup = int(warmup_share * steps)
    if step < warmup:
        return (step + 1) / warmup
    return (steps - step) / max(1, steps - warmup)


def _optimizer(module: nn.Module, options: TrainingOptions) -> Optimizer:
    import torch

    named = list(module.named_parameters())
    kept = [parameter for name, parameter in named if name.endswith(_UNDECAYED)]
    decayed = [parameter for name, parameter in named if not name.endswith(_UNDECAYED)]
    groups = [
        {"params": decayed, "weight_decay": options.weight_decay},
        {"params": kept, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=options.learning_rate, fused=True)


@contextmanager
def _own_randomness(module: nn.Module) -> Iterator[None]:
    """Give torch's global generators back as they were: dropout draws from nothing else."""
    import torch

    device = next(module.parameters()).device
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        yield
