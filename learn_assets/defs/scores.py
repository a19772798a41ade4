"""Group scores: out-of-fold for the cohort, the final model for everyone eligible now."""

import dagster as dg
import polars as pl

from learn_assets.defs.metadata import table_result
from learn_assets.defs.models import cell_inputs
from learn_assets.defs.resources import LakeResource
from learn_assets.defs.stages import cell_asset, cell_step
from learn_assets.modeling.lake_cell import current_champion, load_cell
from learn_assets.modeling.pipeline import risk_scores as score_cell
from learn_assets.study import Study


def assets(study: Study) -> list[dg.AssetsDefinition]:
    """Return the asset that scores everyone in a cell."""
    return [_risk_scores(study)]


def _risk_scores(study: Study) -> dg.AssetsDefinition:
    @cell_asset(
        study,
        "risk_scores",
        [*cell_inputs(), "cross_validation", "champion"],
        "Out-of-fold for labeled patients; the champion for everyone eligible now.",
        group="scores",
    )
    def risk_scores(context: dg.AssetExecutionContext, lake: LakeResource) -> dg.MaterializeResult:
        with cell_step(context, study, lake) as step:
            champion = current_champion(step.lake, step.window, step.encoder)
            scores = score_cell(
                load_cell(study, step.lake, step.window, step.encoder),
                step.lake.read("cross_validation", step.window, step.encoder.id),
                champion.models,
                champion.out_of_fold,
            )
            stamp = step.lake.write(
                "risk_scores", scores, window=step.window, encoder=step.encoder.id
            )
            now = scores.filter(pl.col("basis") == "final_model")["patient_id"].n_unique()
            cohort = scores.filter(pl.col("basis") == "out_of_fold")["patient_id"].n_unique()
            return table_result(
                study,
                "risk_scores",
                stamp,
                counts={"patients_out_of_fold": cohort, "patients_eligible_now": now},
                champion=champion.digest,
            )

    return risk_scores
