"""Asset of the scores by which a cell is chosen."""

import dagster as dg

from learn_assets import provenance
from learn_assets.analyses.nested_selection.computation import nested_selection
from learn_assets.defs.cell_tables import NO_MODELS, NOT_ASKED, empty_because, written
from learn_assets.defs.models import cell_inputs
from learn_assets.defs.resources import LakeResource
from learn_assets.defs.stages import cell_asset, cell_step
from learn_assets.modeling.lake_cell import load_cell
from learn_assets.modeling.protocol import ModelingProtocol
from learn_assets.modeling.sensitivity import selection_model
from learn_assets.modeling.study_parts import study_parts
from learn_assets.schemas.registry import empty_frame
from learn_assets.study import Study


def assets(study: Study) -> list[dg.AssetsDefinition]:
    """Return the asset of the scores by which a cell is chosen."""
    return [_nested_selection(study)]


def _nested_selection(study: Study) -> dg.AssetsDefinition:
    @cell_asset(
        study,
        "nested_selection",
        [*cell_inputs(), "cross_validation", "index_events"],
        "Scores by which the best cell is chosen without the patients that judge it.",
    )
    def nested(context: dg.AssetExecutionContext, lake: LakeResource) -> dg.MaterializeResult:
        with cell_step(context, study, lake, provenance.sensitivity_inputs) as step:
            frame, reason = empty_frame("nested_selection"), NOT_ASKED
            if len(study.windows) * len(study.encoders) < 2:
                reason = "one window and one encoder: nothing is chosen"
            elif "selection" in study.sensitivity.analyses:
                cell = load_cell(study, step.lake, step.window, step.encoder)
                everyone = step.lake.read("index_events")["patient_id"].to_list()
                table = nested_selection(
                    cell.blocks.rows(cell.labeled),
                    cell.labels,
                    study_parts(everyone, study.models.seed),
                    ModelingProtocol.from_study(study),
                    selection_model(study),
                )
                frame, reason = table, NO_MODELS
            return written(
                study,
                step,
                "nested_selection",
                frame,
                empty_because=empty_because(frame, reason),
            )

    return nested
