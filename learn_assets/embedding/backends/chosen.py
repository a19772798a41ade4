"""Chosen: from what a study says about an encoder to what opens its backend."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from learn_assets.embedding.backends import (
    Backend,
    open_backend,
    open_openvino,
    open_sentence_transformers,
    open_transformers,
)
from learn_assets.embedding.encoders import Encoder
from learn_assets.study import EncoderChoice
from learn_assets.study.backends import RayOptions, ServerOptions


def chosen_backend(
    choice: EncoderChoice, *, device: str | None = None
) -> Callable[[Encoder], Backend]:
    """Return what opens the backend of a study's encoder; nothing is loaded or connected yet.

    `auto` is what suits this machine; so is what each Ray actor runs. `device` (as torch spells it)
    is for encoders that run in this process.
    """
    if choice.server is not None:
        return _on_server(choice.server)
    if choice.backend == "ray":
        return _on_ray(choice.ray or RayOptions())
    if choice.backend == "transformers":
        return partial(open_transformers, device=device)
    if choice.backend == "sentence_transformers":
        return partial(open_sentence_transformers, device=device)
    if choice.backend == "openvino":
        return open_openvino
    return partial(open_backend, device=device)


def _on_server(options: ServerOptions) -> Callable[[Encoder], Backend]:
    def open_one(encoder: Encoder) -> Backend:
        from learn_assets.embedding.backends.openai_server import OpenAIServerBackend

        return OpenAIServerBackend(encoder, options)

    return open_one


def _on_ray(options: RayOptions) -> Callable[[Encoder], Backend]:
    def open_one(encoder: Encoder) -> Backend:
        from learn_assets.embedding.backends.ray_cluster import RayBackend

        return RayBackend(encoder, options)

    return open_one
