"""Doctor: what this machine can run, and for each encoder what is missing or to be placed where."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

from learn_assets.commands.answer import Answer
from learn_assets.embedding import hub_cache
from learn_assets.embedding.backends.torch_runtime import compute_threads
from learn_assets.embedding.devices import Devices, Gpu
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
class Extra:
    """An extra of the package, and the packages it lacks here."""

    name: str
    lacks: tuple[str, ...]

    @property
    def words(self) -> str:
        """Installed, or what to install."""
        if not self.lacks:
            return f"extra {self.name}: installed"
        remedy = f"pip install '{_DISTRIBUTION}[{self.name}]'"
        return f"extra {self.name}: lacks {', '.join(self.lacks)}; {remedy}"


@dataclass(frozen=True)
class Machine:
    """What the machine is and has free, in bytes, and which extras are installed."""

    system: str
    processor: str
    threads: int
    python: str
    free_memory: int | None
    gpus: tuple[Gpu, ...]
    gpu_problem: str
    bfloat16: bool
    openvino: str | None
    extras: tuple[Extra, ...]

    @property
    def lines(self) -> list[str]:
        """The same in words."""
        free = self.free_memory
        return [
            f"machine: {self.system} {self.processor}, {self.threads} threads, "
            f"Python {self.python}",
            f"memory: {'not known' if free is None else f'{gibibytes(free)} free'}",
            *self._gpu_lines(),
            "bfloat16: multiplied in hardware"
            if self.bfloat16
            else "bfloat16: not multiplied in hardware, so float32 is used",
            f"OpenVINO: {self.openvino}, runs encoders on the CPU"
            if self.openvino
            else "OpenVINO: not installed; "
            f"pip install '{_DISTRIBUTION}[openvino]' speeds a CPU up",
            *(extra.words for extra in self.extras),
        ]

    def _gpu_lines(self) -> list[str]:
        if not self.gpus:
            return [f"GPU: {self.gpu_problem or 'none'}"]
        return [
            f"GPU {gpu.index}: {gpu.name}, {gibibytes(gpu.free_bytes)} of "
            f"{gibibytes(gpu.total_bytes)} free"
            for gpu in self.gpus
        ]


@dataclass(frozen=True)
class Fit:
    """What an encoder needs in bytes, whether it has that now, and both in words."""

    need: Need
    room: bool
    words: str


@dataclass(frozen=True)
class RegisteredReport:
    """A registered encoder: what it is, the folder of its weights or how to place them there."""

    id: str
    parameters: int
    dimension: int
    token_limit: int
    license: str
    remote_code: bool
    folder: Path | None
    remedy: str | None
    fit: Fit

    @property
    def lines(self) -> list[str]:
        """The same in words."""
        code = ", runs code of its own (trust_remote_code)" if self.remote_code else ""
        return [
            f"{self.id}: {self.parameters / 1e6:,.0f} million parameters, "
            f"{self.dimension} dimensions, chunks of {self.token_limit:,} tokens, "
            f"{self.license}{code}",
            f"  here: {self.folder}" if self.folder else f"  not here: {self.remedy}",
            f"  {self.fit.words}",
        ]


@dataclass(frozen=True)
class StudyReport:
    """An encoder of a study as this machine runs it."""

    id: str
    mode: str
    dtype: str
    revision: str
    license: str
    remote_code: bool
    fit: Fit
    runs: bool

    @property
    def lines(self) -> list[str]:
        """The same in words."""
        code = ", runs code of its own" if self.remote_code else ""
        return [
            f"{self.id}: mode {self.mode}, {self.dtype}, revision {self.revision}, license "
            f"{self.license}{code}",
            f"  {self.fit.words}",
        ]


@dataclass(frozen=True)
class UnusableReport:
    """An encoder of a study that cannot run here, and why."""

    id: str
    problem: str
    runs: bool = False

    @property
    def lines(self) -> list[str]:
        """The same in words."""
        return [f"{self.id}: cannot run; {self.problem}"]


@dataclass(frozen=True)
class Diagnosis:
    """The machine, the registered encoders, and those of a study."""

    machine: Machine
    registered: tuple[RegisteredReport, ...]
    study: str
    encoders: tuple[StudyReport | UnusableReport, ...]

    @property
    def well(self) -> bool:
        """Whether every encoder of the study can run here now."""
        return all(encoder.runs for encoder in self.encoders)

    @property
    def lines(self) -> list[str]:
        """What to print."""
        registered = (line for encoder in self.registered for line in encoder.lines)
        lines = [*self.machine.lines, "", "Registered encoders", *registered]
        if self.encoders:
            own = (line for encoder in self.encoders for line in encoder.lines)
            lines += ["", f"Encoders of study {self.study}", *own]
        return lines

    def answer(self) -> Answer:
        """Return what the command says; status 1 when an encoder of the study cannot run."""
        return Answer("\n".join(self.lines), asdict(self) | {"well": self.well}, int(not self.well))


def examine(study: AnyStudy, devices: Devices) -> Diagnosis:
    """Say what a machine with these devices can run: of the registry, and of a study."""
    choices = study.encoders if isinstance(study, Study) else ()
    return Diagnosis(
        machine=_machine(devices),
        registered=tuple(_of_registry(encoder, devices) for encoder in REGISTRY.values()),
        study=study.name,
        encoders=tuple(_of_study(choice, devices) for choice in choices),
    )


def find_extras(requirements: Iterable[str]) -> tuple[Extra, ...]:
    """Return the extras by name; `requirements` as a package states them."""
    missing: dict[str, list[str]] = {}
    for requirement in map(Requirement, requirements):
        extra = _extra_of(requirement)
        if extra and extra != _NO_EXTRA:
            absent = [] if _version(requirement.name) else [requirement.name]
            missing.setdefault(extra, []).extend(absent)
    return tuple(Extra(name, tuple(lacks)) for name, lacks in sorted(missing.items()))


def _machine(devices: Devices) -> Machine:
    return Machine(
        system=platform.system(),
        processor=platform.machine(),
        threads=compute_threads(),
        python=platform.python_version(),
        free_memory=devices.free_memory,
        gpus=devices.gpus,
        gpu_problem=devices.problem,
        bfloat16=computes_bfloat16(),
        openvino=_version("openvino"),
        extras=find_extras(_requirements()),
    )


def _of_registry(encoder: RegisteredEncoder, devices: Devices) -> RegisteredReport:
    on_gpu = bool(devices.gpus) or not encoder.shape.small
    dtype = encoder.dtypes["gpu"] if on_gpu else _dtype_on_cpu(encoder)
    folder, remedy = _where(encoder)
    return RegisteredReport(
        id=encoder.id,
        parameters=encoder.shape.parameters,
        dimension=encoder.dimension,
        token_limit=encoder.token_limit,
        license=encoder.license,
        remote_code=encoder.remote_code,
        folder=folder,
        remedy=remedy,
        fit=_fit(need_of_shape(encoder.shape, dtype, encoder.token_limit), devices),
    )


def _dtype_on_cpu(encoder: RegisteredEncoder) -> str:
    return encoder.dtypes["cpu"] if computes_bfloat16() else "float32"


def _where(encoder: RegisteredEncoder) -> tuple[Path | None, str | None]:
    choice = EncoderChoice(id=encoder.id, trust_remote_code=True)
    if isinstance(encoder.weights, HubWeights):
        folder = hub_cache.snapshot_folder(encoder.weights)
        if not folder.is_dir():
            return None, hub_cache.how_to_place(encoder.weights)
    try:
        return find_encoder(choice).folder, None
    except EncoderUnavailableError as error:
        return None, str(error)


def _of_study(choice: EncoderChoice, devices: Devices) -> StudyReport | UnusableReport:
    try:
        registered = registered_encoder(choice)
        need = need_of(choice)
        encoder = find_encoder(choice)
    except (EncoderUnavailableError, UnknownEncoderError) as error:
        return UnusableReport(choice.id, str(error))
    fit = _fit(need, devices)
    return StudyReport(
        id=choice.id,
        mode=choice.mode,
        dtype=encoder.dtype,
        revision=encoder.revision,
        license=registered.license if registered else encoder.license,
        remote_code=encoder.remote_code,
        fit=fit,
        runs=fit.room,
    )


def _fit(need: Need, devices: Devices) -> Fit:
    if need.where != "here":
        return Fit(need, True, f"runs on a {need.where}")
    needs = f"{gibibytes(need.gpu_bytes)} on a GPU"
    if need.small:
        needs += f" or {gibibytes(need.cpu_bytes)} on the CPU"
    place = find_place(need, devices)
    if isinstance(place, NoPlace):
        return Fit(need, False, f"needs {needs}; no room now: {place.reason}")
    return Fit(need, True, f"needs {needs}; runs {place.words}")


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
