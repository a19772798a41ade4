"""Care sites: which institution of a network treats whom, and that the last may code otherwise.

What belongs here: what makes the sites of one extract differ. Who falls ill has nothing to do with
the site, so whatever is lost at one is lost by how it writes.
"""

from __future__ import annotations

import copy

import numpy as np
import polars as pl
from numpy.typing import NDArray

from learn_assets.study import SyntheticSource
from learn_assets.synthetic.codebook import Codebook, Habit, codebook
from learn_assets.synthetic.dirty_rows import SHAPE_REASONS, FileLayout
from learn_assets.synthetic.patients import Block
from learn_assets.synthetic.records import code_records

CARE_SITE = FileLayout(
    "care_site.csv", ("patient_id", "care_site"), ("missing_patient_id", *SHAPE_REASONS)
)
_OTHER_HABIT: dict[Habit, Habit] = {"home": "transfer", "transfer": "home"}
# Some patients have no care site on file.
_STATED_SHARE = 0.98


def draw_care_sites(size: int, sites: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """Return the care site of each of `size` patients, from 1 to `sites`; 0: not stated."""
    drawn = generator.integers(1, sites, size, endpoint=True)
    return np.where(generator.random(size) < _STATED_SHARE, drawn, 0)


def care_site_table(block: Block, sites: NDArray[np.int64]) -> pl.DataFrame:
    """Return the rows of the file: who is treated where, without those of whom it is not stated."""
    stated = np.flatnonzero(sites)
    return pl.DataFrame(
        {
            "patient": stated,
            "patient_id": block.patient_id[stated],
            "care_site": np.char.mod("site_%d", sites[stated]),
        }
    )


def records_by_site(
    block: Block,
    book: Codebook,
    settings: SyntheticSource,
    sites: NDArray[np.int64],
    generator: np.random.Generator,
) -> dict[str, pl.DataFrame]:
    """Return the coded records of a block, as `code_records` does.

    With `other_habit_at_last_site` the patients of the last site have the same episodes, written
    with the other habit's codes.
    """
    # The same draws for either habit: only how an episode is written differs.
    again = copy.deepcopy(generator)
    coded = code_records(block, book, generator)
    if not settings.other_habit_at_last_site:
        return coded
    habit = _OTHER_HABIT[settings.coding_habit]
    otherwise = code_records(block, codebook(habit, settings.shared_synonyms), again)
    last = pl.col("patient").is_in(np.flatnonzero(sites == settings.care_sites))
    return {
        name: pl.concat([table.filter(~last), otherwise[name].filter(last)])
        for name, table in coded.items()
    }
