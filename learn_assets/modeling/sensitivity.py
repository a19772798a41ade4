"""Sensitivity: the few models that further questions are asked of, and splits run side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from learn_assets.modeling.features import ModelFeatureSet
from learn_assets.modeling.protocol import ModelingProtocol
from learn_assets.modeling.threads import fit_pool
from learn_assets.study import FeatureSet, LearnerName, Study

_USUAL: tuple[FeatureSet, ...] = ("count", "embedding", "learn")
_QUICK: LearnerName = "elastic_net"

Task = TypeVar("Task")
Result = TypeVar("Result")


def sensitivity_protocol(study: Study) -> ModelingProtocol:
    """Return the study's protocol with the feature sets and learners of its sensitivity analyses.

    By default `count`, `embedding` and `learn` with elastic net, as far as the study has them.
    """
    own = study.models
    usual = tuple(name for name in _USUAL if name in own.feature_sets)
    quick = _QUICK if _QUICK in own.learners else own.learners[0]
    return replace(
        ModelingProtocol.from_study(study),
        feature_sets=study.sensitivity.feature_sets or usual or own.feature_sets,
        learners=study.sensitivity.learners or (quick,),
    )


def selection_model(study: Study) -> tuple[ModelFeatureSet, LearnerName]:
    """Return the one model, named before any result, by which cells are chosen.

    The feature set is that of the champion, the learner the first of the sensitivity analyses.
    """
    sets = study.models.feature_sets
    usual: FeatureSet = "learn" if "learn" in sets else sets[-1]
    feature_set = study.champion.feature_set or usual
    return feature_set, sensitivity_protocol(study).learners[0]


def side_by_side(
    run: Callable[[Task], Result],
    tasks: Sequence[Task],
    protocol: ModelingProtocol,
    workers: int | None = None,
) -> list[Result]:
    """Return what `run` gives for each task, in order, as many at a time as there are cores."""
    with fit_pool(workers, uses_torch="mlp" in protocol.learners) as pool:
        return list(pool.map(run, tasks))
