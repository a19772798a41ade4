"""Checkpoints: a training's state on disk as safetensors and JSON, whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from learn_assets.digests import file_digest
from learn_assets.staging import private_folder, staged_folder_of_ours

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.optim import Optimizer

_PARAMETERS, _OPTIMIZER, _BEST = (
    f"{name}.safetensors" for name in ("parameters", "optimizer", "best")
)
_STATE = "state.json"
_PREFIX = "step-"


class CheckpointError(RuntimeError):
    """A checkpoint is damaged; says which folder and what to do."""


@dataclass(frozen=True)
class Evaluation:
    """One look at the held-out admissions, after `step` steps and `epoch` passes.

    training_loss: mean over the steps since the look before; None before the first step.
    """

    epoch: int
    step: int
    training_loss: float | None
    held_out_loss: float


@dataclass(frozen=True)
class TrainingState:
    """Where a training stands. What is drawn at a step follows from seed and step alone."""

    step: int = 0
    loss_sum: float = 0.0
    loss_steps: int = 0
    evaluations: tuple[Evaluation, ...] = ()

    @property
    def best(self) -> Evaluation:
        """Return the first look with the lowest held-out loss."""
        return min(self.evaluations, key=lambda one: one.held_out_loss)

    @property
    def waited(self) -> int:
        """Return how many looks came after the best one."""
        return len(self.evaluations) - 1 - self.evaluations.index(self.best)

    def after_step(self, loss: float) -> TrainingState:
        """Return the state one step later."""
        return replace(
            self,
            step=self.step + 1,
            loss_sum=self.loss_sum + loss,
            loss_steps=self.loss_steps + 1,
        )

    def after_look(self, epoch: int, held_out_loss: float) -> TrainingState:
        """Return the state with one more look at the held-out admissions."""
        mean = self.loss_sum / self.loss_steps if self.loss_steps else None
        look = Evaluation(epoch, self.step, mean, held_out_loss)
        return replace(self, loss_sum=0.0, loss_steps=0, evaluations=(*self.evaluations, look))


@dataclass(frozen=True)
class Checkpoints:
    """The checkpoints of one training in a folder; those made from other inputs do not count.

    inputs: fingerprint of texts, options and code that the training follows from.
    """

    folder: Path
    inputs: str

    def save(
        self,
        state: TrainingState,
        module: nn.Module,
        optimizer: Optimizer,
        best: Mapping[str, Tensor],
    ) -> None:
        """Write a checkpoint beside the older ones, then remove those."""
        from safetensors.torch import save_file

        private_folder(self.folder)
        final = self.folder / f"{_PREFIX}{state.step:09d}-{len(state.evaluations):06d}"
        if final.exists():
            return
        with staged_folder_of_ours(self.folder) as temporary:
            staged = temporary / "checkpoint"
            staged.mkdir(mode=0o700)
            save_file(parameters_of(module), staged / _PARAMETERS)
            save_file(_moments(module, optimizer), staged / _OPTIMIZER)
            save_file(dict(best), staged / _BEST)
            hashes = {file.name: file_digest(file) for file in sorted(staged.iterdir())}
            content = {"inputs": self.inputs, "state": asdict(state), "files": hashes}
            (staged / _STATE).write_text(json.dumps(content), encoding="utf-8")
            for file in staged.iterdir():
                _sync(file)
            staged.replace(final)
        self._remove_all_but(final)

    def restore(
        self, module: nn.Module, optimizer: Optimizer
    ) -> tuple[TrainingState, dict[str, Tensor]] | None:
        """Put module and optimizer where they stood; return the state and the best parameters.

        None without a checkpoint of these inputs. CheckpointError when its files were changed.
        """
        from safetensors.torch import load_file

        found = self._latest()
        if found is None:
            return None
        folder, content = found
        for name, digest in content["files"].items():
            if not (folder / name).is_file() or file_digest(folder / name) != digest:
                raise CheckpointError(
                    f"{folder}: {name} is not what was written; remove this folder to train anew"
                )
        load_parameters(module, load_file(folder / _PARAMETERS))
        _load_moments(module, optimizer, load_file(folder / _OPTIMIZER))
        state = content["state"]
        looks = tuple(Evaluation(**look) for look in state.pop("evaluations"))
        return TrainingState(**state, evaluations=looks), load_file(folder / _BEST)

    def clear(self) -> None:
        """Remove every checkpoint: the training has ended."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _latest(self) -> tuple[Path, dict[str, Any]] | None:
        for folder in sorted(self.folder.glob(f"{_PREFIX}*"), reverse=True):
            content = json.loads((folder / _STATE).read_text(encoding="utf-8"))
            if content["inputs"] == self.inputs:
                return folder, content
        return None

    def _remove_all_but(self, kept: Path) -> None:
        for folder in self.folder.glob(f"{_PREFIX}*"):
            if folder != kept:
                shutil.rmtree(folder, ignore_errors=True)


def parameters_of(module: nn.Module) -> dict[str, Tensor]:
    """Return a copy of each parameter by name, on the processor; tied ones stand once."""
    return {
        name: parameter.detach().cpu().clone().contiguous()
        for name, parameter in module.named_parameters()
    }


def load_parameters(module: nn.Module, parameters: Mapping[str, Tensor]) -> None:
    """Set every parameter of a module; ValueError when names or shapes are others."""
    import torch

    own = dict(module.named_parameters())
    if own.keys() != parameters.keys():
        raise ValueError("the parameters belong to a model of another make")
    with torch.no_grad():
        for name, parameter in own.items():
            if parameter.shape != parameters[name].shape:
                raise ValueError(f"{name}: the parameters belong to a model of another size")
            parameter.copy_(parameters[name])


def _moments(module: nn.Module, optimizer: Optimizer) -> dict[str, Tensor]:
    return {
        f"{name}/{key}": value.detach().cpu().clone().contiguous()
        for name, parameter in module.named_parameters()
        for key, value in optimizer.state.get(parameter, {}).items()
    }


def _load_moments(module: nn.Module, optimizer: Optimizer, moments: Mapping[str, Tensor]) -> None:
    places = {
        id(parameter): place
        for place, parameter in enumerate(
            p for group in optimizer.param_groups for p in group["params"]
        )
    }
    state: dict[int, dict[str, Tensor]] = {}
    names = {name: places[id(parameter)] for name, parameter in module.named_parameters()}
    for entry, value in moments.items():
        name, key = entry.rsplit("/", 1)
        state.setdefault(names[name], {})[key] = value
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})


def _sync(path: Path) -> None:
    with path.open("rb") as handle:
        os.fsync(handle.fileno())
