"""Group evaluation: net benefit, subgroups and explanations of the models of each cell."""

from collections.abc import Sequence

import dagster as dg
import polars as pl

from learn_assets.defs.metadata import figure_entry, table_result
from learn_assets.defs.models import cell_inputs
from learn_assets.defs.partitions import on_window
from learn_assets.defs.resources import LakeResource
from learn_assets.defs.stages import CellStep, cell_asset, cell_step
from learn_assets.embedding.past_records import remaining_vectors
from learn_assets.evaluation.explanations import ExplanationOptions, Explanations, explain
from learn_assets.evaluation.feature_words import DESCRIPTIONS, feature_words
from learn_assets.evaluation.net_benefit import net_benefit
from learn_assets.evaluation.occlusion import Occlusion, count_occlusions, text_occlusions
from learn_assets.evaluation.subgroups import (
    SubgroupOptions,
    subgroup_attributes,
    subgroup_performance,
)
from learn_assets.modeling.features import BASELINE
from learn_assets.modeling.lake_cell import load_cell
from learn_assets.modeling.protocol import ModelingProtocol
from learn_assets.reporting.evidence import (
    ExplanationRow,
    decision_curves,
    explanation_rows,
    subgroup_rows,
)
from learn_assets.reporting.evidence_figures import (
    decision_curve,
    explanation_bars,
    subgroup_forest,
)
from learn_assets.reporting.figures import SvgFigure
from learn_assets.study import Study


def evidence_assets(study: Study) -> list[dg.AssetsDefinition]:
    """Return the assets that say what models are worth, for whom, and what they rely on."""
    return [_net_benefit(study), _subgroup_performance(study), _explanations(study)]


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
            stamp = step.lake.write(
                "net_benefit", frame, window=step.window, encoder=step.encoder.id
            )
            return table_result(
                study,
                "net_benefit",
                stamp,
                points_withheld=frame["reason"].count(),
                decision_curves=figure_entry(
                    decision_curve(decision_curves(frame, study.models.learners[0]), "decision")
                ),
                synthetic_data=str(study.synthetic),
            )

    return net_benefit_table


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
                auroc=figure_entry(_forest(frame)),
                synthetic_data=str(study.synthetic),
            )

    return subgroup_table


def _explanations(study: Study) -> dg.AssetsDefinition:
    @cell_asset(
        study,
        "explanations",
        [
            *cell_inputs(),
            "narratives",
            "concept_mentions",
            "code_description",
            "packaged_description",
            "terminology",
        ],
        "What models rely on, on held-out patients and in aggregate only.",
        kinds={"scikitlearn", "xgboost", "parquet"},
    )
    def explanation_table(
        context: dg.AssetExecutionContext, lake: LakeResource
    ) -> dg.MaterializeResult:
        with cell_step(context, study, lake) as step:
            explained = _explained(study, step)
            for warning in explained.warnings:
                context.log.warning(warning)
            stamp = step.lake.write(
                "explanations", explained.frame, window=step.window, encoder=step.encoder.id
            )
            rows = explanation_rows(explained.frame)
            return table_result(
                study,
                "explanations",
                stamp,
                warnings=len(explained.warnings),
                synthetic_data=str(study.synthetic),
                features=_bars(rows, "shap"),
                blocks=_bars(rows, "permutation"),
                past_records=_bars(rows, "occlusion"),
            )

    return explanation_table


def _explained(study: Study, step: CellStep) -> Explanations:
    cell = load_cell(study, step.lake, step.window, step.encoder)
    blocks = cell.blocks.rows(cell.labeled)
    occlusions: list[Occlusion] = [*count_occlusions(blocks)]
    for left in remaining_vectors(
        study, step.lake, step.window, step.encoder, blocks.patient_ids.tolist()
    ):
        occlusions += text_occlusions(blocks, left)
    return explain(
        blocks,
        cell.labels,
        ModelingProtocol.from_study(study),
        occlusions,
        words=feature_words(
            (*blocks.reference.count_names, *blocks.reference.measurement_names),
            *(step.lake.read(table) for table in DESCRIPTIONS),
        ),
        options=ExplanationOptions(features=study.evaluation.explained_features),
    )


def _forest(frame: pl.DataFrame) -> SvgFigure | None:
    rows = subgroup_rows(frame)
    richest = rows[-1].feature_set if rows else None
    return subgroup_forest([row for row in rows if row.feature_set == richest], "subgroups")


def _bars(rows: Sequence[ExplanationRow], method: str) -> dg.MetadataValue:
    """Return the figure of the model that has the richest features among those so explained."""
    of_method = [row for row in rows if row.method == method]
    models = [(row.feature_set, row.learner) for row in of_method]
    richest = [row for row, model in zip(of_method, models, strict=True) if model == models[-1]]
    return figure_entry(explanation_bars(richest, method))


def of_one_learner(study: Study, judged: pl.DataFrame) -> pl.DataFrame:
    """Return predictions of the study's first learner, and of the age and sex baseline."""
    first = pl.col("learner") == study.models.learners[0]
    return judged.filter(first | (pl.col("feature_set") == BASELINE))
