"""Group evaluation: performance of each cell."""

import dagster as dg
import polars as pl

from learn_assets.defs.metadata import figure_entry, table_result
from learn_assets.defs.resources import LakeResource
from learn_assets.defs.stages import cell_asset, cell_step
from learn_assets.evaluation.performance import performance
from learn_assets.reporting import figures
from learn_assets.reporting.estimates import cell_results
from learn_assets.reporting.markdown import markdown_table
from learn_assets.study import Study


def assets(study: Study) -> list[dg.AssetsDefinition]:
    """Return every asset of the group."""
    return [_performance(study)]


def _performance(study: Study) -> dg.AssetsDefinition:
    @cell_asset(
        study,
        "performance",
        ["cross_validation"],
        "AUROC (DeLong), AUPRC, Brier, calibration, sensitivity at specificity.",
    )
    def performance_table(
        context: dg.AssetExecutionContext, lake: LakeResource
    ) -> dg.MaterializeResult:
        with cell_step(context, study, lake) as step:
            judged = step.lake.read("cross_validation", step.window, step.encoder.id)
            minimum = study.privacy.minimum_cell
            measured = performance(
                judged,
                minimum_cell=minimum,
                specificities=study.evaluation.specificities,
                seed=study.models.seed,
            )
            stamp = step.lake.write(
                "performance", measured.frame, window=step.window, encoder=step.encoder.id
            )
            shown = cell_results(study, step.lake, step.window, step.encoder)
            # One learner, as on the page: the curves of all of them cover each other.
            curves = shown.curves_of(study.models.learners[0])
            return table_result(
                study,
                "performance",
                stamp,
                ladder=dg.MetadataValue.md(_ladder(measured.frame)),
                synthetic_data=str(study.synthetic),
                metrics_without_a_value=len(measured.absent),
                auroc=figure_entry(figures.ladder(shown.models, "auroc")),
                roc=figure_entry(figures.roc(curves, "roc")),
                calibration=figure_entry(figures.calibration(curves, "calibration")),
            )

    return performance_table


def _ladder(frame: pl.DataFrame) -> str:
    rows = frame.filter(pl.col("metric") == "auroc").sort("estimate", descending=True)
    cells = [
        (row["feature_set"], row["learner"], f"{row['estimate']:.3f}", _interval(row))
        for row in rows.iter_rows(named=True)
    ]
    return markdown_table(["feature set", "learner", "AUROC", "95 % interval"], cells)


def _interval(row: dict[str, float | None]) -> str:
    # A perfect ranking or a single case has an estimate without an interval.
    if row["lower"] is None or row["upper"] is None:
        return "none"
    return f"{row['lower']:.3f} to {row['upper']:.3f}"
