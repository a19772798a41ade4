"""Asset of the performance within groups of patients."""

import dagster as dg
import polars as pl

from learn_assets.analyses.subgroups.computation import SubgroupOptions, subgroup_performance
from learn_assets.analyses.subgroups.figure import subgroup_forest, subgroup_rows
from learn_assets.defs.cell_tables import written
from learn_assets.defs.metadata import figure_entry
from learn_assets.defs.partitions import on_window
from learn_assets.defs.resources import LakeResource
from learn_assets.defs.stages import cell_asset, cell_step
from learn_assets.evaluation.patient_groups import subgroup_attributes
from learn_assets.modeling.features import BASELINE
from learn_assets.reporting.figures import SvgFigure
from learn_assets.study import Study


def assets(study: Study) -> list[dg.AssetsDefinition]:
    """Return the asset of performance within groups of patients."""
    return [_subgroup_performance(study)]


def _subgroup_performance(study: Study) -> dg.AssetsDefinition:
    @cell_asset(
        study,
        "subgroup_performance",
        ["cross_validation", on_window("cohort"), "patient"],
        "Performance by sex, age band and race; small groups are withheld.",
    )
    def subgroup_table(
        context: dg.AssetExecutionContext, lake: LakeResource
    ) -> dg.MaterializeResult:
        with cell_step(context, study, lake) as step:
            judged = step.lake.read("cross_validation", step.window, step.encoder.id)
            frame = subgroup_performance(
                _of_one_learner(study, judged),
                subgroup_attributes(
                    step.lake.read("cohort", step.window),
                    step.lake.read("patient"),
                    study.evaluation.age_bands,
                ),
                SubgroupOptions(
                    specificity=study.evaluation.specificities[0],
                    minimum_cell=study.privacy.minimum_cell,
                ),
            )
            return written(
                study,
                step,
                "subgroup_performance",
                frame,
                without_an_estimate=frame["estimate"].null_count(),
                auroc=figure_entry(_forest(frame)),
            )

    return subgroup_table


def _forest(frame: pl.DataFrame) -> SvgFigure | None:
    rows = subgroup_rows(frame)
    richest = rows[-1].feature_set if rows else None
    return subgroup_forest([row for row in rows if row.feature_set == richest], "subgroups")


def _of_one_learner(study: Study, judged: pl.DataFrame) -> pl.DataFrame:
    """Return predictions of the study's first learner, and of the age and sex baseline."""
    first = pl.col("learner") == study.models.learners[0]
    return judged.filter(first | (pl.col("feature_set") == BASELINE))
