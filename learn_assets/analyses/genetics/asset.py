"""Asset of the genetic score beside the clinical one."""

import dagster as dg
import polars as pl

from learn_assets.analyses.genetics.computation import genetic_stratification
from learn_assets.defs.cell_tables import written
from learn_assets.defs.resources import LakeResource
from learn_assets.defs.stages import cell_asset, cell_step
from learn_assets.modeling.lake_cell import out_of_fold_scores
from learn_assets.study import Study


def assets(study: Study) -> list[dg.AssetsDefinition]:
    """Return the asset of what the site's genetic score adds."""
    return [_genetic_stratification(study)]


def _genetic_stratification(study: Study) -> dg.AssetsDefinition:
    @cell_asset(
        study,
        "genetic_stratification",
        ["cohort", "index_events", "genetic_score", "cross_validation", "time_to_event_scores"],
        "What the site's genetic score adds to the clinical one; empty without any.",
    )
    def genetics(context: dg.AssetExecutionContext, lake: LakeResource) -> dg.MaterializeResult:
        with cell_step(context, study, lake) as step:
            died = step.lake.read("index_events").select(
                "patient_id", pl.col("death_date").is_not_null().alias("died")
            )
            found = genetic_stratification(
                step.lake.read("genetic_score"),
                out_of_fold_scores(step.lake, step.window, step.encoder),
                step.lake.read("cohort", step.window).join(died, on="patient_id", how="left"),
                minimum_cell=study.privacy.minimum_cell,
            )
            return written(
                study,
                step,
                "genetic_stratification",
                found.frame,
                without_an_estimate=found.frame["estimate"].null_count(),
                empty_because=found.reason or "not empty",
            )

    return genetics
