"""Assets of the risks over time, and of how they do."""

import dagster as dg

from learn_assets.analyses.time_to_event.computation import time_to_event_performance
from learn_assets.defs.cell_tables import written
from learn_assets.defs.metadata import table_result
from learn_assets.defs.models import cell_inputs
from learn_assets.defs.resources import LakeResource
from learn_assets.defs.stages import cell_asset, cell_step
from learn_assets.modeling.lake_cell import load_cell
from learn_assets.modeling.protocol import ModelingProtocol
from learn_assets.modeling.time_to_event import (
    cross_validate_time_to_event,
    time_to_event_population,
)
from learn_assets.study import Study


def assets(study: Study) -> list[dg.AssetsDefinition]:
    """Return the assets of the risks over time and of how they do."""
    return [_scores(study), _performance(study)]


def _scores(study: Study) -> dg.AssetsDefinition:
    @cell_asset(
        study,
        "time_to_event_scores",
        [*cell_inputs(), "index_events", "cross_validation"],
        "Out-of-fold risk of everyone eligible; short follow-up is censored.",
        kinds={"scikitlearn", "parquet"},
    )
    def time_to_event_scores(
        context: dg.AssetExecutionContext, lake: LakeResource
    ) -> dg.MaterializeResult:
        with cell_step(context, study, lake) as step:
            protocol = ModelingProtocol.from_study(study)
            population = time_to_event_population(
                step.lake.read("cohort", step.window),
                step.lake.read("index_events"),
                step.lake.read("cross_validation", step.window, step.encoder.id),
                folds=protocol.folds,
                seed=protocol.seed,
            )
            blocks = load_cell(study, step.lake, step.window, step.encoder).blocks
            judged = cross_validate_time_to_event(
                blocks.rows(blocks.positions(population.patient_ids.tolist())),
                population,
                protocol,
                study.survival.learners,
                horizon=step.window.follow_up_period,
            )
            for warning in judged.warnings:
                context.log.warning(warning)
            stamp = step.lake.write(
                "time_to_event_scores", judged.frame, window=step.window, encoder=step.encoder.id
            )
            return table_result(study, "time_to_event_scores", stamp, warnings=len(judged.warnings))

    return time_to_event_scores


def _performance(study: Study) -> dg.AssetsDefinition:
    @cell_asset(
        study,
        "time_to_event_performance",
        ["time_to_event_scores"],
        "Uno's C, AUC and Brier score over time, calibration at the horizon.",
    )
    def performance_over_time(
        context: dg.AssetExecutionContext, lake: LakeResource
    ) -> dg.MaterializeResult:
        with cell_step(context, study, lake) as step:
            frame = time_to_event_performance(
                step.lake.read("time_to_event_scores", step.window, step.encoder.id),
                horizon_days=step.window.follow_up_period,
                minimum_cell=study.privacy.minimum_cell,
            )
            return written(
                study,
                step,
                "time_to_event_performance",
                frame,
                without_an_estimate=frame["estimate"].null_count(),
                empty_because="not empty",
            )

    return performance_over_time
