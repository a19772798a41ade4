"""Group evaluation: time to event, severe outcomes and genetics of each cell."""

import dagster as dg
import polars as pl

from learn_assets.defs.metadata import table_result
from learn_assets.defs.models import cell_inputs
from learn_assets.defs.resources import LakeResource
from learn_assets.defs.stages import CellStep, cell_asset, cell_step
from learn_assets.evaluation.genetics import genetic_stratification
from learn_assets.evaluation.severe_outcomes import (
    OutcomeOptions,
    SevereOutcomeTables,
    severe_outcome_estimates,
)
from learn_assets.evaluation.time_to_event import time_to_event_performance
from learn_assets.modeling.lake_cell import load_cell
from learn_assets.modeling.protocol import ModelingProtocol
from learn_assets.modeling.time_to_event import (
    cross_validate_time_to_event,
    time_to_event_population,
)
from learn_assets.study import Study

NEPHRITIS = "lupus_nephritis"


def outcome_assets(study: Study) -> list[dg.AssetsDefinition]:
    """Return the time-to-event, severe-outcome and genetic assets."""
    return [
        _time_to_event_scores(study),
        _time_to_event_performance(study),
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
        _genetic_stratification(study),
    ]


def _time_to_event_scores(study: Study) -> dg.AssetsDefinition:
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


def _time_to_event_performance(study: Study) -> dg.AssetsDefinition:
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
            return _written(study, step, "time_to_event_performance", frame)

    return performance_over_time


def _severe_outcomes(
    study: Study, name: str, description: str, *, nephritis: bool
) -> dg.AssetsDefinition:
    outcomes = [
        item.name
        for item in study.cohort.severe_outcomes
        if (item.code_list == NEPHRITIS) == nephritis
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
                scores=_out_of_fold(step),
                charlson=charlson,
            )
            options = OutcomeOptions(
                horizon_days=step.window.follow_up_period,
                minimum_cell=study.privacy.minimum_cell,
            )
            frame = severe_outcome_estimates(tables, outcomes, options)
            why = "not empty" if outcomes else "the study names no such outcome"
            return _written(study, step, name, frame, why)

    return severe_outcomes


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
                _out_of_fold(step),
                step.lake.read("cohort", step.window).join(died, on="patient_id", how="left"),
                minimum_cell=study.privacy.minimum_cell,
            )
            return _written(
                study, step, "genetic_stratification", found.frame, found.reason or "not empty"
            )

    return genetics


def _out_of_fold(step: CellStep) -> pl.DataFrame:
    """Return the scores of classifiers and survival learners; no model saw its own patient."""
    columns = ("patient_id", "fold", "feature_set", "learner", "probability")
    tables = ("cross_validation", "time_to_event_scores")
    return pl.concat(
        [step.lake.read(table, step.window, step.encoder.id).select(columns) for table in tables]
    )


def _written(
    study: Study, step: CellStep, table: str, frame: pl.DataFrame, empty_because: str = "not empty"
) -> dg.MaterializeResult:
    stamp = step.lake.write(table, frame, window=step.window, encoder=step.encoder.id)
    return table_result(
        study,
        table,
        stamp,
        synthetic_data=str(study.synthetic),
        without_an_estimate=frame["estimate"].null_count(),
        empty_because=empty_because,
    )
