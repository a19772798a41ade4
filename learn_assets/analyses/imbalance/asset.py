"""Asset of the treatments of rare cases."""

import dagster as dg

from learn_assets import provenance
from learn_assets.analyses.imbalance.computation import imbalance_sensitivity, treated_predictions
from learn_assets.analyses.imbalance.figure import imbalance_forest
from learn_assets.analyses.imbalance.words import imbalance_table
from learn_assets.defs.cell_tables import NO_MODELS, NOT_ASKED, empty_because, written
from learn_assets.defs.metadata import figure_entry
from learn_assets.defs.models import cell_inputs
from learn_assets.defs.resources import LakeResource
from learn_assets.defs.stages import cell_asset, cell_step
from learn_assets.modeling.lake_cell import load_cell
from learn_assets.modeling.sensitivity import sensitivity_protocol
from learn_assets.schemas.registry import empty_frame
from learn_assets.study import Study


def assets(study: Study) -> list[dg.AssetsDefinition]:
    """Return the asset of ranks and probabilities by treatment of rare cases."""
    return [_imbalance_sensitivity(study)]


def _imbalance_sensitivity(study: Study) -> dg.AssetsDefinition:
    @cell_asset(
        study,
        "imbalance_sensitivity",
        [*cell_inputs(), "cross_validation"],
        "No treatment, weights and SMOTE, same folds.",
    )
    def imbalance(context: dg.AssetExecutionContext, lake: LakeResource) -> dg.MaterializeResult:
        with cell_step(context, study, lake, provenance.sensitivity_inputs) as step:
            protocol = sensitivity_protocol(study)
            frame, reason = empty_frame("imbalance_sensitivity"), NOT_ASKED
            if "imbalance" in study.sensitivity.analyses:
                cell = load_cell(study, step.lake, step.window, step.encoder)
                judged = treated_predictions(
                    cell.blocks.rows(cell.labeled),
                    cell.labels,
                    protocol,
                    step.lake.read("cross_validation", step.window, step.encoder.id),
                )
                minimum, seed = study.privacy.minimum_cell, study.models.seed
                table = imbalance_sensitivity(judged, minimum_cell=minimum, seed=seed)
                frame, reason = table, NO_MODELS
            drawn = imbalance_forest(frame, protocol.learners[0], "imbalance")
            return written(
                study,
                step,
                "imbalance_sensitivity",
                frame,
                empty_because=empty_because(frame, reason),
                treatments=dg.MetadataValue.md(imbalance_table(frame)),
                differences=figure_entry(drawn),
            )

    return imbalance
