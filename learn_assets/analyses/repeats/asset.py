"""Asset of the repeated cross-validation."""

from collections.abc import Sequence

import dagster as dg
import polars as pl

from learn_assets import provenance
from learn_assets.analyses.repeats.computation import repeat_cross_validation, repeated_auroc
from learn_assets.analyses.repeats.words import repeats_table
from learn_assets.defs.cell_tables import NO_MODELS, empty_because, written
from learn_assets.defs.models import cell_inputs
from learn_assets.defs.resources import LakeResource
from learn_assets.defs.stages import CellStep, cell_asset, cell_step
from learn_assets.modeling.kept_predictions import KeptPredictions
from learn_assets.modeling.lake_cell import load_cell
from learn_assets.modeling.protocol import ModelingProtocol
from learn_assets.study import Study


def assets(study: Study) -> list[dg.AssetsDefinition]:
    """Return the asset of the cross-validations with other folds."""
    return [_repeated_cross_validation(study)]


def _repeated_cross_validation(study: Study) -> dg.AssetsDefinition:
    @cell_asset(
        study,
        "repeated_cross_validation",
        [*cell_inputs(), "cross_validation"],
        "AUROC over cross-validations with other folds; corrected resampled variance.",
    )
    def repeated(context: dg.AssetExecutionContext, lake: LakeResource) -> dg.MaterializeResult:
        with cell_step(context, study, lake, provenance.sensitivity_inputs) as step:
            first = step.lake.read("cross_validation", step.window, step.encoder.id)
            judged: Sequence[pl.DataFrame] = [first]
            kept = _kept(study, step)
            if study.models.repeats > 1 and not first.is_empty():
                cell = load_cell(study, step.lake, step.window, step.encoder)
                judged = repeat_cross_validation(
                    cell.blocks.rows(cell.labeled),
                    cell.labels,
                    ModelingProtocol.from_study(study),
                    first,
                    study.models.repeats,
                    kept=kept,
                )
            table = repeated_auroc(judged)
            result = written(
                study,
                step,
                "repeated_cross_validation",
                table,
                empty_because=empty_because(table, NO_MODELS),
                repeats=len(judged),
                auroc=dg.MetadataValue.md(repeats_table(table)),
            )
            kept.clear()
            return result

    return repeated


def _kept(study: Study, step: CellStep) -> KeptPredictions:
    """Return where finished repeats of the cell are kept until all of them are there."""
    folder = step.lake.folder("repeats", step.window, step.encoder.id)
    inputs = provenance.cell_inputs(study, step.lake, step.window, step.encoder)
    return KeptPredictions(step.lake, folder, inputs)
