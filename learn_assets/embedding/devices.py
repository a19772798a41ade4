"""Devices: the GPUs and the memory of this machine, asked without importing torch.

What belongs here: what is there and what is free. What an encoder needs is in `memory.py`, what
fits where in `placement.py`.
"""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from learn_assets.embedding.encoders import has_nvidia_driver

PROBE_SECONDS = 2.0

_MIB = 1 << 20
# Isolated: its folder holds modules named like some of the standard library.
_NVML = (sys.executable, "-I", str(Path(__file__).with_name("nvml.py")))
_NVIDIA_SMI = (
    "nvidia-smi",
    "--query-gpu=index,name,uuid,memory.total,memory.free",
    "--format=csv,noheader,nounits",
)


@dataclass(frozen=True)
class Gpu:
    """One GPU: its place among those this process sees, which is its number in torch too."""

    index: int
    name: str
    total_bytes: int
    free_bytes: int


@dataclass(frozen=True)
class Devices:
    """What this machine has free.

    `free_memory` is main memory in bytes, None where it is not known; `problem` says why GPUs that
    seem to be there could not be asked.
    """

    gpus: tuple[Gpu, ...] = ()
    free_memory: int | None = None
    problem: str = ""


class ProbeError(RuntimeError):
    """The GPUs could not be asked; says why."""


def probe_devices(seconds: float = PROBE_SECONDS) -> Devices:
    """Ask NVML, or else nvidia-smi, for the GPUs this process sees; at most so many seconds.

    Where the driver is not installed nothing is asked. Cards that CUDA orders otherwise than by
    slot need CUDA_DEVICE_ORDER=PCI_BUS_ID to have the same numbers here and in torch.
    """
    memory = free_memory()
    if not has_nvidia_driver():
        return Devices(free_memory=memory)
    try:
        return Devices(probe_gpus(seconds, ((_NVML, _from_json), (_NVIDIA_SMI, _from_csv))), memory)
    except ProbeError as error:
        return Devices(free_memory=memory, problem=str(error))


_Answer = list[tuple[str, Gpu]]
_Question = tuple[Sequence[str], Callable[[str], _Answer]]


def probe_gpus(seconds: float, questions: Sequence[_Question]) -> tuple[Gpu, ...]:
    """Return the visible GPUs from the first command that answers within the time left for all.

    ProbeError when none did.
    """
    deadline = time.monotonic() + seconds
    problem = "nothing was asked"
    for command, read in questions:
        try:
            found = read(_output(command, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            problem = f"the NVIDIA driver did not answer within {seconds:g} s"
        except (OSError, ValueError, KeyError) as error:
            problem = f"the NVIDIA driver could not be asked ({type(error).__name__})"
        else:
            return visible_gpus(found, os.environ.get("CUDA_VISIBLE_DEVICES"))
    raise ProbeError(problem)


def visible_gpus(found: _Answer, named: str | None) -> tuple[Gpu, ...]:
    """Return those GPUs, of pairs of uuid and GPU, that CUDA_VISIBLE_DEVICES names, renumbered.

    As CUDA does: none when it is empty, all when it is not set, and those before the first entry
    that names no GPU (numbers, or beginnings of a uuid).
    """
    if named is None:
        chosen = [gpu for _, gpu in found]
    else:
        chosen = []
        for entry in named.split(","):
            match = [gpu for uuid, gpu in found if _names(entry.strip(), uuid, gpu)]
            if len(match) != 1:
                break
            chosen += match
    return tuple(
        Gpu(place, gpu.name, gpu.total_bytes, gpu.free_bytes) for place, gpu in enumerate(chosen)
    )


def free_memory(
    memory_information: Path = Path("/proc/meminfo"), control_group: Path = Path("/sys/fs/cgroup")
) -> int | None:
    """Return how much main memory a new process may take, in bytes; None where it is not known.

    The smaller of what the kernel calls available and what a container's limit leaves.
    """
    if not memory_information.exists():
        return None
    fields = _numbers(memory_information.read_text(encoding="ascii").replace(":", " "))
    available = fields["MemAvailable"] * 1024
    limit = control_group / "memory.max"
    if not limit.exists() or (stated := limit.read_text(encoding="ascii").strip()) == "max":
        return available
    used = int((control_group / "memory.current").read_text(encoding="ascii"))
    statistics = _numbers((control_group / "memory.stat").read_text(encoding="ascii"))
    # The kernel drops cached files when a process asks for memory.
    return min(available, max(0, int(stated) - used + statistics.get("inactive_file", 0)))


def _output(command: Sequence[str], seconds: float) -> str:
    """Return what a command prints. OSError, ValueError or TimeoutExpired when it does not."""
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL
    )
    try:
        text, _ = process.communicate(timeout=max(seconds, 0.0))
    except subprocess.TimeoutExpired:
        # Not waited for: a process that hangs in the driver cannot even be killed.
        process.kill()
        raise
    if process.returncode != 0:
        raise ValueError(f"exit status {process.returncode}")
    return text.decode()


def _from_json(text: str) -> _Answer:
    return [
        (item["uuid"], Gpu(item["index"], item["name"], item["total_bytes"], item["free_bytes"]))
        for item in json.loads(text)
    ]


def _from_csv(text: str) -> _Answer:
    rows = [[value.strip() for value in row] for row in csv.reader(text.splitlines()) if row]
    return [
        (uuid, Gpu(int(index), name, int(total) * _MIB, int(free) * _MIB))
        for index, name, uuid, total, free in rows
    ]


def _names(entry: str, uuid: str, gpu: Gpu) -> bool:
    if entry.isdigit():
        return int(entry) == gpu.index
    return bool(entry) and uuid.startswith(entry)


def _numbers(text: str) -> dict[str, int]:
    """Return name and first number of each line."""
    parts = (line.split() for line in text.splitlines())
    return {part[0]: int(part[1]) for part in parts if len(part) > 1 and part[1].isdigit()}
