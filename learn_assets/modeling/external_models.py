"""External models: which bundles of other sites fit a cell, each verified before it is used."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from learn_assets.lake import Lake
from learn_assets.modeling.bundle import BundleError, TrainedModels, read_bundle
from learn_assets.modeling.compatibility import (
    Difference,
    IncompatibleBundleError,
    assert_compatible,
)
from learn_assets.modeling.lake_cell import cell_origin
from learn_assets.modeling.training_patients import shared_training
from learn_assets.study import EncoderChoice, ExternalModel, Study
from learn_assets.study.windows import Window


@dataclass(frozen=True)
class FittingModel:
    """A verified bundle for this cell, and the differences of study that were accepted.

    not_external: how it is known to have learned from patients here; None when it is not.
    """

    choice: ExternalModel
    bundle: TrainedModels
    accepted: tuple[Difference, ...] = ()
    not_external: str | None = None


class TrainingPatientsError(BundleError):
    """A bundle may have learned from the patients of this cell, and nobody has allowed that."""


def fitting_models(
    study: Study, lake: Lake, window: Window, encoder: EncoderChoice
) -> Iterator[FittingModel]:
    """Yield the study's external models that were made for this window and encoder.

    Bundles of another cell of the study are passed over. BundleError for one that is altered or
    incomplete; IncompatibleBundleError for one that fits no cell of the study, or that turns
    records into features in another way. TrainingPatientsError for one that may have learned from
    patients of this cell, unless the study accepts that.
    """
    for choice in study.external_models:
        bundle = read_bundle(choice.path, digest=choice.sha256)
        _assert_some_cell(study, choice, bundle)
        if (bundle.provenance.window, bundle.provenance.encoder.id) == (window.key, encoder.id):
            here = cell_origin(study, lake, window, encoder)
            accepted = assert_compatible(bundle.provenance, here, choice.accept)
            shared = shared_training(study, lake, window, encoder, choice.path, bundle.provenance)
            if shared is None:
                yield FittingModel(choice, bundle, accepted)
            elif "training_patients" in choice.accept:
                yield FittingModel(choice, bundle, accepted, shared.reason)
            elif shared.part in choice.accept:
                yield FittingModel(choice, bundle, (*accepted, shared))
            else:
                raise TrainingPatientsError(_refusal(choice, shared))


def _refusal(choice: ExternalModel, shared: Difference) -> str:
    other_site = "accept `study_name` if that was at another site, or "
    return (
        f"external model `{choice.name}` is not evaluated on patients it may have learned from "
        f"({shared.reason}): {other_site if shared.part == 'study_name' else ''}"
        "accept `training_patients` to have results that are labelled as not external"
    )


def _assert_some_cell(study: Study, choice: ExternalModel, bundle: TrainedModels) -> None:
    made_for = bundle.provenance
    windows = [window.key for window in study.windows]
    encoders = [encoder.id for encoder in study.encoders]
    if made_for.window not in windows:
        raise IncompatibleBundleError(
            f"external model `{choice.name}` predicts in {made_for.window}; the study has "
            f"{windows}: add that window or ask for a model of one of these"
        )
    if made_for.encoder.id not in encoders:
        raise IncompatibleBundleError(
            f"external model `{choice.name}` reads vectors of {made_for.encoder.id}; the study "
            f"has {encoders}: add that encoder or ask for a model of one of these"
        )
