"""Description vectors: the text of each code through a frozen encoder, each text once, ever."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from learn_assets.embedding.encoders import find_encoder
from learn_assets.embedding.engine import embed_narratives
from learn_assets.embedding.store import VectorStore
from learn_assets.lake import Lake
from learn_assets.study import EncoderChoice
from learn_assets.subtypes.clustering import FloatMatrix

# A code without any text still is a diagnosis; the coverage check says how many there are.
NO_DESCRIPTION = "Diagnosis without a description"


def description_store(lake: Lake, choice: EncoderChoice) -> VectorStore:
    """Return the store of an encoder's vectors, kept with the lake."""
    encoder = find_encoder(choice)
    return VectorStore(lake.folder("embedding_store"), encoder.space, encoder.dimension)


def code_vectors(
    codes: Sequence[str], descriptions: Mapping[str, str], choice: EncoderChoice, store: VectorStore
) -> FloatMatrix:
    """Return the vector of each code's description, (codes, d) float32 of length 1."""
    texts = [descriptions.get(code) or NO_DESCRIPTION for code in codes]
    distinct = sorted(set(texts))
    place = {text: row for row, text in enumerate(distinct)}
    rows = np.array([place[text] for text in texts], dtype=np.int64)
    return np.asarray(embed_texts(distinct, choice, store)[rows], dtype=np.float32)


def embed_texts(texts: Sequence[str], choice: EncoderChoice, store: VectorStore) -> FloatMatrix:
    """Return vectors of distinct texts in their order, (texts, d); the store is asked first."""
    numbered = pl.DataFrame(
        {
            "patient_id": [f"{number:09d}" for number in range(len(texts))],
            "kind": ["diagnosis"] * len(texts),
            "text": list(texts),
        },
        schema={"patient_id": pl.String, "kind": pl.String, "text": pl.String},
    )
    result = embed_narratives(
        numbered,
        find_encoder(choice),
        store,
        overlap_tokens=choice.overlap_tokens,
        task_instruction=False,
        progress=False,
    )
    if result.frame.height != len(texts):
        raise ValueError(f"{len(texts) - result.frame.height} texts have no token and no vector")
    return np.asarray(result.frame["vector"].to_numpy(), dtype=np.float32)
