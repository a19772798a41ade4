"""Case mix: means and spreads of a site's patients, so that two sites can be told apart.

What belongs here: numbers about many patients that may leave a site, and how far two of them lie
apart.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from learn_assets.disclosure import shown_parts
from learn_assets.modeling.arrays import Labels
from learn_assets.modeling.features import SEXES, FeatureBlocks

_LOOK_BACK = "|last-"


@dataclass(frozen=True)
class CaseMixVariable:
    """Mean and standard deviation of one variable among the labeled patients of a site."""

    name: str
    mean: float
    standard_deviation: float


def describe_case_mix(
    blocks: FeatureBlocks, labels: Labels, *, minimum_cell: int
) -> tuple[CaseMixVariable, ...]:
    """Return age, sex, amount of records, kinds of narratives and outcome of labeled patients.

    blocks and labels (1 = case) row by row. `records` and `distinct_codes` are log(1 + number)
    before the index date. A share that rests on fewer than `minimum_cell` patients, or gives such
    a number away, is left out; so is everything when there are fewer patients than that.
    """
    if len(blocks) < minimum_cell:
        return ()
    own = [
        number for number, name in enumerate(blocks.reference.count_names) if _LOOK_BACK not in name
    ]
    counts = blocks.counts[:, own]
    variables = [
        _described("age_at_index", blocks.demographics[:, 0], minimum_cell),
        _described("records", np.log1p(np.asarray(counts.sum(axis=1)).ravel()), minimum_cell),
        _described(
            "distinct_codes", np.log1p(np.asarray((counts > 0).sum(axis=1)).ravel()), minimum_cell
        ),
        *_shares([f"sex|{sex}" for sex in SEXES], blocks.demographics[:, 1:], minimum_cell),
    ]
    for block in blocks.embeddings:
        has = np.column_stack([~block.missing, block.missing])
        variables += _shares([f"has|{block.kind}"], has, minimum_cell)
    outcome = np.column_stack([labels == 1, labels == 0])
    variables += _shares(["outcome"], outcome, minimum_cell)
    return tuple(variable for variable in variables if np.isfinite(variable.mean))


def standardized_difference(source: CaseMixVariable, here: CaseMixVariable) -> float:
    """Return (mean here - mean at the source) / pooled standard deviation.

    0 when both vary nowhere and agree, infinite when they do not (Austin 2009).
    """
    variance = (source.standard_deviation**2 + here.standard_deviation**2) / 2
    difference = here.mean - source.mean
    if variance == 0:
        return 0.0 if difference == 0 else float(np.copysign(np.inf, difference))
    return float(difference / np.sqrt(variance))


def _described(name: str, values: npt.NDArray[np.floating], minimum_cell: int) -> CaseMixVariable:
    known = values[np.isfinite(values)].astype(np.float64)
    if len(known) < max(2, minimum_cell):
        return CaseMixVariable(name, float("nan"), float("nan"))
    return CaseMixVariable(name, float(known.mean()), float(known.std(ddof=1)))


def _shares(
    names: list[str], members: npt.NDArray[np.generic], minimum_cell: int
) -> list[CaseMixVariable]:
    """Return the share of each named column of `members` (patients, parts of one whole)."""
    parts = [int(column.sum()) for column in members.T]
    shown = shown_parts(parts, minimum_cell)
    return [
        _described(name, members[:, number].astype(np.float64), minimum_cell)
        for number, name in enumerate(names)
        if shown[number].value is not None
    ]
