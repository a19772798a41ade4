"""Doctor: what this machine can run, and for each encoder what is missing or to be placed where."""

from __future__ import annotations

import importlib.util
import platform
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import metadata

from packaging.requirements import Requirement

from learn_assets.embedding import hub_cache
from learn_assets.embedding.backends.torch_runtime import compute_threads
from learn_assets.embedding.devices import Devices
from learn_assets.embedding.encoders import (
    EncoderUnavailableError,
    UnknownEncoderError,
    computes_bfloat16,
    find_encoder,
    registered_encoder,
)
from learn_assets.embedding.placement import (
    Need,
    NoPlace,
    find_place,
    gibibytes,
    need_of,
    need_of_shape,
)
from learn_assets.embedding.registry import REGISTRY, HubWeights, RegisteredEncoder
from learn_assets.study import EncoderChoice, Study
from learn_assets.study.file import AnyStudy

_DISTRIBUTION = "learn-assets"
_NO_EXTRA = "dev"


@dataclass(frozen=True)
class Diagnosis:
    """Lines to print; `well` when every encoder of the study can run here now."""

    lines: tuple[str, ...]
    well: bool


def examine(study: AnyStudy, devices: Devices) -> Diagnosis:
    """Say what a machine with these devices can run: of the registry, and of a study."""
    choices = study.encoders if isinstance(study, Study) else ()
    found = [_of_study(choice, devices) for choice in choices]
    lines = [
        *machine_lines(devices),
        "",
        "Registered encoders",
        *(line for encoder in REGISTRY.values() for line in _of_registry(encoder, devices)),
    ]
    if choices:
        lines += [
            "",
            f"Encoders of study {study.name}",
            *(line for part, _ in found for line in part),
        ]
    return Diagnosis(tuple(lines), all(well for _, well in found))


def machine_lines(devices: Devices) -> list[str]:
    """Return what the machine is and has free, and which extras are installed."""
    memory = (
        "not known" if devices.free_memory is None else f"{gibibytes(devices.free_memory)} free"
    )
    lines = [
        f"machine: {platform.system()} {platform.machine()}, {compute_threads()} threads, "
        f"Python {platform.python_version()}",
        f"memory: {memory}",
        *_gpu_lines(devices),
        "bfloat16: multiplied in hardware"
        if computes_bfloat16()
        else "bfloat16: not multiplied in hardware, so float32 is used",
        _openvino_line(),
    ]
    return [*lines, *extra_lines(_requirements())]


def extra_lines(requirements: Iterable[str]) -> list[str]:
    """Return one line an extra: installed, or what to install. `requirements` as of a package."""
    missing: dict[str, list[str]] = {}
    for requirement in map(Requirement, requirements):
        extra = _extra_of(requirement)
        if extra and extra != _NO_EXTRA:
            absent = [] if _version(requirement.name) else [requirement.name]
            missing.setdefault(extra, []).extend(absent)
    return [
        f"extra {extra}: lacks {', '.join(absent)}; pip install '{_DISTRIBUTION}[{extra}]'"
        if absent
        else f"extra {extra}: installed"
        for extra, absent in sorted(missing.items())
    ]


def _gpu_lines(devices: Devices) -> list[str]:
    if devices.problem:
        return [f"GPU: {devices.problem}"]
    if not devices.gpus:
        return ["GPU: none"]
    return [
        f"GPU {gpu.index}: {gpu.name}, {gibibytes(gpu.free_bytes)} of "
        f"{gibibytes(gpu.total_bytes)} free"
        for gpu in devices.gpus
    ]


def _openvino_line() -> str:
    if importlib.util.find_spec("openvino") is None:
        return f"OpenVINO: not installed; pip install '{_DISTRIBUTION}[openvino]' speeds a CPU up"
    return f"OpenVINO: {_version('openvino')}, runs encoders on the CPU"


def _of_registry(encoder: RegisteredEncoder, devices: Devices) -> list[str]:
    on_gpu = bool(devices.gpus) or not encoder.shape.small
    dtype = encoder.dtypes["gpu"] if on_gpu else _dtype_on_cpu(encoder)
    need = need_of_shape(encoder.shape, dtype, encoder.token_limit)
    code = ", runs code of its own (trust_remote_code)" if encoder.remote_code else ""
    return [
        f"{encoder.id}: {encoder.shape.parameters / 1e6:,.0f} million parameters, "
        f"{encoder.dimension} dimensions, chunks of {encoder.token_limit:,} tokens, "
        f"{encoder.license}{code}",
        f"  {_where(encoder)}",
        f"  {_fit(need, devices)[0]}",
    ]


def _dtype_on_cpu(encoder: RegisteredEncoder) -> str:
    return encoder.dtypes["cpu"] if computes_bfloat16() else "float32"


def _where(encoder: RegisteredEncoder) -> str:
    choice = EncoderChoice(id=encoder.id, trust_remote_code=True)
    if isinstance(encoder.weights, HubWeights):
        folder = hub_cache.snapshot_folder(encoder.weights)
        if not folder.is_dir():
            return f"not here: {hub_cache.how_to_place(encoder.weights)}"
    try:
        return f"here: {find_encoder(choice).folder}"
    except EncoderUnavailableError as error:
        return f"not here: {error}"


def _of_study(choice: EncoderChoice, devices: Devices) -> tuple[list[str], bool]:
    try:
        registered = registered_encoder(choice)
        need = need_of(choice)
        encoder = find_encoder(choice)
    except (EncoderUnavailableError, UnknownEncoderError) as error:
        return [f"{choice.id}: cannot run; {error}"], False
    known = registered.license if registered else encoder.license
    fit, well = _fit(need, devices)
    code = ", runs code of its own" if encoder.remote_code else ""
    return [
        f"{choice.id}: mode {choice.mode}, {encoder.dtype}, revision {encoder.revision}, license "
        f"{known}{code}",
        f"  {fit}",
    ], well


def _fit(need: Need, devices: Devices) -> tuple[str, bool]:
    if need.where != "here":
        return f"runs on a {need.where}", True
    needs = f"{gibibytes(need.gpu_bytes)} on a GPU"
    if need.small:
        needs += f" or {gibibytes(need.cpu_bytes)} on the CPU"
    place = find_place(need, devices)
    if isinstance(place, NoPlace):
        return f"needs {needs}; no room now: {place.reason}", False
    return f"needs {needs}; runs {place.words}", True


def _extra_of(requirement: Requirement) -> str | None:
    for extra in _extras():
        marker = requirement.marker
        if marker and marker.evaluate({"extra": extra}) and not marker.evaluate({"extra": ""}):
            return extra
    return None


def _extras() -> Sequence[str]:
    try:
        return metadata.metadata(_DISTRIBUTION).get_all("Provides-Extra") or []
    except metadata.PackageNotFoundError:
        return []


def _requirements() -> Sequence[str]:
    try:
        return metadata.requires(_DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        return []


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None
