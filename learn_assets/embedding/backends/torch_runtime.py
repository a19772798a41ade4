"""Torch runtime: device, threads and quiet, offline libraries, the same for every torch backend."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

CPU_TOKEN_BUDGET = 4_096
GPU_TOKEN_BUDGET = 65_536

_ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "TOKENIZERS_PARALLELISM": "true",
    "TRANSFORMERS_VERBOSITY": "error",
}


def prepare_torch() -> torch.device:
    """Set the libraries to offline and quiet, use every core given to us, return the device.

    To be called before transformers is imported: its hub client reads the variables only then.
    """
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    import torch
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(_available_cores())
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def token_budget(device: torch.device) -> int:
    """Return how many padded tokens a batch may hold on a device."""
    return CPU_TOKEN_BUDGET if device.type == "cpu" else GPU_TOKEN_BUDGET


def _available_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
