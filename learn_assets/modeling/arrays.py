"""Array types of the modeling package, and how arrays and settings are written without pickle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

FloatMatrix = npt.NDArray[np.float32]
FloatVector = npt.NDArray[np.float64]
IndexVector = npt.NDArray[np.int64]
Labels = npt.NDArray[np.int8]

_ARRAYS = "arrays.safetensors"
_SETTINGS = "settings.json"


def balanced_weights(labels: Labels) -> FloatVector:
    """Return a weight a row, of mean 1, by which cases and controls count the same in total.

    All ones when a class is absent.
    """
    cases = float(labels.mean())
    if cases in {0.0, 1.0}:
        return np.ones(len(labels))
    return np.where(labels == 1, 0.5 / cases, 0.5 / (1 - cases))


def weighted_log_loss(
    decision: FloatVector, labels: Labels, weights: FloatVector | None = None
) -> float:
    """Return the mean log loss of decision values (log odds), rows weighted when asked."""
    losses = np.logaddexp(0.0, decision) - labels * decision
    return float(np.average(losses, weights=weights))


def write_arrays(
    folder: Path, arrays: Mapping[str, npt.NDArray[Any]], settings: Mapping[str, object]
) -> None:
    """Write named arrays (safetensors) and plain settings (JSON) into a folder, made if absent."""
    from safetensors.numpy import save_file

    folder.mkdir(parents=True, exist_ok=True)
    contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    save_file(contiguous, folder / _ARRAYS)
    write_json(folder / _SETTINGS, settings)


def read_arrays(folder: Path) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]:
    """Return the arrays and settings that `write_arrays` put into a folder."""
    from safetensors.numpy import load_file

    return load_file(folder / _ARRAYS), read_json(folder / _SETTINGS)


def write_json(path: Path, content: Mapping[str, object]) -> None:
    """Write one JSON object with sorted keys, so equal content gives equal bytes."""
    path.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def read_json(path: Path) -> dict[str, Any]:
    """Return one JSON object; ValueError when the file holds something else."""
    content = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        raise ValueError(f"{path.name}: expected a JSON object")
    return content
