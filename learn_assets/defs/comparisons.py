"""Group evaluation, comparisons: every planned comparison of models of a cell, in words too."""

import dagster as dg

from learn_assets.defs.metadata import figure_entry, table_result
from learn_assets.defs.resources import LakeResource
from learn_assets.defs.stages import cell_asset, cell_step
from learn_assets.evaluation.comparison import compare_models, planned_contrasts
from learn_assets.modeling.protocol import ModelingProtocol
from learn_assets.reporting.comparison_figures import difference_forest
from learn_assets.reporting.comparison_words import comparison_results, comparisons_table
from learn_assets.study import Study


def assets(study: Study) -> list[dg.AssetsDefinition]:
    """Return every asset that sets models of a cell side by side."""
    return [_comparisons(study)]


def _comparisons(study: Study) -> dg.AssetsDefinition:
    @cell_asset(
        study,
        "comparisons",
        ["cross_validation"],
        "Planned differences on the same patients: DeLong, bootstrap, Holm.",
    )
    def comparisons(context: dg.AssetExecutionContext, lake: LakeResource) -> dg.MaterializeResult:
        with cell_step(context, study, lake) as step:
            compared = compare_models(
                step.lake.read("cross_validation", step.window, step.encoder.id),
                planned_contrasts(ModelingProtocol.from_study(study).grid),
                seed=study.models.seed,
            )
            stamp = step.lake.write(
                "comparisons", compared.frame, window=step.window, encoder=step.encoder.id
            )
            results = comparison_results(compared.frame)
            return table_result(
                study,
                "comparisons",
                stamp,
                comparisons=dg.MetadataValue.md(comparisons_table(results, compared.tests)),
                differences=figure_entry(difference_forest(results, "differences")),
                tests=compared.tests,
                comparisons_without_predictions=len(compared.absent),
                synthetic_data=str(study.synthetic),
            )

    return comparisons
