"""Assets of the leaderboards: all cells side by side, and an honest number for the best."""

import dagster as dg
import polars as pl

from learn_assets.analyses.leaderboards.computation import CellName, leaderboard, with_differences
from learn_assets.analyses.leaderboards.figure import cell_heat_map
from learn_assets.analyses.leaderboards.words import leaderboard_table
from learn_assets.defs.metadata import COLUMN_SCHEMA, column_schema, figure_entry, table_result
from learn_assets.defs.partitions import on_all_cells
from learn_assets.defs.resources import LakeResource
from learn_assets.defs.stages import result_step
from learn_assets.lake import Lake
from learn_assets.modeling.sensitivity import selection_model
from learn_assets.modeling.study_parts import is_of_parts, study_parts
from learn_assets.study import Study


def assets(study: Study) -> list[dg.AssetsDefinition]:
    """Return both leaderboards."""
    return [
        _leaderboard(study, "window", "AUROC by window, and of the window that others chose."),
        _leaderboard(study, "encoder", "AUROC by encoder, and of the encoder that others chose."),
    ]


def _leaderboard(study: Study, over: str, description: str) -> dg.AssetsDefinition:
    name = f"{over}_leaderboard"

    @dg.asset(
        name=name,
        group_name="evaluation",
        owners=[study.owner],
        kinds={"polars", "parquet"},
        deps=[
            on_all_cells("performance"),
            on_all_cells("nested_selection"),
            on_all_cells("cross_validation"),
            "index_events",
        ],
        metadata={COLUMN_SCHEMA: column_schema(name)},
        description=description,
    )
    def board(context: dg.AssetExecutionContext, lake: LakeResource) -> dg.MaterializeResult:
        with result_step(context, study, lake) as opened:
            performance = _finished(study, opened, "performance")
            model = selection_model(study)
            nested = _finished(study, opened, "nested_selection")
            choices = _of_todays_parts(study, opened, nested)
            table = leaderboard(
                performance,
                choices,
                _groups(study, over),
                model,
                over=over,
                minimum_cell=study.privacy.minimum_cell,
            )
            # Windows hold other patients, so only encoders can be compared on the same ones.
            if over == "encoder":
                judged = _finished(study, opened, "cross_validation")
                table = with_differences(table, judged, _groups(study, over))
            stamp = opened.write(name, table)
        cells = len(study.windows) * len(study.encoders)
        return table_result(
            study,
            name,
            stamp,
            synthetic_data=str(study.synthetic),
            cells_without_results=cells - len(performance),
            cells_to_make_again_before_choosing=len(nested) - len(choices),
            auroc=dg.MetadataValue.md(leaderboard_table(table, model)),
            heat_map=figure_entry(cell_heat_map(table, *model, name.replace("_", "-"))),
        )

    return board


def _finished(study: Study, lake: Lake, table: str) -> dict[CellName, pl.DataFrame]:
    """Return a table of every cell that has it, in the order of the study."""
    return {
        CellName(window.key, encoder.id): lake.read(table, window, encoder.id)
        for window in study.windows
        for encoder in study.encoders
        if lake.stamp(table, window, encoder.id) is not None
    }


def _of_todays_parts(
    study: Study, lake: Lake, nested: dict[CellName, pl.DataFrame]
) -> dict[CellName, pl.DataFrame]:
    """Return the tables made with the parts that the study has now: others are of an older run."""
    if not nested:
        return {}
    parts = study_parts(lake.read("index_events")["patient_id"].to_list(), study.models.seed)
    return {cell: table for cell, table in nested.items() if is_of_parts(table, parts)}


def _groups(study: Study, over: str) -> dict[str, list[CellName]]:
    """Return the cells that are chosen from, by what they share."""
    windows, encoders = [item.key for item in study.windows], [item.id for item in study.encoders]
    if over == "window":
        return {encoder: [CellName(window, encoder) for window in windows] for encoder in encoders}
    return {window: [CellName(window, encoder) for encoder in encoders] for window in windows}
