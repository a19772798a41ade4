"""Chosen backend: what a study names is what opens."""

from __future__ import annotations

from typing import Any

import pytest

from learn_assets.backend_options import RayOptions, ServerOptions
from learn_assets.embedding.backends import open_backend
from learn_assets.embedding.backends.chosen import chosen_backend
from learn_assets.embedding.encoders import Encoder
from learn_assets.study import EncoderChoice

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
        ({"backend": "transformers"}, "transformers.TransformersBackend", ()),
        (
            {"backend": "sentence_transformers"},
            "sentence_transformers.SentenceTransformersBackend",
            (),
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
    open_one = chosen_backend(EncoderChoice.model_validate({"id": "minilm", **choice}))
    with pytest.raises(OpenedError) as raised:
        open_one(minilm)
    assert raised.value.args == ((minilm, *options),)


def test_a_study_that_names_nothing_gets_what_suits_the_machine() -> None:
    assert chosen_backend(EncoderChoice(id="minilm")) is open_backend
