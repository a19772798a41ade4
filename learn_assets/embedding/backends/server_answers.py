"""Server answers: what the body of an OpenAI-compatible answer must hold, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from learn_assets.embedding.chunking import load_tokenizer
from learn_assets.embedding.encoders import Encoder


class AnswerError(ValueError):
    """An answer is not what was asked for; counts only."""


@dataclass(frozen=True)
class Answer:
    """Vectors (n, d) float32 in the order of the texts; `tokens` as the server counted, or None."""

    vectors: npt.NDArray[np.float32]
    tokens: int | None


def read_vectors(body: bytes, texts: int, encoder: Encoder) -> Answer:
    """Read the answer of /embeddings; order is that of each item's `index`.

    Vectors are scaled to length 1, in float32, when the encoder's are. AnswerError when the answer
    does not hold exactly one finite vector of the encoder's dimension a text.
    """
    content = _parsed(body)
    items = content.get("data") if isinstance(content, dict) else None
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise AnswerError("its answer is not a list of embeddings")
    if len(items) != texts:
        raise AnswerError(f"it answered {texts} texts with {len(items)} vectors")
    try:
        items = sorted(items, key=lambda item: int(item["index"]))
        indices = [item["index"] for item in items]
        with np.errstate(over="ignore"):
            vectors = np.asarray([item["embedding"] for item in items], dtype=np.float32)
    except (KeyError, TypeError, ValueError, OverflowError):
        vectors = None
    if vectors is None:
        raise AnswerError("its answer does not give each text an index and a list of numbers")
    if indices != list(range(texts)):
        raise AnswerError("the indices of its vectors are not those of the texts")
    if vectors.shape != (texts, encoder.dimension):
        raise AnswerError(f"its vectors are not of dimension {encoder.dimension}")
    return Answer(_scaled(vectors) if encoder.normalized else _finite(vectors), _tokens(content))


def read_models(body: bytes) -> list[str] | None:
    """Read the names in an answer of /models; None when it is something else."""
    content = _parsed(body)
    items = content.get("data") if isinstance(content, dict) else None
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        return None
    return [str(item.get("id", "")) for item in items]


class TokenCounter:
    """Compares the tokens that a server says it read with those of the texts."""

    def __init__(self, encoder: Encoder) -> None:
        """Load the encoder's tokenizer."""
        self._tokenizer = load_tokenizer(encoder.folder)
        self._special = self._tokenizer.num_special_tokens_to_add(is_pair=False)

    def check(self, tokens: int | None, texts: Sequence[str]) -> None:
        """Raise AnswerError when fewer tokens were read than the texts have.

        Servers count with or without special tokens, so only those of the text are demanded; a
        server that does not count passes.
        """
        if tokens is None:
            return
        encodings = self._tokenizer.encode_batch_fast(list(texts))
        demanded = sum(len(encoding.ids) - self._special for encoding in encodings)
        if tokens < demanded:
            raise AnswerError(
                f"it read {tokens} of {demanded} tokens, so it cuts texts short (its limit may be "
                "lower, or it counts otherwise: then write `check_token_count: false`)"
            )


def _parsed(body: bytes) -> object:
    try:
        return json.loads(body)
    except ValueError:
        return None


def _tokens(content: object) -> int | None:
    usage = content.get("usage") if isinstance(content, dict) else None
    counted = usage.get("prompt_tokens") if isinstance(usage, dict) else None
    return counted if isinstance(counted, int) and counted > 0 else None


def _finite(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    if not np.isfinite(vectors).all():
        raise AnswerError("its vectors hold values that are not finite")
    return vectors


def _scaled(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    lengths = np.linalg.norm(_finite(vectors), axis=1, keepdims=True)
    if not (np.isfinite(lengths) & (lengths > 0)).all():
        raise AnswerError("its vectors hold one without a length")
    scaled: npt.NDArray[np.float32] = vectors / lengths
    return scaled
