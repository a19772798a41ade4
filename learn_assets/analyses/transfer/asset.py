"""Assets of other sites' models on this site's patients, and of how the sites differ."""

from collections.abc import Sequence

import dagster as dg
import polars as pl

from learn_assets import provenance
from learn_assets.analyses.transfer.computation import external_validation, transfer_predictions
from learn_assets.analyses.transfer.site_differences import site_differences
from learn_assets.analyses.transfer.words import comparison_table
from learn_assets.defs.metadata import table_result
from learn_assets.defs.models import cell_inputs
from learn_assets.defs.resources import LakeResource
from learn_assets.defs.stages import cell_asset, cell_step
from learn_assets.modeling.external_models import FittingModel, fitting_models
from learn_assets.modeling.lake_cell import load_cell
from learn_assets.modeling.protocol import ModelingProtocol
from learn_assets.schemas.registry import empty_frame
from learn_assets.study import Study


def assets(study: Study) -> list[dg.AssetsDefinition]:
    """Return every asset of the stage `transfer`."""
    return [_external_validation(study), _site_differences(study)]


def _external_validation(study: Study) -> dg.AssetsDefinition:
    @cell_asset(
        study,
        "external_validation",
        [*cell_inputs(), "cross_validation"],
        "Other sites' models here: as they are, recalibrated, refitted, beside ours.",
    )
    def external(context: dg.AssetExecutionContext, lake: LakeResource) -> dg.MaterializeResult:
        with cell_step(context, study, lake, provenance.transfer_inputs) as step:
            protocol = ModelingProtocol.from_study(study)
            models = list(fitting_models(study, step.lake, step.window, step.encoder))
            _log_accepted(context, models)
            frames = [empty_frame("external_validation")]
            if models:
                cell = load_cell(study, step.lake, step.window, step.encoder)
                own = step.lake.read("cross_validation", step.window, step.encoder.id)
            for model in models:
                transfer = transfer_predictions(
                    model.bundle, cell, protocol, own, refit=model.choice.refit
                )
                validated = external_validation(
                    model.choice.name,
                    transfer,
                    minimum_cell=study.privacy.minimum_cell,
                    seed=study.models.seed,
                    not_external=model.not_external,
                )
                for warning in validated.warnings:
                    context.log.warning(f"{model.choice.name}: {warning}")
                frames.append(validated.frame)
            table = pl.concat(frames)
            stamp = step.lake.write(
                "external_validation", table, window=step.window, encoder=step.encoder.id
            )
            return table_result(
                study,
                "external_validation",
                stamp,
                external_models=len(models),
                external_models_of_other_cells=len(study.external_models) - len(models),
                comparison=dg.MetadataValue.md(comparison_table(table)),
                synthetic_data=str(study.synthetic),
            )

    return external


def _site_differences(study: Study) -> dg.AssetsDefinition:
    @cell_asset(
        study,
        "site_differences",
        cell_inputs(),
        "Features of other sites' models that are unknown here; shift of case mix.",
    )
    def differences(context: dg.AssetExecutionContext, lake: LakeResource) -> dg.MaterializeResult:
        with cell_step(context, study, lake, provenance.transfer_inputs) as step:
            models = list(fitting_models(study, step.lake, step.window, step.encoder))
            frames = [empty_frame("site_differences")]
            if models:
                cell = load_cell(study, step.lake, step.window, step.encoder)
                minimum = study.privacy.minimum_cell
                frames += [
                    site_differences(model.choice.name, model.bundle, cell, minimum_cell=minimum)
                    for model in models
                ]
            stamp = step.lake.write(
                "site_differences",
                pl.concat(frames),
                window=step.window,
                encoder=step.encoder.id,
            )
            return table_result(study, "site_differences", stamp, external_models=len(models))

    return differences


def _log_accepted(context: dg.AssetExecutionContext, models: Sequence[FittingModel]) -> None:
    for model in models:
        for difference in model.accepted:
            context.log.warning(f"{model.choice.name}, accepted: {difference.reason}")
        if model.not_external is not None:
            context.log.warning(f"{model.choice.name}, not external: {model.not_external}")
