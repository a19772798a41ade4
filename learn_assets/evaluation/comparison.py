"""Comparison: which of two models is better on the same patients, and how sure that is.

What belongs here: the comparisons a study plans, paired DeLong tests, paired bootstrap intervals
and Holm's correction over the plan.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy.special import ndtr

from learn_assets.schemas.registry import empty_frame
from learn_assets.statistics.discrimination import (
    FloatVector,
    Interval,
    Labels,
    OneClassError,
    average_precision,
    case_mask,
    delong,
    wald,
)
from learn_assets.statistics.patient_draws import FloatMatrix, percentile_limits
from learn_assets.statistics.resampling import (
    auprc_statistic,
    auroc_statistic,
    brier_statistic,
    resampled_statistics,
)
from learn_assets.study import WITHOUT_MEDICATION

BASELINE, COUNTS, VECTORS, LEARN = "age_sex", "count", "embedding", "learn"
# What is learned of the vectors, and so has to do better than they do.
_OF_VECTORS = ("autoencoder", "contrastive_self", "contrastive_supervised")
QUESTIONS = (
    "beyond age and sex",
    "beyond counts",
    "LEARN beyond its alternative",
    "beyond the vectors themselves",
    "what medications add",
)
# Metrics of which less is better.
FALLING_METRICS = ("brier",)
# Rounding leaves a variance of this order where two rankings are the same.
_NO_VARIANCE = 1e-15


class UnpairedError(ValueError):
    """Models were not judged on the same patients, labels and folds."""


@dataclass(frozen=True, order=True)
class ModelName:
    """A feature set with a learner."""

    feature_set: str
    learner: str


@dataclass(frozen=True)
class Contrast:
    """A planned comparison: is `first` better than `second`, and what that would answer."""

    question: str
    first: ModelName
    second: ModelName


@dataclass(frozen=True)
class PairedScores:
    """Out-of-fold probabilities (models, n) of the same n patients, 1 = case."""

    models: tuple[ModelName, ...]
    scores: FloatMatrix
    labels: Labels
    folds: Labels

    def of(self, model: ModelName) -> FloatVector:
        """Return the probabilities of a model; KeyError when it was not judged."""
        if model not in self.models:
            raise KeyError(f"no predictions of {model.feature_set} with {model.learner}")
        return np.asarray(self.scores[self.models.index(model)])


@dataclass(frozen=True)
class PairedTest:
    """first - second with its interval, and the p-value of no difference (NaN: none exists)."""

    difference: Interval
    p_value: float


@dataclass(frozen=True)
class Comparisons:
    """The comparisons made (table `comparisons`), those that could not be, and how many tests."""

    frame: pl.DataFrame
    absent: tuple[Contrast, ...]
    tests: int


def planned_contrasts(grid: Sequence[tuple[str, Sequence[str]]]) -> tuple[Contrast, ...]:
    """Return the family of comparisons that a grid of feature sets and their learners declares.

    For every learner: each feature set against age and sex; each against counts, the strong
    baseline; LEARN against every other. A representation of the vectors is set against them
    instead of counts, age and sex; a feature set without medications only against the same with
    them. The plan depends on the study alone, never on results.
    """
    contrasts: dict[tuple[ModelName, ModelName], Contrast] = {}
    baselines = [ModelName(BASELINE, name) for name in dict(grid).get(BASELINE, ())]
    rungs = [ModelName(rung, name) for rung, names in grid if rung != BASELINE for name in names]
    for model in rungs:
        for contrast in _contrasts_of(model, rungs, baselines):
            contrasts.setdefault((contrast.first, contrast.second), contrast)
    return tuple(sorted(contrasts.values(), key=lambda item: QUESTIONS.index(item.question)))


def _contrasts_of(
    model: ModelName, rungs: Sequence[ModelName], baselines: Sequence[ModelName]
) -> list[Contrast]:
    counts, vectors, whole, medicated = (
        ModelName(name, model.learner)
        for name in (COUNTS, VECTORS, LEARN, WITHOUT_MEDICATION.get(model.feature_set, ""))
    )
    if medicated in rungs:
        return [Contrast(QUESTIONS[4], medicated, model)]
    if model.feature_set in _OF_VECTORS and vectors in rungs:
        planned = [Contrast(QUESTIONS[3], model, vectors)]
    else:
        planned = [Contrast(QUESTIONS[0], model, baseline) for baseline in baselines]
        if counts in rungs and model != counts:
            planned.append(Contrast(QUESTIONS[1], model, counts))
    if whole in rungs and model not in (whole, counts):
        planned.append(Contrast(QUESTIONS[2], whole, model))
    return planned


def paired_scores(cross_validation: pl.DataFrame) -> PairedScores:
    """Return the predictions of every model side by side, patients in the order of their ids.

    UnpairedError when the models were not judged on the same patients, labels and folds.
    """
    models: list[ModelName] = []
    rows: list[pl.DataFrame] = []
    groups = cross_validation.sort("patient_id").group_by(
        "feature_set", "learner", maintain_order=True
    )
    for (feature_set, learner), group in groups:
        models.append(ModelName(str(feature_set), str(learner)))
        rows.append(group)
    if not rows:
        none = np.zeros(0, dtype=np.int64)
        return PairedScores((), np.zeros((0, 0)), none, none)
    shared = rows[0].select("patient_id", "label", "fold")
    if any(not shared.equals(row.select(shared.columns)) for row in rows):
        raise UnpairedError(
            "models of one cell have other patients, labels or folds; materialize "
            "`cross_validation` again"
        )
    return PairedScores(
        tuple(models),
        np.stack([row["probability"].to_numpy() for row in rows]).astype(np.float64),
        shared["label"].to_numpy().astype(np.int64),
        shared["fold"].to_numpy().astype(np.int64),
    )


def delong_test(
    first: FloatVector,
    second: FloatVector,
    labels: Labels,
    folds: Labels | None = None,
) -> PairedTest:
    """Return the difference in AUROC of two scores (n) of the same patients, with a Wald interval.

    Pairs within folds as `delong` has them. Equal rankings have difference 0 and p = 1; a
    difference without any variance has neither limits nor p (NaN). OneClassError when cases or
    controls are absent. Method: DeLong et al. 1988.
    """
    result = delong(np.vstack([first, second]), labels, folds)
    contrast = np.array([1.0, -1.0])
    difference = float(contrast @ result.estimates)
    variance = float(contrast @ result.covariance @ contrast)
    if variance <= _NO_VARIANCE:
        same = abs(difference) <= _NO_VARIANCE
        limit = 0.0 if same else float("nan")
        return PairedTest(Interval(difference, limit, limit), 1.0 if same else float("nan"))
    p_value = float(2 * ndtr(-abs(difference) / float(np.sqrt(variance))))
    return PairedTest(wald(difference, variance), p_value)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values that keep the family-wise error (Holm 1979); NaN counts as a test of 1."""
    values = np.array([1.0 if np.isnan(value) else value for value in p_values])
    order = np.argsort(values, kind="stable")
    stepped = np.maximum.accumulate(values[order] * (len(values) - np.arange(len(values))))
    adjusted = np.empty(len(values))
    adjusted[order] = np.minimum(stepped, 1.0)
    adjusted[np.isnan(np.array(p_values, dtype=np.float64))] = np.nan
    return [float(value) for value in adjusted]


def compare_models(
    cross_validation: pl.DataFrame,
    contrasts: Sequence[Contrast],
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> Comparisons:
    """Return every planned comparison of out-of-fold predictions.

    AUROC by DeLong with a p-value, corrected over all planned contrasts that could be made; AUROC,
    AUPRC and Brier score by the paired bootstrap of patients, as intervals. The intervals describe
    the patients drawn, given the folds and fitted models. UnpairedError as `paired_scores`.
    """
    paired = paired_scores(cross_validation)
    made = [item for item in contrasts if {item.first, item.second} <= set(paired.models)]
    absent = tuple(item for item in contrasts if item not in made)
    try:
        case_mask(paired.labels)
        tests = [
            delong_test(paired.of(item.first), paired.of(item.second), paired.labels, paired.folds)
            for item in made
        ]
    except OneClassError:
        return Comparisons(empty_frame("comparisons"), tuple(contrasts), 0)
    adjusted = holm([test.p_value for test in tests])
    rows = [
        _row(item, "auroc", "delong", test.difference, test.p_value, p_holm)
        for item, test, p_holm in zip(made, tests, adjusted, strict=True)
    ]
    if made:
        rows += _bootstrapped(paired, made, resamples, seed)
    return Comparisons(
        pl.DataFrame(rows, schema=empty_frame("comparisons").schema), absent, len(made)
    )


def _bootstrapped(
    paired: PairedScores, contrasts: Sequence[Contrast], resamples: int, seed: int
) -> list[dict[str, object]]:
    labels, folds = paired.labels, paired.folds
    metrics = {
        "auroc": [auroc_statistic(scores, labels, folds) for scores in paired.scores],
        "auprc": [auprc_statistic(scores, labels) for scores in paired.scores],
        "brier": [brier_statistic(scores, labels) for scores in paired.scores],
    }
    flat = [statistic for statistics in metrics.values() for statistic in statistics]
    draws = resampled_statistics(flat, labels, resamples=resamples, seed=seed)
    draws = draws.reshape(len(metrics), len(paired.models), resamples)
    rows = []
    for (metric, _), drawn in zip(metrics.items(), draws, strict=True):
        observed = dict(zip(paired.models, _observed(metric, paired), strict=True))
        place = {model: number for number, model in enumerate(paired.models)}
        for item in contrasts:
            lower, upper = percentile_limits(drawn[place[item.first]] - drawn[place[item.second]])
            difference = observed[item.first] - observed[item.second]
            rows.append(_row(item, metric, "bootstrap", Interval(difference, lower, upper)))
    return rows


def _observed(metric: str, paired: PairedScores) -> list[float]:
    if metric == "auroc":
        return [
            float(area) for area in delong(paired.scores, paired.labels, paired.folds).estimates
        ]
    if metric == "auprc":
        return [average_precision(scores, paired.labels) for scores in paired.scores]
    return [float(((scores - paired.labels) ** 2).mean()) for scores in paired.scores]


def _row(
    item: Contrast,
    metric: str,
    method: str,
    difference: Interval,
    p_value: float = float("nan"),
    p_value_holm: float = float("nan"),
) -> dict[str, object]:
    numbers: Mapping[str, float] = {
        "difference": difference.estimate,
        "lower": difference.lower,
        "upper": difference.upper,
        "p_value": p_value,
        "p_value_holm": p_value_holm,
    }
    return {
        "question": item.question,
        "first_feature_set": item.first.feature_set,
        "first_learner": item.first.learner,
        "second_feature_set": item.second.feature_set,
        "second_learner": item.second.learner,
        "metric": metric,
        "method": method,
        **{name: value if np.isfinite(value) else None for name, value in numbers.items()},
    }
