"""Loss figure: training and held-out loss of one training, pass by pass, as SVG."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from learn_assets.reporting.figures import INK, QUIET, SvgFigure, draw

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_HELD_OUT, _TRAINING = "#0072b2", "#d55e00"


def loss_figure(evaluations: pl.DataFrame, title: str, identifier: str) -> SvgFigure:
    """Return the losses by pass; the look whose weights were kept is marked.

    evaluations: a table `language_model` or `contrastive_model`.
    """
    kept = evaluations.row(evaluations["best"].arg_true()[0], named=True)
    first = evaluations.row(0, named=True)
    words = (
        f"Held-out loss {first['held_out_loss']:.2f} before training, "
        f"{kept['held_out_loss']:.2f} after {kept['epoch']} passes, whose weights were kept; "
        f"{evaluations.height - 1} passes were made"
    )
    return draw(identifier, title, words, 3.1, lambda figure: _paint(figure, evaluations, title))


def _paint(figure: Figure, evaluations: pl.DataFrame, title: str) -> None:
    from matplotlib.ticker import MaxNLocator

    axes = figure.add_subplot()
    passes = evaluations["epoch"].to_list()
    held_out = evaluations["held_out_loss"].to_list()
    learned = evaluations.drop_nulls("training_loss")
    axes.plot(passes, held_out, color=_HELD_OUT, marker="o", markersize=4, label="Held out")
    # The mean over a pass belongs to its middle.
    middles = [epoch - 0.5 for epoch in learned["epoch"].to_list()]
    losses = learned["training_loss"].to_list()
    axes.plot(
        middles, losses, color=_TRAINING, marker="s", markersize=4, dashes=(5, 2), label="Training"
    )
    best = evaluations.filter("best")
    axes.plot(
        best["epoch"].to_list(),
        best["held_out_loss"].to_list(),
        color=INK,
        marker="o",
        markersize=10,
        fillstyle="none",
        linestyle="none",
        label="Kept",
    )
    axes.set_title(title, size=10, color=INK)
    axes.set_xlabel("Passes over the admissions")
    axes.set_ylabel("Loss (nats)")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(axis="y")
    axes.tick_params(color=QUIET)
    axes.legend()
