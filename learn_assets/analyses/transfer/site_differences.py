"""Site differences: which features of a foreign model are unknown here, and how patients differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

import numpy as np
import polars as pl

from learn_assets.modeling.bundle import TrainedModels
from learn_assets.modeling.case_mix import (
    CaseMixVariable,
    describe_case_mix,
    standardized_difference,
)
from learn_assets.modeling.features import FeatureBlocks, FeatureReference
from learn_assets.modeling.pipeline import Cell
from learn_assets.modeling.preprocessing import FittedPreprocessing
from learn_assets.schemas.registry import empty_frame

_SHOWN_FEATURES = 10


def site_differences(
    name: str, foreign: TrainedModels, cell: Cell, *, minimum_cell: int
) -> pl.DataFrame:
    """Return how this site differs from that of a bundle (table `site_differences`).

    aspect `features_found`: features of the model of one kind and code system (`source`) and how
    many of them occur here (`here`). `features_not_in_model`: those that occur only here.
    `case_mix`: means of age, sex, amount of records, narratives and outcome at both sites, among
    labeled patients. `count_feature`: the ten counts whose mean log(1 + count) moved most, of those
    that at least `minimum_cell` patients here have. Standardized differences are (here - source) /
    pooled standard deviation; numbers that rest on fewer than `minimum_cell` patients are left out.
    """
    rows: list[tuple[str, str, float, float, float | None]] = []
    labeled = cell.blocks.rows(cell.labeled)
    if foreign.preprocessing is not None:
        rows += _feature_rows(foreign.preprocessing, cell.blocks)
        if len(labeled) >= max(2, minimum_cell):
            rows += _moved_counts(foreign.preprocessing, labeled, minimum_cell)
    here = describe_case_mix(labeled, cell.labels, minimum_cell=minimum_cell)
    rows += _case_mix_rows(foreign.case_mix, here)
    return pl.DataFrame(
        [(name, *row) for row in rows], schema=empty_frame("site_differences").schema, orient="row"
    )


def _feature_rows(
    preprocessing: FittedPreprocessing, blocks: FeatureBlocks
) -> Iterator[tuple[str, str, float, float, None]]:
    wanted, own = _names(preprocessing.reference), _names(blocks.reference)
    found = _by_system(wanted & own)
    for system, features in sorted(_by_system(wanted).items()):
        yield "features_found", system, float(features), float(found[system]), None
    for system, features in sorted(_by_system(own - wanted).items()):
        yield "features_not_in_model", system, 0.0, float(features), None


def _names(reference: FeatureReference) -> set[str]:
    return {*reference.count_names, *reference.measurement_names}


def _by_system(names: Iterable[str]) -> Counter[str]:
    return Counter(" ".join(name.split("|")[:2]) for name in names)


def _case_mix_rows(
    source: tuple[CaseMixVariable, ...], here: tuple[CaseMixVariable, ...]
) -> Iterator[tuple[str, str, float, float, float | None]]:
    ours = {variable.name: variable for variable in here}
    for theirs in source:
        own = ours.get(theirs.name)
        if own is not None:
            gap = standardized_difference(theirs, own)
            shown = gap if np.isfinite(gap) else None
            yield "case_mix", theirs.name, theirs.mean, own.mean, shown


def _moved_counts(
    preprocessing: FittedPreprocessing, labeled: FeatureBlocks, minimum_cell: int
) -> list[tuple[str, str, float, float, float | None]]:
    # Both sites on the scale of the source, where its own mean is 0 and its spread is 1.
    matrix = preprocessing.transform(labeled)
    aligned = labeled.aligned(preprocessing.reference)
    carried = np.asarray((aligned.counts > 0).sum(axis=0)).ravel()
    place = {name: number for number, name in enumerate(preprocessing.reference.count_names)}
    rows: list[tuple[str, str, float, float, float | None]] = []
    for number, column in enumerate(preprocessing.columns):
        if column.block != "counts" or carried[place[column.name]] < minimum_cell:
            continue
        values = matrix[:, number].astype(np.float64)
        here = CaseMixVariable(column.name, float(values.mean()), float(values.std(ddof=1)))
        gap = standardized_difference(CaseMixVariable(column.name, 0.0, 1.0), here)
        center, scale = float(preprocessing.center[number]), float(preprocessing.scale[number])
        rows.append(("count_feature", column.name, center, center + scale * here.mean, gap))
    rows.sort(key=lambda row: (-abs(row[4] or 0.0), row[1]))
    return rows[:_SHOWN_FEATURES]
