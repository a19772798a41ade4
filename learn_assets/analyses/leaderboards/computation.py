"""Leaderboard: AUROC of every window and encoder, and what choosing the best of them is worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from learn_assets.modeling.leakage import LeakError
from learn_assets.schemas.registry import empty_frame
from learn_assets.statistics.discrimination import Interval, OneClassError, auroc, limits_of
from learn_assets.statistics.paired import auroc_difference

_CELL_MODEL = ["window", "encoder", "feature_set", "learner"]
_PATIENT = ["feature_set", "learner", "patient_id", "label", "fold"]


@dataclass(frozen=True, order=True)
class CellName:
    """A window with an encoder."""

    window: str
    encoder: str


@dataclass(frozen=True)
class ChosenCell:
    """AUROC of a cell that other patients chose, and how often each candidate was chosen."""

    auroc: Interval
    times_chosen: Mapping[CellName, int]
    patients: int
    cases: int


def leaderboard(
    performance: Mapping[CellName, pl.DataFrame],
    nested: Mapping[CellName, pl.DataFrame],
    groups: Mapping[str, Sequence[CellName]],
    model: tuple[str, str],
    *,
    over: str,
    minimum_cell: int,
) -> pl.DataFrame:
    """Return AUROC of every cell and of the cell chosen in each group (table `window_leaderboard`).

    performance, nested: tables `performance` and `nested_selection` of the cells that are finished.
    groups: candidates by what they share; over: `window` or `encoder`, the name of what is chosen.
    model: feature set and learner of the tables `nested_selection`. Cells in the order of
    `performance`, the chosen ones after them. A group with fewer than two candidates is not chosen
    from.
    """
    chosen = {
        shared: found
        for shared, cells in groups.items()
        if (found := choose({cell: nested[cell] for cell in cells if cell in nested})) is not None
    }
    times = {cell: count for found in chosen.values() for cell, count in found.times_chosen.items()}
    rows: list[dict[str, object]] = []
    for cell, table in performance.items():
        rows += _cell_rows(cell, table, model, times.get(cell))
    for shared, found in chosen.items():
        kept = "encoder" if over == "window" else "window"
        few = min(found.cases, found.patients - found.cases) < minimum_cell
        rows.append(
            {
                "basis": "chosen",
                kept: shared,
                "feature_set": model[0],
                "learner": model[1],
                "patients": None if found.patients < minimum_cell else found.patients,
                "cases": None if few else found.cases,
                **limits_of(found.auroc, "auroc"),
            }
        )
    return pl.DataFrame(rows, schema=empty_frame("window_leaderboard").schema)


def with_differences(
    board: pl.DataFrame,
    predictions: Mapping[CellName, pl.DataFrame],
    groups: Mapping[str, Sequence[CellName]],
) -> pl.DataFrame:
    """Return a leaderboard with the paired difference of each cell to the first of its group.

    predictions: tables `cross_validation`; groups: cells that judge the same patients, which those
    of one window do. Paired DeLong, pairs within folds. A model that either cell lacks, or that was
    judged on other patients, labels or folds, has no difference.
    """
    rows: list[tuple[object, ...]] = []
    for cells in groups.values():
        known = [cell for cell in cells if cell in predictions]
        for cell in known[1:]:
            rows += _differences(cell, predictions[cell], predictions[known[0]])
    columns = ("difference", "difference_lower", "difference_upper")
    found = pl.DataFrame(
        rows,
        schema=board.select(*_CELL_MODEL, *columns).schema,
        orient="row",
    )
    joined = board.drop(columns).join(found, on=_CELL_MODEL, how="left", maintain_order="left")
    return joined.select(board.columns)


def choose(candidates: Mapping[CellName, pl.DataFrame]) -> ChosenCell | None:
    """Return the AUROC of choosing: each part is judged by the cell that the other parts prefer.

    candidates: tables `nested_selection`. The first of equals is preferred. None with fewer than
    two candidates, or when no part holds a case and a control of the cell chosen for it.
    LeakError when a patient is in another part in another cell: who judges would also choose.
    """
    known = {cell: table for cell, table in candidates.items() if not table.is_empty()}
    if len(known) < 2:
        return None
    _assert_one_part_per_patient(known)
    times = dict.fromkeys(known, 0)
    judged: list[pl.DataFrame] = []
    for part in sorted({part for table in known.values() for part in table["part"].unique()}):
        shares = {cell: table.filter(pl.col("part") == part) for cell, table in known.items()}
        preferences = {
            cell: share["inner_auroc"][0]
            for cell, share in shares.items()
            if share.height and share["inner_auroc"][0] is not None
        }
        if not preferences:
            continue
        best = max(preferences, key=lambda cell: preferences[cell])
        times[best] += 1
        judged.append(shares[best])
    if not judged:
        return None
    scores = pl.concat(judged)
    labels = scores["label"].to_numpy()
    try:
        area = auroc(scores["probability"].to_numpy(), labels, folds=scores["part"].to_numpy())
    except OneClassError:
        return None
    return ChosenCell(area, times, len(labels), int(labels.sum()))


def _differences(
    cell: CellName, own: pl.DataFrame, first: pl.DataFrame
) -> list[tuple[object, ...]]:
    paired = own.join(first, on=_PATIENT, how="left", suffix="_first").sort(_PATIENT)
    rows: list[tuple[object, ...]] = []
    for (feature_set, learner), group in paired.group_by(
        "feature_set", "learner", maintain_order=True
    ):
        if group["probability_first"].null_count():
            continue
        scores, before, labels, folds = (
            group[name].to_numpy() for name in ("probability", "probability_first", "label", "fold")
        )
        try:
            gap = auroc_difference(scores, before, labels, folds)
        except OneClassError:
            continue
        limits = (gap.estimate, gap.lower, gap.upper)
        shown = (value if np.isfinite(value) else None for value in limits)
        rows.append((cell.window, cell.encoder, feature_set, learner, *shown))
    return rows


def _assert_one_part_per_patient(tables: Mapping[CellName, pl.DataFrame]) -> None:
    parts = pl.concat([table.select("patient_id", "part") for table in tables.values()]).unique()
    twice = parts.height - parts["patient_id"].n_unique()
    if twice:
        raise LeakError(
            f"{twice} patients judge in one cell and choose in another; materialize "
            "`nested_selection` of every cell again"
        )


def _cell_rows(
    cell: CellName, performance: pl.DataFrame, model: tuple[str, str], times: int | None
) -> list[dict[str, object]]:
    metrics: dict[tuple[str, str], dict[str, dict[str, float | None]]] = {}
    for row in performance.iter_rows(named=True):
        metrics.setdefault((row["feature_set"], row["learner"]), {})[row["metric"]] = row
    return [
        {
            "basis": "cell",
            "window": cell.window,
            "encoder": cell.encoder,
            "feature_set": name[0],
            "learner": name[1],
            "patients": _count(found.get("n")),
            "cases": _count(found.get("cases")),
            "auroc": found["auroc"]["estimate"],
            "lower": found["auroc"]["lower"],
            "upper": found["auroc"]["upper"],
            "times_chosen": times if name == model else None,
        }
        for name, found in metrics.items()
        if "auroc" in found and found["auroc"]["estimate"] is not None
    ]


def _count(row: Mapping[str, float | None] | None) -> int | None:
    # `performance` leaves out counts that are too small to show.
    if row is None or row["estimate"] is None:
        return None
    return int(row["estimate"])
