"""Chosen: from what a study says about an encoder to what opens its backend."""

from __future__ import annotations

from collections.abc import Callable

from learn_assets.backend_options import RayOptions, ServerOptions
from learn_assets.embedding.backends import Backend, open_backend
from learn_assets.embedding.encoders import Encoder
from learn_assets.study import EncoderChoice


def chosen_backend(choice: EncoderChoice) -> Callable[[Encoder], Backend]:
    """Return what opens the backend of a study's encoder; nothing is loaded or connected yet.

    `auto` is what suits this machine; so is what each Ray actor runs.
    """
    if choice.server is not None:
        return _on_server(choice.server)
    if choice.backend == "ray":
        return _on_ray(choice.ray or RayOptions())
    if choice.backend == "transformers":
        return _with_transformers
    if choice.backend == "sentence_transformers":
        return _with_sentence_transformers
    return open_backend


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


def _with_transformers(encoder: Encoder) -> Backend:
    from learn_assets.embedding.backends.transformers import TransformersBackend

    return TransformersBackend(encoder)


def _with_sentence_transformers(encoder: Encoder) -> Backend:
    from learn_assets.embedding.backends.sentence_transformers import SentenceTransformersBackend

    return SentenceTransformersBackend(encoder)
