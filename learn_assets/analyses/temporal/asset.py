"""Asset of the temporal validation."""

from datetime import date

import dagster as dg

from learn_assets import provenance
from learn_assets.analyses.temporal.computation import temporal_split, temporal_validation
from learn_assets.analyses.temporal.words import temporal_table
from learn_assets.defs.cell_tables import NOT_ASKED, empty_because, written
from learn_assets.defs.models import cell_inputs
from learn_assets.defs.resources import LakeResource
from learn_assets.defs.stages import cell_asset, cell_step
from learn_assets.modeling.lake_cell import load_cell
from learn_assets.modeling.sensitivity import sensitivity_protocol
from learn_assets.schemas.registry import empty_frame
from learn_assets.study import Study


def assets(study: Study) -> list[dg.AssetsDefinition]:
    """Return the asset of models of earlier patients on later ones."""
    return [_temporal_validation(study)]


def _temporal_validation(study: Study) -> dg.AssetsDefinition:
    @cell_asset(
        study,
        "temporal_validation",
        [*cell_inputs(), "cross_validation", "index_events", "outcome_confirmation"],
        "Models of earlier patients, by what was known then, on later ones.",
    )
    def temporal(context: dg.AssetExecutionContext, lake: LakeResource) -> dg.MaterializeResult:
        with cell_step(context, study, lake, provenance.sensitivity_inputs) as step:
            frame, reason = empty_frame("temporal_validation"), NOT_ASKED
            if "temporal" in study.sensitivity.analyses:
                last = step.lake.read("index_events")["last_record_date"].max()
                split = None
                if isinstance(last, date):
                    split = temporal_split(
                        step.lake.read("cohort", step.window),
                        step.lake.read("outcome_confirmation"),
                        step.window,
                        last,
                        study.sensitivity.temporal,
                    )
                judged = temporal_validation(
                    load_cell(study, step.lake, step.window, step.encoder),
                    split,
                    sensitivity_protocol(study),
                )
                for warning in judged.warnings:
                    context.log.warning(warning)
                frame, reason = judged.frame, judged.reason or ""
            return written(
                study,
                step,
                "temporal_validation",
                frame,
                empty_because=empty_because(frame, reason),
                later_patients=dg.MetadataValue.md(temporal_table(frame)),
            )

    return temporal
