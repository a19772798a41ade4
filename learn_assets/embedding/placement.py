"""Placement: what an encoder of a study needs, and where on this machine there is room for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from learn_assets.embedding.backends.torch_runtime import CPU_TOKEN_BUDGET, GPU_TOKEN_BUDGET
from learn_assets.embedding.devices import Devices, Gpu
from learn_assets.embedding.encoders import Encoder, find_encoder, registered_encoder
from learn_assets.embedding.memory import (
    BYTES,
    SMALL_PARAMETERS,
    ModelShape,
    estimate_memory,
    read_shape,
)
from learn_assets.study import EncoderChoice

# What torch, OpenVINO and the narratives of a group take beside the encoder.
_PROCESS_BYTES = 1 << 30
# Of a model that says nothing of its shape: weights, and as much again for a batch.
_UNKNOWN_SHAPE_FACTOR = 2
_SMALL_BYTES = BYTES["float32"] * SMALL_PARAMETERS


@dataclass(frozen=True)
class Need:
    """What an encoder takes: bytes on a GPU, bytes without one, and whether that is worth it.

    `where` is `server` or `cluster` when nothing of this machine is needed.
    """

    where: Literal["here", "server", "cluster"]
    gpu_bytes: int = 0
    cpu_bytes: int = 0
    small: bool = True


@dataclass(frozen=True)
class Place:
    """Where an encoder runs: `device` as torch spells it; none: all GPUs, or not on this machine.

    `words` say the same to a person.
    """

    device: str | None
    words: str


@dataclass(frozen=True)
class NoPlace:
    """Why there is no room for an encoder now, as a clause."""

    reason: str


def need_of(choice: EncoderChoice) -> Need:
    """Return what a study's encoder needs. EncoderUnavailableError when it is not here."""
    if choice.server is not None:
        return Need("server")
    if choice.backend == "ray":
        return Need("cluster")
    encoder = find_encoder(choice)
    registered = registered_encoder(choice)
    shape = registered.shape if registered else _shape(encoder)
    if shape is None:
        stored = sum(file.stat().st_size for file in encoder.folder.rglob("*.safetensors"))
        needed = _UNKNOWN_SHAPE_FACTOR * stored
        return Need("here", needed, needed, small=stored <= _SMALL_BYTES)
    return need_of_shape(shape, encoder.dtype, encoder.token_limit)


def need_of_shape(shape: ModelShape, dtype: str, token_limit: int) -> Need:
    """Return what a model of this shape needs on this machine at the default token budgets."""
    on_gpu, on_cpu = (
        estimate_memory(
            shape, dtype, token_budget=max(budget, token_limit), token_limit=token_limit, gpu=gpu
        ).total
        for budget, gpu in ((GPU_TOKEN_BUDGET, True), (CPU_TOKEN_BUDGET, False))
    )
    return Need("here", on_gpu, on_cpu + _PROCESS_BYTES, shape.small)


def find_place(need: Need, devices: Devices) -> Place | NoPlace:
    """Return where an encoder has room, a GPU before the CPU; large encoders want a GPU."""
    if need.where != "here":
        return Place(None, f"on a {need.where}")
    if devices.gpus and all(gpu.free_bytes >= need.gpu_bytes for gpu in devices.gpus):
        count = len(devices.gpus)
        return Place(None, "on the GPU" if count == 1 else f"on {count} GPUs")
    roomy = [gpu for gpu in devices.gpus if gpu.free_bytes >= need.gpu_bytes]
    if roomy:
        best = max(roomy, key=lambda gpu: gpu.free_bytes)
        return Place(f"cuda:{best.index}", f"on GPU {best.index} ({best.name})")
    if need.small and (devices.free_memory is None or devices.free_memory >= need.cpu_bytes):
        return Place("cpu", "on the CPU")
    return NoPlace(_why_not(need, devices))


def reserve(devices: Devices, need: Need, place: Place) -> Devices:
    """Return what is free once an encoder has been placed."""
    if need.where != "here":
        return devices
    if place.device == "cpu":
        free = devices.free_memory
        return replace(devices, free_memory=None if free is None else free - need.cpu_bytes)
    return replace(
        devices,
        gpus=tuple(
            replace(gpu, free_bytes=gpu.free_bytes - need.gpu_bytes)
            if place.device in (None, f"cuda:{gpu.index}")
            else gpu
            for gpu in devices.gpus
        ),
    )


def gibibytes(size: int) -> str:
    """Return bytes as people say them."""
    return f"{size / 2**30:,.1f} GiB"


def _shape(encoder: Encoder) -> ModelShape | None:
    try:
        return read_shape(encoder.folder)
    except KeyError:
        return None


def _why_not(need: Need, devices: Devices) -> str:
    if need.small:
        free = gibibytes(devices.free_memory or 0)
        processor = f"the CPU has {free} free and it needs {gibibytes(need.cpu_bytes)}"
        return f"{_of_gpus(need, devices.gpus)}, {processor}" if devices.gpus else processor
    if devices.problem:
        return f"it needs a GPU and {devices.problem}"
    if not devices.gpus:
        return (
            "it needs a GPU and this machine has none; a server or cluster can run it "
            "(docs/servers.md)"
        )
    return _of_gpus(need, devices.gpus)


def _of_gpus(need: Need, gpus: Sequence[Gpu]) -> str:
    free = ", ".join(f"{gibibytes(gpu.free_bytes)} on GPU {gpu.index}" for gpu in gpus)
    return f"it needs {gibibytes(need.gpu_bytes)} and {free} are free"
