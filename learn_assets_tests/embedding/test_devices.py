"""Devices: what the driver answers, what CUDA shows of it, and that nobody waits for long."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from learn_assets.embedding import devices
from learn_assets.embedding.devices import (
    Gpu,
    ProbeError,
    free_memory,
    probe_devices,
    probe_gpus,
    visible_gpus,
)

GIB = 1 << 30
FOUND = [
    ("GPU-aaaa-1", Gpu(0, "Big", 80 * GIB, 70 * GIB)),
    ("GPU-aabb-2", Gpu(1, "Small", 24 * GIB, 20 * GIB)),
]
ANSWER = json.dumps(
    [
        {"index": g.index, "name": g.name, "uuid": uuid}
        | {"total_bytes": g.total_bytes}
        | {"free_bytes": g.free_bytes}
        for uuid, g in FOUND
    ]
)
TABLE = "0, Big, GPU-aaaa-1, 81920, 71680\n1, Small, GPU-aabb-2, 24576, 20480\n"


def says(text: str) -> tuple[str, ...]:
    return (sys.executable, "-S", "-c", f"print({text!r})")


FAILS = (sys.executable, "-S", "-c", "raise SystemExit(9)")
HANGS = ("sleep", "60")
MISSING = ("no-such-program-anywhere",)


@pytest.fixture(autouse=True)
def _all_visible(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def test_nvml_and_nvidia_smi_say_the_same() -> None:
    everything = tuple(gpu for _, gpu in FOUND)
    assert probe_gpus(30, [(says(ANSWER), devices._from_json)]) == everything
    assert probe_gpus(30, [(says(TABLE), devices._from_csv)]) == everything


@pytest.mark.parametrize("first", [FAILS, MISSING, says("no JSON")])
def test_who_cannot_answer_is_followed_by_the_next(first: tuple[str, ...]) -> None:
    questions = [(first, devices._from_json), (says(TABLE), devices._from_csv)]
    assert len(probe_gpus(30, questions)) == 2


def test_a_driver_that_hangs_is_left_alone_in_time() -> None:
    began = time.monotonic()
    with pytest.raises(ProbeError, match=r"did not answer within 0\.3 s"):
        probe_gpus(0.3, [(HANGS, devices._from_json), (HANGS, devices._from_csv)])
    assert time.monotonic() - began < 10


def test_a_refusal_is_named_without_the_driver_s_own_words() -> None:
    with pytest.raises(ProbeError, match=r"could not be asked \(FileNotFoundError\)"):
        probe_gpus(30, [(FAILS, devices._from_json), (MISSING, devices._from_csv)])


@pytest.mark.parametrize(
    ("named", "names"),
    [
        (None, ["Big", "Small"]),
        ("", []),
        ("-1", []),
        ("1", ["Small"]),
        ("1,0", ["Small", "Big"]),
        ("GPU-aabb", ["Small"]),
        ("GPU-aa", []),
        ("0,7,1", ["Big"]),
    ],
)
def test_cuda_visible_devices_is_read_as_cuda_reads_it(named: str | None, names: list[str]) -> None:
    seen = visible_gpus(FOUND, named)
    assert [gpu.name for gpu in seen] == names
    assert [gpu.index for gpu in seen] == list(range(len(names)))


def test_without_a_driver_nothing_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "has_nvidia_driver", lambda: False)
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: pytest.fail("something was asked"))
    found = probe_devices()
    assert (found.gpus, found.problem) == ((), "")


def test_a_driver_without_an_answer_is_a_problem_not_a_crash(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(devices, "has_nvidia_driver", lambda: True)
    monkeypatch.setattr(devices, "_NVML", MISSING)
    monkeypatch.setattr(devices, "_NVIDIA_SMI", MISSING)
    found = probe_devices()
    assert found.gpus == ()
    assert "could not be asked" in found.problem


def test_nvml_is_asked_without_torch_and_fails_cleanly_without_a_driver() -> None:
    code = (
        "import runpy, sys\n"
        "try: runpy.run_path(sys.argv[1], run_name='__main__')\n"
        "except SystemExit as done: print(done.code, 'torch' in sys.modules)"
    )
    command = [sys.executable, "-I", "-c", code, str(devices._NVML[2])]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split()[-2:] in (["0", "False"], ["1", "False"])


def test_asking_imports_no_torch() -> None:
    code = (
        "import sys; from learn_assets.embedding.devices import probe_devices;"
        "from learn_assets.embedding import placement, requests; probe_devices();"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_free_memory_is_what_the_kernel_and_the_container_leave(tmp_path: Path) -> None:
    information = tmp_path / "meminfo"
    information.write_text("MemTotal:  9000 kB\nMemAvailable:    4000 kB\n", encoding="ascii")
    assert free_memory(information, tmp_path) == 4_000 * 1024
    (tmp_path / "memory.max").write_text("max\n", encoding="ascii")
    assert free_memory(information, tmp_path) == 4_000 * 1024
    (tmp_path / "memory.max").write_text("2000000\n", encoding="ascii")
    (tmp_path / "memory.current").write_text("1500000\n", encoding="ascii")
    (tmp_path / "memory.stat").write_text("anon 5\ninactive_file 300000\n", encoding="ascii")
    assert free_memory(information, tmp_path) == 800_000
    assert free_memory(tmp_path / "none", tmp_path) is None
