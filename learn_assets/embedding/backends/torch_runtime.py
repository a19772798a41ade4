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
# Dense bfloat16 operations a second as NVIDIA's data sheets state them; the first match counts.
_PEAK_FLOPS = (
    ("B200", 2.25e15),
    ("H200", 989e12),
    ("H100 PCIe", 756e12),
    ("H100 NVL", 835e12),
    ("H100", 989e12),
    ("A100", 312e12),
    ("L40S", 362e12),
    ("A10G", 70e12),
    ("A10", 125e12),
    ("L4", 121e12),
)


def prepare_torch(device: str | None = None) -> torch.device:
    """Set the libraries to offline and quiet, use every core given to us, return the device.

    `device` as torch spells it; none: the first GPU if there is one, else the CPU. To be called
    before transformers is imported: its hub client reads the variables only then.
    """
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    import torch
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    torch.set_num_threads(compute_threads())
    return torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))


def gpu_devices() -> tuple[str, ...]:
    """Return the GPUs that this process sees (CUDA_VISIBLE_DEVICES), as torch spells them."""
    import torch

    return tuple(f"cuda:{number}" for number in range(torch.cuda.device_count()))


def token_budget(device: torch.device) -> int:
    """Return how many padded tokens a batch may hold on a device."""
    return CPU_TOKEN_BUDGET if device.type == "cpu" else GPU_TOKEN_BUDGET


def compute_threads() -> int:
    """Return how many threads may compute: OMP_NUM_THREADS, else the cores given to us."""
    stated = os.environ.get("OMP_NUM_THREADS", "")
    if stated.isdigit() and int(stated) > 0:
        return int(stated)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def peak_flops(device: torch.device, dtype: str) -> float | None:
    """Return the dense bfloat16 operations a second of a known GPU; None for anything else."""
    if device.type != "cuda" or dtype != "bfloat16":
        return None
    import torch

    name = torch.cuda.get_device_name(device)
    return next((flops for model, flops in _PEAK_FLOPS if model in name), None)


def peak_memory(device: torch.device) -> int:
    """Return the most bytes held so far: of the GPU by torch, else of this process."""
    if device.type == "cuda":
        import torch

        return int(torch.cuda.max_memory_allocated(device))
    import resource
    import sys

    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Linux counts in KiB, macOS in bytes.
    return held if sys.platform == "darwin" else held * 1024
