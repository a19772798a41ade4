"""Temporal hold-out: models that learn what was known by a day, judged on the patients after it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from learn_assets.disclosure import shown_parts
from learn_assets.evaluation.performance import performance
from learn_assets.modeling.arrays import IndexVector
from learn_assets.modeling.cross_validation import predict_split, too_few
from learn_assets.modeling.leakage import assert_known_before
from learn_assets.modeling.pipeline import Cell
from learn_assets.modeling.protocol import ModelingProtocol
from learn_assets.schemas.registry import empty_frame
from learn_assets.study import TemporalOptions
from learn_assets.study.windows import Window

# What tells the cases among the later patients, and so those among the earlier ones.
_TELLING = ("cases", "prevalence", "scaled_brier")


@dataclass(frozen=True)
class TemporalSplit:
    """Labeled patients by id, told apart by a day; each is in exactly one part.

    known_on: day since when each label is known. training: index date before the cut, label known
    before it. open_window: index date before the cut, window not over by then. unconfirmed: window
    over, outcome not confirmed by then. later: index date on or after the cut and window over
    within the data; later_open: not over.
    """

    cut: date
    patient_ids: tuple[str, ...]
    known_on: tuple[date, ...]
    training: IndexVector
    open_window: int
    unconfirmed: int
    later: IndexVector
    later_open: int


@dataclass(frozen=True)
class TemporalValidation:
    """Estimates (table `temporal_validation`), or why there are none."""

    frame: pl.DataFrame
    reason: str | None = None
    warnings: tuple[str, ...] = ()


def temporal_split(
    cohort: pl.DataFrame,
    outcome_confirmation: pl.DataFrame,
    window: Window,
    end_of_data: date,
    options: TemporalOptions,
) -> TemporalSplit | None:
    """Return who is learned from and who is judged; None without a patient whose window is over.

    cohort and outcome_confirmation: tables of these names. end_of_data: last day on record. A label
    is known when its window is over, FUP days after the index date, and a case's when its outcome
    is confirmed as well. That the outcome of some is known earlier does not bring them in: patients
    whose controls are not known yet would be there as cases only. Without a day in the options, the
    cut is the first of a month, so that it is no patient's date.
    """
    labeled = _labeled(cohort, outcome_confirmation, window)
    over = labeled.filter(pl.col("window_over") <= end_of_data)
    if over.is_empty():
        return None
    cut = options.cut or _cut(over["index_date"], options.later_share)
    earlier = pl.col("index_date") < cut
    known = pl.max_horizontal("window_over", "confirmed")
    parts = labeled.select(
        (earlier & (known < cut)).alias("training"),
        (earlier & (pl.col("window_over") >= cut)).alias("open_window"),
        (earlier & (pl.col("window_over") < cut) & (known >= cut)).alias("unconfirmed"),
        (~earlier & (pl.col("window_over") <= end_of_data)).alias("later"),
        (~earlier & (pl.col("window_over") > end_of_data)).alias("later_open"),
        known.alias("known_on"),
    )
    return TemporalSplit(
        cut=cut,
        patient_ids=tuple(labeled["patient_id"].to_list()),
        known_on=tuple(parts["known_on"].to_list()),
        training=_rows(parts["training"]),
        open_window=int(parts["open_window"].sum()),
        unconfirmed=int(parts["unconfirmed"].sum()),
        later=_rows(parts["later"]),
        later_open=int(parts["later_open"].sum()),
    )


def temporal_validation(
    cell: Cell,
    split: TemporalSplit | None,
    protocol: ModelingProtocol,
    *,
    resamples: int = 1000,
    workers: int | None = None,
) -> TemporalValidation:
    """Return how models of the earlier patients do on the later ones, and who was left out.

    Metrics are those of `performance` on the later patients; `training_n` and `training_prevalence`
    are about those learned from, `left_out_...` about labeled patients in neither part. Counts that
    are small, or that would give a small one away, are withheld. LeakError when a label that is
    learned from was not known before the cut, or a patient is in both parts. ValueError when the
    split is of other patients.
    """
    empty = empty_frame("temporal_validation")
    if split is None:
        return TemporalValidation(empty, "no labeled patient's window is over within the data")
    labeled, labels = cell.blocks.rows(cell.labeled), cell.labels
    if labeled.patient_ids.tolist() != list(split.patient_ids):
        raise ValueError("the split is of other patients than the labeled ones of the cell")
    assert_known_before([split.known_on[row] for row in split.training], split.cut)
    reason = too_few(labels[split.training], protocol.folds)
    if reason is not None:
        return TemporalValidation(empty, f"among patients before {split.cut}: {reason}")
    if len(np.unique(labels[split.later])) < 2:
        return TemporalValidation(empty, f"from {split.cut} on there are not both kinds of label")
    judged = predict_split(labeled, labels, split.training, split.later, protocol, workers=workers)
    minimum = protocol.minimum_cell
    measured = performance(
        judged.frame, minimum_cell=minimum, resamples=resamples, seed=protocol.seed
    ).frame
    metric = pl.col("metric")
    hidden = _telling(labels, split, minimum)
    told = metric.is_in(hidden)
    if hidden:
        # Sensitivity and predictive values together give the share of cases.
        told |= metric.str.contains("_at_specificity_", literal=True)
    models = measured.select("feature_set", "learner").unique(maintain_order=True)
    composition = models.join(_composition(labels, split, minimum), how="cross")
    frame = pl.concat([measured.filter(~told), composition], how="diagonal")
    dated = frame.with_columns(pl.lit(split.cut).alias("cut_date"))
    ordered = dated.select(empty.columns).sort("feature_set", "learner", maintain_order=True)
    return TemporalValidation(ordered, warnings=judged.warnings)


def _labeled(
    cohort: pl.DataFrame, outcome_confirmation: pl.DataFrame, window: Window
) -> pl.DataFrame:
    """Return labeled patients by id: index date, label, end of window, day a case was confirmed."""
    confirmed = outcome_confirmation.select("patient_id", pl.col("confirmed_date"))
    return (
        cohort.filter(pl.col("label").is_not_null())
        .join(confirmed, on="patient_id", how="left")
        .sort("patient_id")
        .select(
            "patient_id",
            "index_date",
            "label",
            (pl.col("index_date") + pl.duration(days=window.follow_up_period)).alias("window_over"),
            # A case without a day of confirmation is never known.
            pl.when(pl.col("label") == 1)
            .then(pl.col("confirmed_date").fill_null(date.max))
            .alias("confirmed"),
        )
    )


def _cut(index_dates: pl.Series, later_share: float) -> date:
    ordered = index_dates.sort()
    place = min(int((1 - later_share) * len(ordered)), len(ordered) - 1)
    return _date(ordered[place]).replace(day=1)


def _date(value: Any) -> date:
    if not isinstance(value, date):
        raise TypeError("an index date is not a date")
    return value


def _rows(chosen: pl.Series) -> npt.NDArray[np.int64]:
    return np.flatnonzero(chosen.to_numpy()).astype(np.int64)


def _composition(labels: npt.NDArray[np.int8], split: TemporalSplit, minimum: int) -> pl.DataFrame:
    """Return the numbers about who is learned from and who is left out, as rows of metrics.

    Labeled and later patients are shown, so these are the parts of a total that is known.
    """
    names = (
        "training_n",
        "left_out_window_open",
        "left_out_unconfirmed",
        "left_out_later_window_open",
    )
    counts = (len(split.training), split.open_window, split.unconfirmed, split.later_open)
    parts = shown_parts(counts, minimum)
    rows = [
        (name, float(part.value))
        for name, part in zip(names, parts, strict=True)
        if part.value is not None
    ]
    cases = int(labels[split.training].sum())
    if parts[0].value is not None and not _tells_of_few(labels, split, minimum):
        rows.append(("training_prevalence", cases / len(split.training)))
    return pl.DataFrame(
        [(name, value, None, None) for name, value in rows],
        schema={
            "metric": pl.String,
            "estimate": pl.Float64,
            "lower": pl.Float64,
            "upper": pl.Float64,
        },
        orient="row",
    )


def _tells_of_few(labels: npt.NDArray[np.int8], split: TemporalSplit, minimum: int) -> bool:
    """Return whether cases learned from would tell a small number of them or of those left out."""
    left_out = np.delete(labels, np.concatenate([split.training, split.later]))
    counts = [
        int((part == kind).sum()) for part in (labels[split.training], left_out) for kind in (0, 1)
    ]
    return any(0 < count < minimum for count in counts)


def _telling(labels: npt.NDArray[np.int8], split: TemporalSplit, minimum: int) -> tuple[str, ...]:
    """Return the metrics of the later patients that would give a small number of others away."""
    later = labels[split.later]
    others = len(labels) - len(later)
    cases = int(labels.sum()) - int(later.sum())
    if 0 < others < minimum:
        return ("n", *_TELLING)
    if any(0 < count < minimum for count in (cases, others - cases)):
        return _TELLING
    return ()
