"""Training: it learns, stops early, is the same every time and after a kill, without pickle."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch

from learn_assets.study.language_model import MaskedOptions
from learn_assets.subtypes.language.checkpoints import CheckpointError, Checkpoints, TrainingState
from learn_assets.subtypes.language.training import Trained, train, training_batches
from learn_assets_tests.subtypes.language import kill_script

REPOSITORY = Path(__file__).parents[3]


@dataclass
class Line:
    """A line through points, with dropout, so that random numbers decide where it ends up."""

    stop_after: int | None = None
    steps: int = 0
    lengths: np.ndarray = field(default_factory=lambda: np.arange(40) % 7)

    def __post_init__(self) -> None:
        generator = torch.Generator().manual_seed(0)
        self.inputs = torch.randn(40, 3, generator=generator)
        self.targets = self.inputs @ torch.tensor([1.0, -2.0, 0.5])
        layer = torch.nn.Linear(3, 1)
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
        self.module = torch.nn.Sequential(torch.nn.Dropout(0.2), layer)

    def loss(self, rows: np.ndarray, generator: np.random.Generator) -> torch.Tensor:
        if self.steps == self.stop_after:
            raise KeyboardInterrupt
        self.steps += 1
        shift = float(generator.normal(scale=0.1))
        return (self.module(self.inputs[rows])[:, 0] + shift - self.targets[rows]).square().mean()

    def held_out_loss(self) -> float:
        self.module.eval()
        with torch.inference_mode():
            return float((self.module(self.inputs)[:, 0] - self.targets).square().mean())


OPTIONS = MaskedOptions(learning_rate=0.1, batch=6, epochs=3, patience=5)


def trained(folder: Path, line: Line, options: MaskedOptions = OPTIONS) -> Trained:
    return train(line, options, 3, Checkpoints(folder, "inputs"), checkpoint_seconds=0.0)


def test_a_stopped_training_ends_where_an_unbroken_one_does(tmp_path: Path) -> None:
    unbroken = trained(tmp_path / "a", Line())
    for stop_after in (3, 7, 16):
        folder = tmp_path / f"stopped {stop_after}"
        with pytest.raises(KeyboardInterrupt):
            trained(folder, Line(stop_after=stop_after))
        resumed = Line()
        again = trained(folder, resumed)
        assert again.evaluations == unbroken.evaluations
        assert resumed.steps == 7 * 3 - stop_after
        for name, value in unbroken.parameters.items():
            assert torch.equal(again.parameters[name], value)


def test_checkpoints_of_other_inputs_do_not_count_and_damaged_ones_are_refused(
    tmp_path: Path,
) -> None:
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path, Line(stop_after=10))
    fresh = Line()
    other = Checkpoints(tmp_path, "other inputs")
    assert other.restore(fresh.module, torch.optim.AdamW(fresh.module.parameters())) is None
    (file,) = tmp_path.glob("step-*/optimizer.safetensors")
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"optimizer\.safetensors is not what was written"):
        trained(tmp_path, Line())


def test_a_checkpoint_is_safetensors_and_json_and_only_the_last_stays(tmp_path: Path) -> None:
    home = tmp_path / "checkpoints"
    trained(home, Line())
    (folder,) = home.iterdir()
    assert {file.name for file in folder.iterdir()} == {
        "parameters.safetensors",
        "optimizer.safetensors",
        "best.safetensors",
        "state.json",
    }
    for file in folder.glob("*.safetensors"):
        # Eight bytes of length, then JSON: what the format begins with; no pickle does.
        assert file.read_bytes()[8:9] == b"{"


def test_training_stops_when_the_held_out_loss_no_longer_falls(tmp_path: Path) -> None:
    @dataclass
    class Worse(Line):
        looks: int = 0

        def held_out_loss(self) -> float:
            self.looks += 1
            return [5.0, 3.0, 4.0, 3.5, 6.0, 1.0][self.looks - 1]

    line = Worse()
    result = trained(tmp_path, line, OPTIONS.model_copy(update={"patience": 2, "epochs": 5}))
    assert [look.held_out_loss for look in result.evaluations] == [5.0, 3.0, 4.0, 3.5]
    assert (result.best.epoch, result.best.held_out_loss) == (1, 3.0)
    # The weights are those of the best look, not of the last.
    assert torch.equal(line.module[1].weight, result.parameters["1.weight"])


def test_the_state_counts_looks_since_the_best() -> None:
    state = TrainingState().after_look(0, 2.0).after_step(1.0).after_step(3.0)
    state = state.after_look(1, 1.5).after_look(2, 1.5)
    assert (state.best.epoch, state.waited) == (1, 1)
    assert [look.training_loss for look in state.evaluations] == [None, 2.0, None]


def test_batches_hold_everyone_once_by_similar_length_in_a_new_order() -> None:
    lengths = np.random.default_rng(0).integers(5, 200, size=500)
    first, second = (training_batches(lengths, 16, 1, epoch) for epoch in (0, 1))
    assert sorted(np.concatenate(first).tolist()) == list(range(500))
    assert [b.tolist() for b in first] != [b.tolist() for b in second]
    assert [b.tolist() for b in first] == [b.tolist() for b in training_batches(lengths, 16, 1, 0)]
    spread = np.mean([np.ptp(lengths[batch]) for batch in first])
    assert spread < np.ptp(lengths) / 4


@pytest.mark.slow
def test_a_killed_training_of_both_models_ends_in_the_same_bytes(tmp_path: Path) -> None:
    whole = kill_script.run(tmp_path / "whole")
    assert whole["masked"][-1] < whole["masked"][0]
    assert whole["contrastive"][-1] < whole["contrastive"][0]
    folder = tmp_path / "killed"
    # In the second pass of the first training, then in that of the second one.
    _killed_after(folder, 11)
    assert _steps_kept(folder / "masked") == 11
    _killed_after(folder, kill_script.STEPS - 11 + 13)
    assert _steps_kept(folder / "contrastive") == 13
    assert kill_script.run(folder) == whole
    assert not list(folder.rglob("checkpoints/*"))


def _killed_after(folder: Path, steps: int) -> None:
    process = subprocess.run(
        [sys.executable, "-m", kill_script.__name__, str(folder), str(steps)],
        cwd=REPOSITORY,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        check=False,
    )
    assert process.returncode == -signal.SIGKILL, process.stderr


def _steps_kept(folder: Path) -> int:
    (state,) = (folder / "checkpoints").glob("step-*/state.json")
    return int(json.loads(state.read_text())["state"]["step"])
