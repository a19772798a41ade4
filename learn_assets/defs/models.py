"""Group models: cross-validation, final models and the bundle another site can score with."""

import dagster as dg

from learn_assets.defs.metadata import table_result
from learn_assets.defs.partitions import on_window
from learn_assets.defs.resources import LakeResource
from learn_assets.defs.stages import cell_asset, cell_step
from learn_assets.modeling.bundle import TrainedModels, write_bundle
from learn_assets.modeling.lake_cell import cell_origin, current_champion, load_cell
from learn_assets.modeling.pipeline import cross_validate_cell, train_cell
from learn_assets.modeling.protocol import ModelingProtocol
from learn_assets.reporting.markdown import markdown_table
from learn_assets.study import Study

MODEL_KINDS = {"scikitlearn", "xgboost", "pytorch"}


def assets(study: Study) -> list[dg.AssetsDefinition]:
    """Return every asset of the group."""
    return [
        _cross_validation(study),
        _trained_models(study),
        _model_bundle(study),
    ]


def cell_inputs() -> list[dg.AssetDep | str]:
    """Return what a model reads: the window's tables and the cell's embeddings."""
    windowed = ("cohort", "scoring_population", "event_counts", "latest_measurement")
    return [*(on_window(table) for table in windowed), "patient_embeddings", "code_list"]


def _cross_validation(study: Study) -> dg.AssetsDefinition:
    @cell_asset(
        study,
        "cross_validation",
        cell_inputs(),
        "Out-of-fold probability of being a case; all fitting is inside the fold.",
        group="models",
        kinds=MODEL_KINDS,
    )
    def cross_validation(
        context: dg.AssetExecutionContext, lake: LakeResource
    ) -> dg.MaterializeResult:
        with cell_step(context, study, lake) as step:
            cell = load_cell(study, step.lake, step.window, step.encoder)
            judged = cross_validate_cell(cell, ModelingProtocol.from_study(study))
            for warning in judged.warnings:
                context.log.warning(warning)
            stamp = step.lake.write(
                "cross_validation", judged.frame, window=step.window, encoder=step.encoder.id
            )
            return table_result(
                study,
                "cross_validation",
                stamp,
                models=judged.frame.select("feature_set", "learner").n_unique(),
                warnings=len(judged.warnings),
            )

    return cross_validation


def _trained_models(study: Study) -> dg.AssetsDefinition:
    @cell_asset(
        study,
        "trained_models",
        cell_inputs(),
        "Final models on every labeled patient, kept at the site; no pickle.",
        group="models",
        kinds=MODEL_KINDS,
        is_table=False,
    )
    def trained_models(
        context: dg.AssetExecutionContext, lake: LakeResource
    ) -> dg.MaterializeResult:
        with cell_step(context, study, lake) as step:
            cell = load_cell(study, step.lake, step.window, step.encoder)
            origin = cell_origin(study, step.lake, step.window, step.encoder)
            trained = train_cell(cell, ModelingProtocol.from_study(study), origin)
            for warning in trained.warnings:
                context.log.warning(warning)
            folder = step.lake.folder("trained_models", step.window, step.encoder.id) / "bundle"
            written = write_bundle(trained, folder, scope="site")
            return dg.MaterializeResult(
                data_version=dg.DataVersion(written.digest),
                metadata={
                    "models": len(written.models),
                    "imbalance": ModelingProtocol.from_study(study).treatment_of_imbalance,
                    "tuned": dg.MetadataValue.md(_tuned_table(trained)),
                },
            )

    return trained_models


def _model_bundle(study: Study) -> dg.AssetsDefinition:
    @cell_asset(
        study,
        "model_bundle",
        ["champion"],
        "The champion, for another site to score with; nothing of a patient is in it.",
        group="models",
        kinds={"json"},
        is_table=False,
    )
    def model_bundle(context: dg.AssetExecutionContext, lake: LakeResource) -> dg.MaterializeResult:
        with cell_step(context, study, lake) as step:
            trained = current_champion(step.lake, step.window, step.encoder).models
            folder = step.lake.folder("model_bundle", step.window, step.encoder.id) / "bundle"
            written = write_bundle(trained, folder, scope="transfer")
            return dg.MaterializeResult(
                data_version=dg.DataVersion(written.digest),
                metadata={
                    "sha256": written.digest,
                    "models": dg.MetadataValue.md(
                        "\n".join(f"- {name}" for name in written.models)
                    ),
                    "left_out_because_they_hold_patient_rows": len(written.left_out),
                },
            )

    return model_bundle


def _tuned_table(trained: TrainedModels) -> str:
    cells = [
        (item.feature_set, item.learner, changed)
        for item in trained.models
        if (changed := ", ".join(f"{name} {value}" for name, value in item.tuned.items()))
    ]
    if not cells:
        return "every learner has its preset"
    return markdown_table(["feature set", "learner", "changed"], cells)
