"""Chosen backend: what a study names is what opens."""

from __future__ import annotations

from typing import Any

import pytest

from learn_assets.embedding.backends.chosen import chosen_backend
from learn_assets.embedding.backends.replicas import ReplicatedBackend
from learn_assets.embedding.encoders import Encoder
from learn_assets.study import EncoderChoice
from learn_assets.study.backends import RayOptions, ServerOptions
from learn_assets_tests.embedding.fakes import CountingBackend

SERVER = {"base_url": "http://127.0.0.1:8000/v1", "model": "m", "dtype": "float16"}


class OpenedError(Exception):
    """Planted in place of a backend: what was opened, with what."""


@pytest.mark.parametrize(
    ("choice", "place", "options"),
    [
        (
            {"backend": "openai_server", "server": SERVER},
            "openai_server.OpenAIServerBackend",
            (ServerOptions.model_validate(SERVER),),
        ),
        ({"backend": "ray"}, "ray_cluster.RayBackend", (RayOptions(),)),
        (
            {"backend": "ray", "ray": {"actors": 5}},
            "ray_cluster.RayBackend",
            (RayOptions(actors=5),),
        ),
        ({"backend": "openvino"}, "openvino.OpenVINOBackend", ()),
        ({"backend": "transformers"}, "transformers.TransformersBackend", ("cpu",)),
        (
            {"backend": "sentence_transformers"},
            "sentence_transformers.SentenceTransformersBackend",
            ("cpu",),
        ),
    ],
)
def test_a_study_opens_what_it_names(
    choice: dict[str, object],
    place: str,
    options: tuple[object, ...],
    minilm: Encoder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def opened(*arguments: Any) -> None:
        raise OpenedError(arguments)

    monkeypatch.setattr(f"learn_assets.embedding.backends.{place}", opened)
    study_choice = EncoderChoice.model_validate({"id": "minilm", **choice})
    open_one = chosen_backend(study_choice, device="cpu")
    with pytest.raises(OpenedError) as raised:
        open_one(minilm)
    assert raised.value.args == ((minilm, *options),)


def test_a_study_that_names_nothing_gets_what_suits_the_machine(
    minilm: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[Encoder, str | None]] = []
    monkeypatch.setattr("learn_assets.embedding.backends._openvino", lambda *a: asked.append(a))
    monkeypatch.setattr(
        "learn_assets.embedding.backends.transformers.TransformersBackend", lambda *a: a
    )
    opened: object = chosen_backend(EncoderChoice(id="minilm"))(minilm)
    assert (asked, opened) == ([(minilm, None)], (minilm, None))


def test_openvino_by_name_is_never_replaced_in_silence(
    minilm: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"learn-assets\[openvino\]"):
        chosen_backend(EncoderChoice(id="minilm", backend="openvino"))(minilm)


def test_several_gpus_work_side_by_side_unless_one_is_named(
    minilm: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str | None] = []

    class OnDevice(CountingBackend):
        def __init__(self, encoder: Encoder, device: str | None) -> None:
            super().__init__(encoder.dimension)
            opened.append(device)

    monkeypatch.setattr(
        "learn_assets.embedding.backends.torch_runtime.gpu_devices", lambda: ("cuda:0", "cuda:1")
    )
    monkeypatch.setattr(
        "learn_assets.embedding.backends.transformers.TransformersBackend", OnDevice
    )
    choice = EncoderChoice(id="minilm", backend="transformers")
    assert isinstance(chosen_backend(choice)(minilm), ReplicatedBackend)
    assert opened == ["cuda:0", "cuda:1"]
    assert isinstance(chosen_backend(choice, device="cuda:1")(minilm), OnDevice)
    assert opened == ["cuda:0", "cuda:1", "cuda:1"]
