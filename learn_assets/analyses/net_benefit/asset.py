"""Asset of the decision curves."""

import dagster as dg

from learn_assets.analyses.net_benefit.computation import net_benefit
from learn_assets.analyses.net_benefit.figure import decision_curve, decision_curves
from learn_assets.defs.cell_tables import written
from learn_assets.defs.metadata import figure_entry
from learn_assets.defs.resources import LakeResource
from learn_assets.defs.stages import cell_asset, cell_step
from learn_assets.study import Study


def assets(study: Study) -> list[dg.AssetsDefinition]:
    """Return the asset of the decision curves."""
    return [_net_benefit(study)]


def _net_benefit(study: Study) -> dg.AssetsDefinition:
    @cell_asset(
        study,
        "net_benefit",
        ["cross_validation"],
        "Decision curve of each model, against acting on everyone or no one.",
    )
    def net_benefit_table(
        context: dg.AssetExecutionContext, lake: LakeResource
    ) -> dg.MaterializeResult:
        with cell_step(context, study, lake) as step:
            frame = net_benefit(
                step.lake.read("cross_validation", step.window, step.encoder.id),
                study.evaluation.decision_thresholds,
                minimum_cell=study.privacy.minimum_cell,
                seed=study.models.seed,
            )
            return written(
                study,
                step,
                "net_benefit",
                frame,
                points_withheld=frame["reason"].count(),
                decision_curves=figure_entry(
                    decision_curve(decision_curves(frame, study.models.learners[0]), "decision")
                ),
            )

    return net_benefit_table
