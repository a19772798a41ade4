"""Vectors: what `patient_embeddings` promises, and the check of it.

What belongs here: the one contract that Pandera cannot hold, because the length of a vector is the
encoder's.
"""

from __future__ import annotations

from types import MappingProxyType

import numpy as np
import polars as pl

from learn_assets.validation.contracts import CheckFailure, CheckOutcome

COLUMNS = MappingProxyType(
    {
        "patient_id": ("String", "Person."),
        "kind": ("String", "Kind of record."),
        "vector": ("Array(Float32, dimension)", "Mean of its chunks or descriptions, of length 1."),
        "chunks": ("Int32", "Chunks of the narrative, or distinct descriptions."),
        "tokens": ("Int64", "Tokens of the narrative or descriptions, each counted once."),
    }
)
# bfloat16 encoders leave rounding; the mean is scaled to length 1 in float32 afterwards.
_LENGTH_TOLERANCE = 1e-3


def check_vectors(embeddings: pl.DataFrame, narratives: pl.DataFrame) -> CheckOutcome:
    """Hold patient embeddings against the narratives they were made from; counts only.

    `narratives`: patient_id and kind of every text that should have a vector. A vector must be
    finite and of length 1, stand once for a patient and kind, and none may be there or missing
    without a reason (texts without any token have no vector and count as missing).
    """
    key = ["patient_id", "kind"]
    vectors = embeddings["vector"].to_numpy()
    finite = np.isfinite(vectors).all(axis=1) if len(vectors) else np.empty(0, dtype=bool)
    lengths = np.linalg.norm(vectors[finite], axis=1) if len(vectors) else np.empty(0)
    ids = embeddings.select(key)
    counted = {
        ("vector", "finite"): int((~finite).sum()),
        ("vector", "length 1"): int((np.abs(lengths - 1) > _LENGTH_TOLERANCE).sum()),
        ("patient_id, kind", "unique"): ids.height - ids.unique().height,
        ("patient_id, kind", "has a narrative"): ids.join(narratives, on=key, how="anti").height,
        ("patient_id, kind", "has a vector"): narratives.join(ids, on=key, how="anti").height,
    }
    failures = tuple(
        CheckFailure(column, check, count) for (column, check), count in counted.items() if count
    )
    return CheckOutcome(passed=not failures, failures=failures)
