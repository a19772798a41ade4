"""Doctor: what it says of a machine, of the registry and of a study's encoders."""

from __future__ import annotations

import json
from importlib import metadata
from pathlib import Path

import pytest

from learn_assets import __main__ as command_line
from learn_assets.commands.answer import as_json
from learn_assets.commands.doctor import examine, find_extras
from learn_assets.embedding import hub_cache
from learn_assets.embedding.devices import Devices, Gpu
from learn_assets.embedding.registry import REGISTRY, HubWeights
from learn_assets.study import EncoderChoice, Study
from learn_assets_tests.embedding.model_folders import write_model

GIB = 1 << 30
LAPTOP = Devices(free_memory=6 * GIB)
SERVER = {"base_url": "http://127.0.0.1:8000/v1", "model": "m", "dtype": "float16"}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of huggingface_hub."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def with_encoders(study: Study, *choices: dict[str, object]) -> Study:
    encoders = tuple(EncoderChoice.model_validate(choice) for choice in choices)
    return study.model_copy(update={"encoders": encoders})


def said(study: Study, devices: Devices = LAPTOP) -> str:
    return "\n".join(examine(study, devices).lines)


def of_study(study: Study, devices: Devices = LAPTOP) -> str:
    return said(study, devices).split("Encoders of study ")[1]


def test_a_laptop_runs_the_packaged_encoder_and_is_told_how_to_place_the_others(
    small_study: Study,
) -> None:
    diagnosis = examine(small_study, LAPTOP)
    text = "\n".join(diagnosis.lines)
    assert diagnosis.well
    assert "GPU: none" in text
    assert "memory: 6.0 GiB free" in text
    for name, encoder in REGISTRY.items():
        assert name in text
        assert encoder.license in text
        if isinstance(encoder.weights, HubWeights):
            assert hub_cache.how_to_place(encoder.weights) in text
    assert "needs" in of_study(small_study)
    assert "runs on the CPU" in of_study(small_study)
    assert text.count("trust_remote_code") == 1


@pytest.mark.parametrize(
    ("devices", "expected", "well"),
    [
        (LAPTOP, "this machine has none", False),
        (Devices((Gpu(0, "L4", 24 * GIB, 23 * GIB),), 6 * GIB), "runs on the GPU", True),
        (Devices((Gpu(0, "L4", 24 * GIB, 1 * GIB),), 6 * GIB), "1.0 GiB on GPU 0 are free", False),
        (Devices((), 6 * GIB, "the driver did not answer"), "the driver did not answer", False),
    ],
)
def test_a_large_encoder_that_is_here_runs_where_it_has_room(
    small_study: Study, tmp_path: Path, devices: Devices, expected: str, well: bool
) -> None:
    folder = write_model(tmp_path / "placed")
    study = with_encoders(small_study, {"id": "qwen3-embedding-0.6b", "path": folder})
    assert expected in of_study(study, devices)
    assert examine(study, devices).well == well


def test_gpus_are_named_with_what_they_have_free(small_study: Study) -> None:
    gpus = tuple(Gpu(i, name, 80 * GIB, (70 - i) * GIB) for i, name in enumerate(("H100", "H200")))
    text = said(small_study, Devices(gpus, 6 * GIB))
    assert "GPU 0: H100, 70.0 GiB of 80.0 GiB free" in text
    assert "GPU 1: H200, 69.0 GiB of 80.0 GiB free" in text


@pytest.mark.parametrize(
    ("choice", "expected", "well"),
    [
        ({"id": "qwen3-embedding-8b"}, "cannot run; encoder `qwen3-embedding-8b`", False),
        ({"id": "nv-embed-v2"}, "trust_remote_code: true", False),
        ({"id": "no-such-model"}, "no encoder `no-such-model`", False),
        ({"id": "minilm", "backend": "openai_server", "server": SERVER}, "runs on a server", True),
        ({"id": "minilm", "backend": "ray"}, "runs on a cluster", True),
    ],
)
def test_each_encoder_of_a_study_has_its_verdict(
    small_study: Study, choice: dict[str, object], expected: str, well: bool
) -> None:
    study = with_encoders(small_study, choice)
    assert expected in of_study(study)
    assert examine(study, LAPTOP).well == well


def test_extras_say_what_they_lack() -> None:
    requirements = [
        "numpy>=2",
        'no-such-package; extra == "ray"',
        'numpy; extra == "ray"',
        'numpy; extra == "server"',
        'no-such-package; extra == "dev"',
    ]
    ray, server = find_extras(requirements)
    assert "lacks no-such-package; pip install 'learn-assets[ray]'" in ray.words
    assert server.words == "extra server: installed"
    declared = metadata.metadata("learn-assets").get_all("Provides-Extra") or []
    assert {"ray", "server", "openvino"} <= set(declared)


def test_the_command_prints_and_its_status_says_whether_all_can_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command_line, "keep_private", lambda: None)
    monkeypatch.setenv("LEARN_STUDY", "demo")
    monkeypatch.setattr("learn_assets.embedding.devices.probe_devices", lambda: LAPTOP)
    assert command_line.main(["doctor"]) == 0
    assert "Encoders of study demo" in capsys.readouterr().out
    monkeypatch.setattr(
        "learn_assets.embedding.devices.probe_devices", lambda: Devices((), GIB // 8)
    )
    assert command_line.main(["doctor"]) == 1
    capsys.readouterr()
    assert command_line.main(["doctor", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["well"] is False


def test_a_program_reads_what_a_person_reads(small_study: Study) -> None:
    gpus = (Gpu(0, "L4", 24 * GIB, 23 * GIB), Gpu(1, "H100", 80 * GIB, 70 * GIB))
    diagnosis = examine(small_study, Devices(gpus, 6 * GIB))
    found = json.loads(as_json(diagnosis.answer().document))
    text = diagnosis.answer().text
    assert [gpu["free_bytes"] / GIB for gpu in found["machine"]["gpus"]] == [23, 70]
    assert found["machine"]["free_memory"] == 6 * GIB
    assert f"{found['machine']['threads']} threads" in text
    assert {encoder["id"] for encoder in found["registered"]} == set(REGISTRY)
    for encoder in found["registered"]:
        words = f"{encoder['dimension']} dimensions, chunks of {encoder['token_limit']:,} tokens"
        assert f"{words}, {encoder['license']}" in text
        assert f"{encoder['fit']['need']['gpu_bytes'] / GIB:,.1f} GiB on a GPU" in text
        assert (encoder["folder"] or encoder["remedy"]) in text
    (own,) = found["encoders"]
    assert f"{own['id']}: mode {own['mode']}, {own['dtype']}, revision {own['revision']}" in text
    assert own["runs"] is True
    for extra in found["machine"]["extras"]:
        assert all(package in text for package in extra["lacks"])
    assert found["study"] == small_study.name
    assert found["well"] is True
