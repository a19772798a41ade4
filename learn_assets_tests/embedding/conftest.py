"""Shared: the packaged encoder and invented narratives of very different lengths."""

from __future__ import annotations

import random
from pathlib import Path

import polars as pl
import pytest

from learn_assets.embedding.encoders import Encoder, find_encoder
from learn_assets.embedding.store import VectorStore
from learn_assets.study import KINDS, EncoderChoice

_TERMS = (
    "Systemic sclerosis, unspecified",
    "Raynaud's syndrome without gangrene",
    "Type 2 diabetes mellitus with hyperglycemia",
    "Pain in right knee",
    "hydroxychloroquine 200 MG Oral Tablet",
    "Collection of venous blood by venipuncture",
    "Abnormal immunological finding in serum",
)


def make_narratives(patients: int, *, seed: int = 0, longest: int = 60) -> pl.DataFrame:
    """Return narratives of 1 to `longest` records, about 20 tokens each."""
    draw = random.Random(seed)
    rows = []
    for patient in range(patients):
        for kind in KINDS:
            count = 1 + int(longest * draw.random() ** 3)
            records = [
                f"[20{draw.randrange(10, 24)}-03-{draw.randrange(10, 29)}] - {draw.choice(_TERMS)}"
                for _ in range(count)
            ]
            rows.append(
                {"patient_id": f"p{patient:04d}", "kind": kind, "text": " | ".join(records)}
            )
    return pl.DataFrame(rows)


@pytest.fixture(scope="session")
def minilm() -> Encoder:
    return find_encoder(EncoderChoice(id="minilm"))


@pytest.fixture
def store(tmp_path: Path, minilm: Encoder) -> VectorStore:
    return VectorStore(tmp_path / "store", minilm.space, minilm.dimension)
