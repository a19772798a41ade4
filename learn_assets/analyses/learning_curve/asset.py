"""Asset of the learning curve."""

import dagster as dg

from learn_assets import provenance
from learn_assets.analyses.learning_curve.computation import learning_curve
from learn_assets.analyses.learning_curve.figure import learning_curves
from learn_assets.analyses.learning_curve.words import learning_table
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
    """Return the asset of AUROC by number of training patients."""
    return [_learning_curve(study)]


def _learning_curve(study: Study) -> dg.AssetsDefinition:
    @cell_asset(
        study,
        "learning_curve",
        [*cell_inputs(), "cross_validation"],
        "AUROC by number of training patients, same folds.",
    )
    def curve(context: dg.AssetExecutionContext, lake: LakeResource) -> dg.MaterializeResult:
        with cell_step(context, study, lake, provenance.sensitivity_inputs) as step:
            protocol = sensitivity_protocol(study)
            frame, reason = empty_frame("learning_curve"), NOT_ASKED
            if "learning_curve" in study.sensitivity.analyses:
                cell = load_cell(study, step.lake, step.window, step.encoder)
                points = learning_curve(
                    cell.blocks.rows(cell.labeled),
                    cell.labels,
                    protocol,
                    step.lake.read("cross_validation", step.window, step.encoder.id),
                    smallest=study.sensitivity.learning_curve.smallest,
                    draws=study.sensitivity.learning_curve.draws,
                )
                frame, reason = points, NO_MODELS
            drawn = learning_curves(frame, protocol.learners[0], "learning")
            return written(
                study,
                step,
                "learning_curve",
                frame,
                empty_because=empty_because(frame, reason),
                points=dg.MetadataValue.md(learning_table(frame)),
                curves=figure_entry(drawn),
            )

    return curve
