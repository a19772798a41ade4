"""Backends: what runs an encoder. One protocol; a module of this package for each way to run it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from learn_assets.embedding.encoders import Encoder


class Backend(Protocol):
    """Turns texts into vectors.

    `token_budget` is how many padded tokens a batch may hold where it runs.
    """

    @property
    def token_budget(self) -> int:
        """Padded tokens a batch."""
        ...

    def encode(self, texts: Sequence[str], padded_length: int) -> npt.NDArray[np.float32]:
        """Return vectors (n, d) float32 of texts that each fit `padded_length` tokens.

        Texts hold their prompt already. RuntimeError that says "out of memory" asks for less.
        """
        ...


def open_backend(encoder: Encoder) -> Backend:
    """Load an encoder on this machine: plain transformers where they suffice, as they load faster.

    Models with further modules (a dense layer, say) run through sentence-transformers.
    """
    if encoder.pooling == "modules":
        from learn_assets.embedding.backends.sentence_transformers import (
            SentenceTransformersBackend,
        )

        return SentenceTransformersBackend(encoder)
    from learn_assets.embedding.backends.transformers import TransformersBackend

    return TransformersBackend(encoder)
