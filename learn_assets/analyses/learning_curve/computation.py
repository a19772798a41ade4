"""Learning curve: how good models become as they learn from more of the training patients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import polars as pl

from learn_assets.modeling.arrays import IndexVector, Labels
from learn_assets.modeling.cross_validation import predict_split, stratified_folds
from learn_assets.modeling.features import FeatureBlocks
from learn_assets.modeling.protocol import ModelingProtocol
from learn_assets.modeling.sensitivity import side_by_side
from learn_assets.schemas.registry import empty_frame
from learn_assets.statistics.discrimination import FloatVector, Interval, delong, logit_wald

_MODEL = ["feature_set", "learner"]
# A model needs two of each kind to see a difference in either.
_FEWEST_OF_A_CLASS = 2
# A size close to the whole would cost as much and show the same.
_CLEARLY = 1.5


@dataclass(frozen=True)
class _Task:
    """One training set: the first `size` patients of a fold's training part in a random order."""

    fold: int
    draw: int
    size: int
    training: IndexVector
    held_out: IndexVector


def learning_curve(
    blocks: FeatureBlocks,
    labels: Labels,
    protocol: ModelingProtocol,
    whole: pl.DataFrame,
    *,
    smallest: int,
    draws: int,
    workers: int | None = None,
) -> pl.DataFrame:
    """Return AUROC by number of training patients (table `learning_curve`).

    blocks and labels (1 = case) belong to the labeled patients. whole: the cell's table
    `cross_validation`, the point at which models learned from every training patient of a fold;
    empty gives an empty table. Training sets double from `smallest`, at most `draws` of a size (see
    `draws_of`); those of a draw are nested and keep the share of cases, but hold at least two cases
    and two controls. A count may be as rare among the patients of a subset as among all, so that
    few patients still have counts. Held-out patients are those of `whole`, whatever the size.
    """
    if whole.is_empty():
        return empty_frame("learning_curve")
    folds = stratified_folds(blocks.patient_ids, labels, protocol.folds, protocol.seed)
    largest = len(labels) - int(np.bincount(folds).max())
    tasks = _tasks(labels, folds, curve_sizes(smallest, largest), draws, protocol.seed)

    def judged(task: _Task) -> pl.DataFrame:
        share = task.size / largest
        fewest = max(1, round(protocol.preprocessing.minimum_patients * share))
        fitting = replace(protocol, minimum_patients=fewest, minimum_cell=fewest)
        predictions = predict_split(
            blocks, labels, task.training, task.held_out, fitting, fold=task.fold, workers=1
        )
        return predictions.frame.with_columns(
            pl.lit(task.size, pl.Int64).alias("training_patients"),
            pl.lit(task.draw, pl.Int32).alias("draw"),
        )

    fewer = side_by_side(judged, tasks, protocol, workers)
    kept = pl.DataFrame([(*name,) for name in _names(protocol)], schema=_MODEL, orient="row")
    every = whole.join(kept, on=_MODEL, how="semi").with_columns(
        pl.lit(largest, pl.Int64).alias("training_patients"), pl.lit(0, pl.Int32).alias("draw")
    )
    return _points(pl.concat([*fewer, every]), len(labels))


def curve_sizes(smallest: int, largest: int) -> tuple[int, ...]:
    """Return training sizes that double from `smallest` and stay clearly below `largest`."""
    sizes = []
    while smallest * _CLEARLY <= largest:
        sizes.append(smallest)
        smallest *= 2
    return tuple(sizes)


def draws_of(size: int, patients: int, draws: int) -> int:
    """Return how many training sets of this size are drawn from so many training patients.

    Sets of more than half of the patients are mostly the same, so one of them is enough.
    """
    return max(1, min(draws, patients // size))


def nested_subset(labels: Labels, order: npt.NDArray[np.integer], size: int) -> IndexVector:
    """Return the row numbers of a subset of this size: first cases and controls of the order.

    Its share of cases is that of all rows, with at least two of each kind where there are two;
    a larger subset of the same order holds every smaller one.
    """
    cases, controls = order[labels[order] == 1], order[labels[order] == 0]
    wanted = round(size * len(cases) / len(order))
    fewest = min(_FEWEST_OF_A_CLASS, len(cases))
    most = max(fewest, size - min(_FEWEST_OF_A_CLASS, len(controls)))
    taken = max(min(max(wanted, fewest), most), size - len(controls))
    chosen = np.concatenate([cases[:taken], controls[: size - taken]])
    return np.sort(chosen).astype(np.int64)


def mean_auroc(
    scores: FloatVector,
    labels: npt.NDArray[np.integer],
    folds: npt.NDArray[np.integer],
) -> Interval:
    """Return the mean AUROC of k scores (k, n) of the same patients, from k training sets.

    Variance: that of the mean over patients (DeLong, training sets given) and that between training
    sets divided by k. Limits on the logit scale; NaN as `auroc` has them.
    """
    result = delong(scores, labels, folds)
    count = len(result.estimates)
    estimate = float(result.estimates.mean())
    variance = float(result.covariance.mean())
    if count > 1:
        variance += float(result.estimates.var(ddof=1)) / count
    return logit_wald(estimate, variance)


def _names(protocol: ModelingProtocol) -> list[tuple[str, str]]:
    return [(name, learner) for name, learners in protocol.grid for learner in learners]


def _tasks(
    labels: Labels,
    folds: npt.NDArray[np.int32],
    sizes: Sequence[int],
    draws: int,
    seed: int,
) -> list[_Task]:
    tasks = []
    for fold in range(int(folds.max()) + 1):
        training = np.flatnonzero(folds != fold)
        held_out = np.flatnonzero(folds == fold).astype(np.int64)
        for draw in range(draws):
            order = np.random.default_rng([seed, fold, draw]).permutation(len(training))
            for size in (size for size in sizes if draw < draws_of(size, len(training), draws)):
                subset = training[nested_subset(labels[training], order, size)].astype(np.int64)
                tasks.append(_Task(fold, draw, size, subset, held_out))
    # The largest start first, so that no long fit is left over at the end.
    return sorted(tasks, key=lambda task: -task.size)


def _points(predictions: pl.DataFrame, patients: int) -> pl.DataFrame:
    rows: list[dict[str, object]] = []
    keys = [*_MODEL, "training_patients"]
    for (feature_set, learner, size), group in predictions.sort(keys).group_by(
        keys, maintain_order=True
    ):
        ordered = group.sort("draw", "patient_id")
        draws = ordered["draw"].n_unique()
        # A model that could not be fitted in some training set has no point at that size.
        if ordered.height != patients * draws:
            continue
        scores = ordered["probability"].to_numpy().reshape(draws, patients)
        labels, folds = (ordered[name].to_numpy()[:patients] for name in ("label", "fold"))
        area = mean_auroc(scores, labels, folds)
        limits = {"lower": area.lower, "upper": area.upper}
        rows.append(
            {
                "feature_set": feature_set,
                "learner": learner,
                "training_patients": size,
                "draws": draws,
                "auroc": area.estimate,
                **{name: value if np.isfinite(value) else None for name, value in limits.items()},
            }
        )
    return pl.DataFrame(rows, schema=empty_frame("learning_curve").schema)
