"""Study parts: the same parts of a study's patients in all its cells, for choosing among cells."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

PARTS = 5


def study_parts(patient_ids: Sequence[str], seed: int, parts: int = PARTS) -> pl.DataFrame:
    """Return the part (0 to parts - 1) of every patient of a study, the same in all its cells.

    A patient may be in several windows, with labels that say much about each other.
    """
    ordered = sorted(set(patient_ids))
    order = np.random.default_rng(seed).permutation(len(ordered))
    return pl.DataFrame(
        {"patient_id": ordered, "part": (order % parts).astype(np.int32)},
        schema={"patient_id": pl.String, "part": pl.Int32},
    )


def is_of_parts(table: pl.DataFrame, parts: pl.DataFrame) -> bool:
    """Return whether a table `nested_selection` was made with these parts.

    One of an earlier run, with another seed or other patients, is of other parts: its cell cannot
    be chosen from until it is made again.
    """
    return table.join(parts, on=["patient_id", "part"], how="anti").is_empty()
