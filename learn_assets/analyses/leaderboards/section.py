"""Leaderboards: every window and encoder side by side, and a best one chosen by other patients."""

from __future__ import annotations

import polars as pl

from learn_assets.analyses.leaderboards.figure import cell_heat_map
from learn_assets.evaluation.comparison import ModelName
from learn_assets.modeling.sensitivity import selection_model
from learn_assets.reporting.comparison_words import model_label
from learn_assets.reporting.context import StudyContext, not_made
from learn_assets.reporting.document import Block, Column, Figure, Section, Series, Table, absent
from learn_assets.reporting.places import StudySection
from learn_assets.reporting.values import (
    MISSING,
    Estimate,
    Value,
    estimate,
    number,
    rounded_column,
    words,
)

_TITLE = "Windows and encoders side by side"


def leaderboards(context: StudyContext) -> Section | None:
    """Return AUROC of every cell for one model, and of the cell that other patients chose.

    None for a single cell: there is nothing to set beside it.
    """
    if len(context.study.windows) * len(context.study.encoders) == 1:
        return None
    boards = {over: context.table(f"{over}_leaderboard") for over in ("window", "encoder")}
    model = ModelName(*selection_model(context.study))
    made = [_of_model(board, model) for board in boards.values() if board is not None]
    if not made:
        return _section(absent(_TITLE, not_made("window_leaderboard")))
    frame = pl.concat(made).unique(maintain_order=True)
    if frame.is_empty():
        return _section(absent(_TITLE, f"no cell has results of {model_label(model)}"))
    return _section(*_figure(frame, model), _table(frame, model))


def _section(*blocks: Block) -> Section:
    return Section("leaderboards", _TITLE, blocks)


def _of_model(board: pl.DataFrame, model: ModelName) -> pl.DataFrame:
    return board.filter(
        pl.col("feature_set") == model.feature_set, pl.col("learner") == model.learner
    )


def _figure(frame: pl.DataFrame, model: ModelName) -> list[Block]:
    # Both boards hold the same cells: whether one is up for choice differs.
    cells = frame.filter(pl.col("basis") == "cell").unique(
        ["window", "encoder"], keep="first", maintain_order=True
    )
    svg = cell_heat_map(cells, model.feature_set, model.learner, "leaderboard")
    if svg is None:
        return []
    series = tuple(
        Series(
            f"{row['window']}, {row['encoder']}",
            tuple((name, rounded_column([row[name]], 2)) for name in ("auroc", "lower", "upper")),
        )
        for row in cells.iter_rows(named=True)
    )
    caption = f"AUROC of {model_label(model)} by window and encoder, with 95 % intervals."
    return [Figure("leaderboard", svg, caption, series)]


def _table(frame: pl.DataFrame, model: ModelName) -> Table:
    ordered = frame.with_columns(chosen=pl.col("basis") == "chosen").sort(
        "chosen", maintain_order=True
    )
    rows = dict.fromkeys(
        (
            words("Chosen by other patients" if row["basis"] == "chosen" else "Each cell"),
            words(row["window"] or "any"),
            words(row["encoder"] or "any"),
            _count(row["patients"]),
            _count(row["cases"]),
            estimate(Estimate(row["auroc"], row["lower"], row["upper"]), 3),
        )
        for row in ordered.iter_rows(named=True)
    )
    return Table(
        "leaderboard_table",
        f"AUROC of {model_label(model)} in every cell, 95 % intervals",
        (
            Column("basis", "Basis", numeric=False),
            Column("window", "Window", numeric=False),
            Column("encoder", "Encoder", numeric=False),
            Column("patients", "Patients"),
            Column("cases", "Cases"),
            Column("auroc", "AUROC"),
        ),
        tuple(rows),
        note="The best of many cells looks better than it is. A chosen cell is picked, in each "
        "part of the patients, by the others alone; cells differ in their patients.",
        grouped=True,
    )


def _count(value: int | None) -> Value:
    return MISSING if value is None else number(value, 0)


SECTION = StudySection(10, leaderboards)
