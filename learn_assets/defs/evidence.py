"""Group evaluation: net benefit and subgroups of the models of each cell."""

import dagster as dg
import polars as pl

from learn_assets.defs.metadata import COLUMN_SCHEMA, column_schema, table_result
from learn_assets.defs.partitions import cell_partitions, on_window
from learn_assets.defs.resources import LakeResource
from learn_assets.defs.stages import cell_step
from learn_assets.evaluation.net_benefit import net_benefit
from learn_assets.evaluation.subgroups import (
    SubgroupOptions,
    subgroup_attributes,
    subgroup_performance,
)
from learn_assets.modeling.features import BASELINE
from learn_assets.study import Study


def evidence_assets(study: Study) -> list[dg.AssetsDefinition]:
    """Return the assets that say what models are worth, and for whom."""
    return [_net_benefit(study), _subgroup_performance(study)]


def _net_benefit(study: Study) -> dg.AssetsDefinition:
    @dg.asset(
        name="net_benefit",
        group_name="evaluation",
        owners=[study.owner],
        kinds={"polars", "parquet"},
        partitions_def=cell_partitions(study),
        deps=["cross_validation"],
        metadata={COLUMN_SCHEMA: column_schema("net_benefit")},
        description="Decision curve of each model, against acting on everyone or no one.",
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
            stamp = step.lake.write(
                "net_benefit", frame, window=step.window, encoder=step.encoder.id
            )
            return table_result(
                study,
                "net_benefit",
                stamp,
                points_withheld=frame["reason"].count(),
                synthetic_data=str(study.synthetic),
            )

    return net_benefit_table


def _subgroup_performance(study: Study) -> dg.AssetsDefinition:
    @dg.asset(
        name="subgroup_performance",
        group_name="evaluation",
        owners=[study.owner],
        kinds={"polars", "parquet"},
        partitions_def=cell_partitions(study),
        deps=["cross_validation", on_window("cohort"), "patient"],
        metadata={COLUMN_SCHEMA: column_schema("subgroup_performance")},
        description="Performance by sex, age band and race; small groups are withheld.",
    )
    def subgroup_table(
        context: dg.AssetExecutionContext, lake: LakeResource
    ) -> dg.MaterializeResult:
        with cell_step(context, study, lake) as step:
            judged = step.lake.read("cross_validation", step.window, step.encoder.id)
            frame = subgroup_performance(
                of_one_learner(study, judged),
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
            stamp = step.lake.write(
                "subgroup_performance", frame, window=step.window, encoder=step.encoder.id
            )
            return table_result(
                study,
                "subgroup_performance",
                stamp,
                without_an_estimate=frame["estimate"].null_count(),
                synthetic_data=str(study.synthetic),
            )

    return subgroup_table


def of_one_learner(study: Study, judged: pl.DataFrame) -> pl.DataFrame:
    """Return predictions of the study's first learner, and of the age and sex baseline."""
    first = pl.col("learner") == study.models.learners[0]
    return judged.filter(first | (pl.col("feature_set") == BASELINE))
