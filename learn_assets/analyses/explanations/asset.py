"""Asset of what models rely on."""

from collections.abc import Sequence

import dagster as dg

from learn_assets.analyses.explanations.computation import ExplanationOptions, Explanations, explain
from learn_assets.analyses.explanations.figure import (
    ExplanationRow,
    explanation_bars,
    explanation_rows,
)
from learn_assets.analyses.explanations.occlusion import (
    Occlusion,
    count_occlusions,
    text_occlusions,
)
from learn_assets.defs.cell_tables import written
from learn_assets.defs.metadata import figure_entry
from learn_assets.defs.models import cell_inputs
from learn_assets.defs.resources import LakeResource
from learn_assets.defs.stages import CellStep, cell_asset, cell_step
from learn_assets.embedding.past_records import remaining_vectors
from learn_assets.evaluation.feature_words import DESCRIPTIONS, feature_words
from learn_assets.modeling.lake_cell import load_cell
from learn_assets.modeling.protocol import ModelingProtocol
from learn_assets.study import Study


def assets(study: Study) -> list[dg.AssetsDefinition]:
    """Return the asset of what models rely on."""
    return [_explanations(study)]


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
            rows = explanation_rows(explained.frame)
            return written(
                study,
                step,
                "explanations",
                explained.frame,
                warnings=len(explained.warnings),
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


def _bars(rows: Sequence[ExplanationRow], method: str) -> dg.MetadataValue:
    """Return the figure of the model that has the richest features among those so explained."""
    of_method = [row for row in rows if row.method == method]
    models = [(row.feature_set, row.learner) for row in of_method]
    richest = [row for row, model in zip(of_method, models, strict=True) if model == models[-1]]
    return figure_entry(explanation_bars(richest, method))
