"""Assets of severe outcomes by score."""

import dagster as dg
import polars as pl

from learn_assets.analyses.severe_outcomes.computation import (
    OutcomeOptions,
    SevereOutcomeTables,
    severe_outcome_estimates,
)
from learn_assets.defs.cell_tables import written
from learn_assets.defs.resources import LakeResource
from learn_assets.defs.stages import cell_asset, cell_step
from learn_assets.modeling.lake_cell import out_of_fold_scores
from learn_assets.study import Study

_NEPHRITIS = "lupus_nephritis"


def assets(study: Study) -> list[dg.AssetsDefinition]:
    """Return the assets of lupus nephritis and of the other severe outcomes."""
    return [
        _severe_outcomes(
            study,
            "nephritis_evaluation",
            "Lupus nephritis by score: Aalen-Johansen, Cox, odds; out-of-fold scores only.",
            nephritis=True,
        ),
        _severe_outcomes(
            study,
            "severe_outcome_evaluation",
            "The study's other severe outcomes by score; out-of-fold scores only.",
            nephritis=False,
        ),
    ]


def _severe_outcomes(
    study: Study, name: str, description: str, *, nephritis: bool
) -> dg.AssetsDefinition:
    outcomes = [
        item.name
        for item in study.cohort.severe_outcomes
        if (item.code_list == _NEPHRITIS) == nephritis
    ]

    @cell_asset(
        study,
        name,
        [
            "cohort",
            "severe_outcome_follow_up",
            "charlson_index",
            "cross_validation",
            "time_to_event_scores",
        ],
        description,
    )
    def severe_outcomes(
        context: dg.AssetExecutionContext, lake: LakeResource
    ) -> dg.MaterializeResult:
        with cell_step(context, study, lake) as step:
            weights = "1987" if study.survival.charlson_weights == "original" else "2011"
            charlson = step.lake.read("charlson_index").select(
                "patient_id", pl.col(f"charlson_{weights}").alias("index")
            )
            tables = SevereOutcomeTables(
                follow_up=step.lake.read("severe_outcome_follow_up"),
                cohort=step.lake.read("cohort", step.window),
                scores=out_of_fold_scores(step.lake, step.window, step.encoder),
                charlson=charlson,
            )
            options = OutcomeOptions(
                horizon_days=step.window.follow_up_period,
                minimum_cell=study.privacy.minimum_cell,
            )
            frame = severe_outcome_estimates(tables, outcomes, options)
            why = "not empty" if outcomes else "the study names no such outcome"
            return written(
                study,
                step,
                name,
                frame,
                without_an_estimate=frame["estimate"].null_count(),
                empty_because=why,
            )

    return severe_outcomes
