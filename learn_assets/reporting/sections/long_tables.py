"""Long tables: reading estimates by metric from tables with one row a metric."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from learn_assets.evaluation.comparison import ModelName
from learn_assets.reporting.labels import feature_set_rank
from learn_assets.reporting.values import Estimate


def estimate_of(row: Mapping[str, float | None] | None) -> Estimate | None:
    """Return the estimate of a row with its limits; None when it is empty."""
    if row is None or row["estimate"] is None:
        return None
    return Estimate(row["estimate"], row["lower"], row["upper"])


def single(frame: pl.DataFrame, metric: str, **place: object) -> Estimate | None:
    """Return the estimate of a metric in the rows at this place, None when there is none."""
    found = frame.filter(pl.col("metric") == metric, **place)
    return None if found.is_empty() else estimate_of(found.row(0, named=True))


def models_of(frame: pl.DataFrame) -> list[ModelName]:
    """Return the models of a table, simplest features first."""
    pairs = frame.select("feature_set", "learner").unique().iter_rows()
    models = [ModelName(feature_set, learner) for feature_set, learner in pairs]
    return sorted(models, key=lambda model: (feature_set_rank(model.feature_set), model))


def rows_of(frame: pl.DataFrame, model: ModelName) -> pl.DataFrame:
    """Return the rows of one model."""
    return frame.filter(
        pl.col("feature_set") == model.feature_set, pl.col("learner") == model.learner
    )


def shown_model(frame: pl.DataFrame, reference: ModelName) -> ModelName | None:
    """Return the reference, else a model of its feature set, else the last; None without any."""
    models = models_of(frame)
    if reference in models or not models:
        return reference if models else None
    same = [model for model in models if model.feature_set == reference.feature_set]
    return (same or models)[-1]


def a_model_a_feature_set(frame: pl.DataFrame, learner: str) -> list[ModelName]:
    """Return one model a feature set: of this learner, else of the first it was tried with."""
    chosen: dict[str, ModelName] = {}
    for model in models_of(frame):
        if model.feature_set not in chosen or model.learner == learner:
            chosen[model.feature_set] = model
    return list(chosen.values())


def ranked_feature_sets(frame: pl.DataFrame) -> list[str]:
    """Return the feature sets of a table, simplest first."""
    return sorted(
        frame["feature_set"].unique().to_list(), key=lambda name: (feature_set_rank(name), name)
    )
