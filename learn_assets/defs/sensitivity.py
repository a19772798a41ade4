"""Group evaluation, sensitivity: other folds, later and fewer patients, treatments, new sites."""

from collections.abc import Sequence
from datetime import date

import dagster as dg
import polars as pl

from learn_assets import provenance
from learn_assets.defs.metadata import figure_entry, table_result
from learn_assets.defs.models import cell_inputs
from learn_assets.defs.resources import LakeResource
from learn_assets.defs.stages import CellStep, cell_asset, cell_step
from learn_assets.evaluation.comparison import ModelName
from learn_assets.evaluation.imbalance import imbalance_sensitivity, treated_predictions
from learn_assets.evaluation.learning_curve import learning_curve
from learn_assets.evaluation.repeats import repeat_cross_validation, repeated_auroc
from learn_assets.evaluation.site_holdout import site_holdout, site_splits
from learn_assets.evaluation.temporal import temporal_split, temporal_validation
from learn_assets.modeling.kept_predictions import KeptPredictions
from learn_assets.modeling.lake_cell import load_cell
from learn_assets.modeling.nested_selection import nested_selection, study_parts
from learn_assets.modeling.pipeline import Cell
from learn_assets.modeling.protocol import ModelingProtocol
from learn_assets.modeling.sensitivity import selection_model, sensitivity_protocol
from learn_assets.reporting.sensitivity import (
    imbalance_table,
    learning_table,
    repeats_table,
    sites_table,
    temporal_table,
)
from learn_assets.reporting.sensitivity_figures import imbalance_forest, learning_curves
from learn_assets.reporting.site_figures import site_forest
from learn_assets.schemas import empty_frame
from learn_assets.study import SensitivityAnalysis, Study

_INPUTS = (*cell_inputs(), "cross_validation")
_NOT_ASKED = "the study does not ask for it: see `sensitivity.analyses`"
_NO_MODELS = "too few cases or controls for models"

# A frame and why it is empty.
_Made = tuple[pl.DataFrame, str]


def sensitivity_assets(study: Study) -> list[dg.AssetsDefinition]:
    """Return every asset of the stage `sensitivity`."""
    return [
        _repeated_cross_validation(study),
        _temporal_validation(study),
        _learning_curve(study),
        _imbalance_sensitivity(study),
        _nested_selection(study),
        _site_holdout(study),
    ]


def _repeated_cross_validation(study: Study) -> dg.AssetsDefinition:
    @cell_asset(
        study,
        "repeated_cross_validation",
        _INPUTS,
        "AUROC over cross-validations with other folds; corrected resampled variance.",
    )
    def repeated(context: dg.AssetExecutionContext, lake: LakeResource) -> dg.MaterializeResult:
        with cell_step(context, study, lake, provenance.sensitivity_inputs) as step:
            first = _own(step)
            judged: Sequence[pl.DataFrame] = [first]
            kept = _kept(study, step)
            if study.models.repeats > 1 and not first.is_empty():
                cell = _cell(study, step)
                judged = repeat_cross_validation(
                    cell.blocks.rows(cell.labeled),
                    cell.labels,
                    ModelingProtocol.from_study(study),
                    first,
                    study.models.repeats,
                    kept=kept,
                )
            table = repeated_auroc(judged)
            result = _written(
                study,
                step,
                "repeated_cross_validation",
                (table, _NO_MODELS),
                repeats=len(judged),
                auroc=dg.MetadataValue.md(repeats_table(table)),
            )
            kept.clear()
            return result

    return repeated


def _temporal_validation(study: Study) -> dg.AssetsDefinition:
    @cell_asset(
        study,
        "temporal_validation",
        [*_INPUTS, "index_events", "outcome_confirmation"],
        "Models of earlier patients, by what was known then, on later ones.",
    )
    def temporal(context: dg.AssetExecutionContext, lake: LakeResource) -> dg.MaterializeResult:
        with cell_step(context, study, lake, provenance.sensitivity_inputs) as step:
            made: _Made = (empty_frame("temporal_validation"), _NOT_ASKED)
            if _is_asked(study, "temporal"):
                last = step.lake.read("index_events")["last_record_date"].max()
                split = None
                if isinstance(last, date):
                    split = temporal_split(
                        step.lake.read("cohort", step.window),
                        step.lake.read("outcome_confirmation"),
                        step.window,
                        last,
                        study.sensitivity.temporal,
                    )
                judged = temporal_validation(_cell(study, step), split, sensitivity_protocol(study))
                for warning in judged.warnings:
                    context.log.warning(warning)
                made = (judged.frame, judged.reason or "")
            return _written(
                study,
                step,
                "temporal_validation",
                made,
                later_patients=dg.MetadataValue.md(temporal_table(made[0])),
            )

    return temporal


def _learning_curve(study: Study) -> dg.AssetsDefinition:
    @cell_asset(
        study, "learning_curve", _INPUTS, "AUROC by number of training patients, same folds."
    )
    def curve(context: dg.AssetExecutionContext, lake: LakeResource) -> dg.MaterializeResult:
        with cell_step(context, study, lake, provenance.sensitivity_inputs) as step:
            protocol = sensitivity_protocol(study)
            made: _Made = (empty_frame("learning_curve"), _NOT_ASKED)
            if _is_asked(study, "learning_curve"):
                cell = _cell(study, step)
                points = learning_curve(
                    cell.blocks.rows(cell.labeled),
                    cell.labels,
                    protocol,
                    _own(step),
                    smallest=study.sensitivity.learning_curve.smallest,
                    draws=study.sensitivity.learning_curve.draws,
                )
                made = (points, _NO_MODELS)
            drawn = learning_curves(made[0], protocol.learners[0], "learning")
            return _written(
                study,
                step,
                "learning_curve",
                made,
                points=dg.MetadataValue.md(learning_table(made[0])),
                curves=figure_entry(drawn),
            )

    return curve


def _imbalance_sensitivity(study: Study) -> dg.AssetsDefinition:
    @cell_asset(
        study, "imbalance_sensitivity", _INPUTS, "No treatment, weights and SMOTE, same folds."
    )
    def imbalance(context: dg.AssetExecutionContext, lake: LakeResource) -> dg.MaterializeResult:
        with cell_step(context, study, lake, provenance.sensitivity_inputs) as step:
            protocol = sensitivity_protocol(study)
            made: _Made = (empty_frame("imbalance_sensitivity"), _NOT_ASKED)
            if _is_asked(study, "imbalance"):
                cell = _cell(study, step)
                judged = treated_predictions(
                    cell.blocks.rows(cell.labeled), cell.labels, protocol, _own(step)
                )
                minimum, seed = study.privacy.minimum_cell, study.models.seed
                table = imbalance_sensitivity(judged, minimum_cell=minimum, seed=seed)
                made = (table, _NO_MODELS)
            drawn = imbalance_forest(made[0], protocol.learners[0], "imbalance")
            return _written(
                study,
                step,
                "imbalance_sensitivity",
                made,
                treatments=dg.MetadataValue.md(imbalance_table(made[0])),
                differences=figure_entry(drawn),
            )

    return imbalance


def _nested_selection(study: Study) -> dg.AssetsDefinition:
    @cell_asset(
        study,
        "nested_selection",
        [*_INPUTS, "index_events"],
        "Scores by which the best cell is chosen without the patients that judge it.",
    )
    def nested(context: dg.AssetExecutionContext, lake: LakeResource) -> dg.MaterializeResult:
        with cell_step(context, study, lake, provenance.sensitivity_inputs) as step:
            made: _Made = (empty_frame("nested_selection"), _NOT_ASKED)
            if len(study.windows) * len(study.encoders) < 2:
                made = (made[0], "one window and one encoder: nothing is chosen")
            elif _is_asked(study, "selection"):
                cell = _cell(study, step)
                everyone = step.lake.read("index_events")["patient_id"].to_list()
                table = nested_selection(
                    cell.blocks.rows(cell.labeled),
                    cell.labels,
                    study_parts(everyone, study.models.seed),
                    ModelingProtocol.from_study(study),
                    selection_model(study),
                )
                made = (table, _NO_MODELS)
            return _written(study, step, "nested_selection", made)

    return nested


def _site_holdout(study: Study) -> dg.AssetsDefinition:
    @cell_asset(
        study,
        "site_holdout",
        [*_INPUTS, "care_site"],
        "Models of all other institutions of a network at each one; empty when not stated.",
    )
    def sites(context: dg.AssetExecutionContext, lake: LakeResource) -> dg.MaterializeResult:
        with cell_step(context, study, lake, provenance.sensitivity_inputs) as step:
            protocol = sensitivity_protocol(study)
            made: _Made = (empty_frame("site_holdout"), _NOT_ASKED)
            if _is_asked(study, "site"):
                splits = site_splits(
                    step.lake.read("cohort", step.window),
                    step.lake.read("care_site"),
                    study.privacy.minimum_cell,
                )
                made = (made[0], splits.reason or "")
                if splits.reason is None:
                    judged = site_holdout(_cell(study, step), splits, _own(step), protocol)
                    for warning in judged.warnings:
                        context.log.warning(warning)
                    made = (judged.frame, judged.reason or "")
            feature_set = protocol.feature_sets[-1]
            drawn = site_forest(made[0], ModelName(feature_set, protocol.learners[0]), "sites")
            return _written(
                study,
                step,
                "site_holdout",
                made,
                sites=dg.MetadataValue.md(sites_table(made[0])),
                forest=figure_entry(drawn),
            )

    return sites


def _is_asked(study: Study, analysis: SensitivityAnalysis) -> bool:
    return analysis in study.sensitivity.analyses


def _own(step: CellStep) -> pl.DataFrame:
    return step.lake.read("cross_validation", step.window, step.encoder.id)


def _cell(study: Study, step: CellStep) -> Cell:
    return load_cell(study, step.lake, step.window, step.encoder)


def _kept(study: Study, step: CellStep) -> KeptPredictions:
    """Return where finished repeats of the cell are kept until all of them are there."""
    folder = step.lake.folder("repeats", step.window, step.encoder.id)
    inputs = provenance.cell_inputs(study, step.lake, step.window, step.encoder)
    return KeptPredictions(step.lake, folder, inputs)


def _written(
    study: Study, step: CellStep, table: str, made: _Made, **facts: dg.MetadataValue | float | str
) -> dg.MaterializeResult:
    frame, empty_because = made
    stamp = step.lake.write(table, frame, window=step.window, encoder=step.encoder.id)
    return table_result(
        study,
        table,
        stamp,
        counts={},
        synthetic_data=str(study.synthetic),
        empty_because=empty_because if frame.is_empty() else "not empty",
        **facts,
    )
