"""Figures: ladder, ROC, precision-recall and calibration as deterministic, accessible SVG.

What belongs here: drawing. What is drawn has passed disclosure control before.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import StringIO
from typing import TYPE_CHECKING, Any

import numpy as np

from learn_assets.evaluation.performance import ModelCurves
from learn_assets.reporting.estimates import ModelResult
from learn_assets.reporting.inline_svg import inline_svg
from learn_assets.reporting.labels import feature_set_label, learner_label
from learn_assets.statistics.shares import wilson

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe & Ito's colors, told apart by people with any color vision; markers and dashes say it again.
_COLORS = {
    "age_sex": "#767676",
    "demographics": "#767676",
    "count": "#d55e00",
    "embedding": "#0072b2",
    "autoencoder": "#cc79a7",
    "contrastive_self": "#56b4e9",
    "contrastive_supervised": "#e69f00",
    "stacking": "#5e3c99",
    "learn": "#007a5a",
    "count_without_medication": "#d55e00",
    "embedding_without_medication": "#0072b2",
    "learn_without_medication": "#007a5a",
}
_MARKERS = {
    "count": "s",
    "embedding": "^",
    "learn": "o",
    "age_sex": "D",
    "demographics": "D",
    "autoencoder": "v",
    "contrastive_self": "<",
    "contrastive_supervised": ">",
    "stacking": "P",
    "count_without_medication": "x",
    "embedding_without_medication": "x",
    "learn_without_medication": "x",
}
_DASHES = {
    "count": (0, (5, 2)),
    "embedding": (0, (2, 1.2)),
    "age_sex": (0, (1, 1.5)),
    "autoencoder": (0, (6, 2, 1, 2)),
    "contrastive_self": (0, (4, 1)),
    "contrastive_supervised": (0, (3, 1, 1, 1)),
    "stacking": (0, (8, 2)),
    "count_without_medication": (0, (1, 1)),
    "embedding_without_medication": (0, (1, 1)),
    "learn_without_medication": (0, (1, 1)),
}
INK, QUIET, _RULE = "#1d2430", "#5b6472", "#d9dde3"
_STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.axisbelow": True,
    "axes.edgecolor": QUIET,
    "axes.labelcolor": INK,
    "axes.labelsize": 10,
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "grid.color": _RULE,
    "grid.linewidth": 0.6,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "learn_assets",
    "text.color": INK,
    # Names that come with data may hold dollar signs, which are no formulas.
    "text.parse_math": False,
    "xtick.color": QUIET,
    "xtick.labelcolor": INK,
    "ytick.color": QUIET,
    "ytick.labelcolor": INK,
}
_WIDTH = 4.7


@dataclass(frozen=True)
class SvgFigure:
    """One figure: an element to put into a page, with its title and its content in words."""

    svg: str
    title: str
    alternative: str

    def document(self) -> str:
        """Return the figure as a file of its own."""
        return self.svg.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)

    def markdown(self) -> str:
        """Return the figure as a Markdown image that carries its own data."""
        data = base64.b64encode(self.document().encode()).decode()
        return f"![{self.title}](data:image/svg+xml;base64,{data})"


def ladder(models: Sequence[ModelResult], identifier: str) -> SvgFigure | None:
    """Return AUROC with its interval for every model, simplest features on top; None without any.

    `identifier` keeps the element's ids apart from those of other figures on the page.
    """
    rows = [model for model in models if "auroc" in model.metrics]
    if not rows:
        return None
    feature_sets = list(dict.fromkeys(model.feature_set for model in rows))
    height = 0.9 + 0.24 * len(rows) + 0.34 * len(feature_sets)
    return draw(
        identifier,
        "AUROC by feature set and learner",
        "; ".join(_ladder_words(model) for model in rows),
        height,
        lambda figure: _ladder(figure, rows, feature_sets),
    )


def roc(models: Sequence[ModelCurves], identifier: str) -> SvgFigure | None:
    """Return receiver operating characteristic curves; None when no model has one."""
    drawn = [model for model in models if model.true_positive_rate]
    if not drawn:
        return None
    words = (
        f"{feature_set_label(model.feature_set)}: sensitivity "
        f"{np.interp(0.1, model.false_positive_rate, model.true_positive_rate):.2f} "
        "at 1 - specificity 0.10"
        for model in drawn
    )
    return draw(identifier, "ROC curves", "; ".join(words), 4.7, lambda fig: _roc(fig, drawn))


def precision_recall(models: Sequence[ModelCurves], identifier: str) -> SvgFigure | None:
    """Return precision-recall curves with the prevalence line; None when no model has one."""
    drawn = [model for model in models if model.precision]
    if not drawn:
        return None
    words = (
        f"{feature_set_label(model.feature_set)}: precision "
        f"{np.interp(0.5, model.recall, model.precision):.2f} at recall 0.50"
        for model in drawn
    )
    title = "Precision-recall curves"
    return draw(identifier, title, "; ".join(words), 4.7, lambda fig: _precision_recall(fig, drawn))


def calibration(models: Sequence[ModelCurves], identifier: str) -> SvgFigure | None:
    """Return observed share by predicted risk with Wilson intervals; None without any bins."""
    drawn = [model for model in models if model.calibration]
    if not drawn:
        return None
    words = (
        f"{feature_set_label(model.feature_set)}: "
        + ", ".join(
            f"{b.mean_probability:.2f} -> {b.observed_share:.2f}" for b in model.calibration
        )
        for model in drawn
    )
    title = "Calibration: predicted risk -> observed share"
    return draw(identifier, title, "; ".join(words), 4.7, lambda fig: _calibration(fig, drawn))


def draw(
    identifier: str,
    title: str,
    alternative: str,
    height: float,
    paint: Callable[[Figure], None],
) -> SvgFigure:
    """Return what `paint` draws on a figure of this height (inches), title and content in words."""
    # A figure without pyplot: no global state, no window, the same bytes every time.
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(_STYLE):
        figure = Figure(figsize=(_WIDTH, height), layout="constrained")
        paint(figure)
        target = StringIO()
        figure.savefig(target, format="svg", metadata={"Date": None, "Creator": None})
    svg = inline_svg(target.getvalue(), identifier, title, alternative)
    return SvgFigure(svg, title, alternative)


def _ladder_words(model: ModelResult) -> str:
    name = f"{feature_set_label(model.feature_set)}, {learner_label(model.learner)}"
    return f"{name}: {_area_words(model)}"


def _ladder(figure: Figure, rows: Sequence[ModelResult], feature_sets: Sequence[str]) -> None:
    from matplotlib.transforms import blended_transform_factory

    axes = figure.add_subplot()
    left_edge = blended_transform_factory(figure.transFigure, axes.transData)
    place, ticks, names = 0.0, [], []
    for feature_set in feature_sets:
        heading = axes.text(0.01, place, feature_set_label(feature_set), transform=left_edge)
        heading.set(va="center", weight="bold", color=color_of(feature_set), in_layout=False)
        place += 1.05
        for model in (row for row in rows if row.feature_set == feature_set):
            _ladder_row(axes, model, place)
            ticks.append(place)
            names.append(learner_label(model.learner))
            place += 1.0
        place += 0.35
    row_axes(axes, ticks, names, place - 0.6)
    axes.axvline(0.5, color=QUIET, linewidth=0.8, linestyle=(0, (3, 2)))
    axes.set_xlim(*_ladder_limits(rows))
    axes.set_xlabel("AUROC with 95 % interval (dashed: chance)")


def _ladder_row(axes: Axes, model: ModelResult, place: float) -> None:
    estimate = model.metrics["auroc"]
    color = color_of(model.feature_set)
    if estimate.lower is not None and estimate.upper is not None:
        axes.plot([estimate.lower, estimate.upper], [place, place], color=color, linewidth=1.6)
    axes.plot([estimate.value], [place], color=color, marker=marker_of(model.feature_set), ms=5.5)
    axes.text(
        1.01,
        place,
        _area_words(model),
        transform=axes.get_yaxis_transform(),
        ha="left",
        va="center",
        size=9,
    )


def _ladder_limits(rows: Sequence[ModelResult]) -> tuple[float, float]:
    estimates = [row.metrics["auroc"] for row in rows]
    low = min(min(e.value, e.value if e.lower is None else e.lower) for e in estimates)
    high = max(max(e.value, e.value if e.upper is None else e.upper) for e in estimates)
    return max(0.0, min(low, 0.5) - 0.03), min(1.0, max(high, 0.75) + 0.03)


def _roc(figure: Figure, models: Sequence[ModelCurves]) -> None:
    axes = _unit_square(figure, "1 - specificity", "Sensitivity")
    axes.plot([0, 1], [0, 1], color=QUIET, linewidth=0.8, linestyle=(0, (3, 2)))
    for model in models:
        _curve(axes, model, model.false_positive_rate, model.true_positive_rate)
    axes.legend(loc="lower right")


def _precision_recall(figure: Figure, models: Sequence[ModelCurves]) -> None:
    axes = _unit_square(figure, "Recall (sensitivity)", "Precision")
    prevalence = models[0].prevalence
    if prevalence is not None:
        axes.axhline(prevalence, color=QUIET, linewidth=0.8, linestyle=(0, (3, 2)))
        axes.text(0.01, prevalence + 0.012, f"prevalence {prevalence:.2f}", color=QUIET, size=9)
    for model in models:
        # Recall 0 has no precision of its own: the curve starts at the first patient found.
        _curve(axes, model, model.recall[1:], model.precision[1:])
    axes.legend(loc="upper right")


def _calibration(figure: Figure, models: Sequence[ModelCurves]) -> None:
    axes = _unit_square(figure, "Predicted risk", "Observed share of cases")
    highest = 0.0
    for rank, model in enumerate(models):
        # Intervals of bins with the same prediction would cover each other: set them apart.
        shift = 0.004 * (rank - (len(models) - 1) / 2)
        predicted = np.array([b.mean_probability for b in model.calibration])
        observed = np.array([b.observed_share for b in model.calibration])
        shares = [wilson(b.cases, b.patients) for b in model.calibration]
        lower, upper = np.array([(share.lower, share.upper) for share in shares]).T
        color = color_of(model.feature_set)
        axes.vlines(predicted + shift, lower, upper, color=color, linewidth=1.3, alpha=0.65)
        axes.plot(
            predicted + shift,
            observed,
            color=color,
            linewidth=1.2,
            ms=5,
            marker=marker_of(model.feature_set),
            linestyle=dashes_of(model.feature_set),
            label=feature_set_label(model.feature_set),
        )
        highest = max(highest, float(upper.max()), float(predicted.max()))
    limit = min(1.0, np.ceil(highest * 10 + 0.2) / 10)
    axes.plot([0, limit], [0, limit], color=QUIET, linewidth=0.8, linestyle=(0, (3, 2)))
    axes.set_xlim(0, limit)
    axes.set_ylim(0, limit)
    axes.legend(loc="upper left")


def _unit_square(figure: Figure, x_label: str, y_label: str) -> Axes:
    axes = figure.add_subplot()
    axes.set_aspect("equal")
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.grid()
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    return axes


def _curve(axes: Axes, model: ModelCurves, x: Sequence[float], y: Sequence[float]) -> None:
    axes.plot(
        x,
        y,
        color=color_of(model.feature_set),
        linestyle=dashes_of(model.feature_set),
        linewidth=1.8,
        label=feature_set_label(model.feature_set),
        clip_on=False,
    )


def _area_words(model: ModelResult) -> str:
    area = model.metrics["auroc"]
    return interval_words(area.value, area.lower, area.upper)


def interval_words(value: float, lower: float | None, upper: float | None) -> str:
    """Return an estimate with its limits, or alone where it has none."""
    if lower is None or upper is None:
        return f"{value:.2f}"
    return f"{value:.2f} [{lower:.2f}, {upper:.2f}]"


def shortened(text: str, length: int) -> str:
    """Return a text of at most so many letters."""
    return text if len(text) <= length else f"{text[: length - 1].rstrip(' ,')}…"


def row_axes(axes: Axes, places: Sequence[float], names: Sequence[str], bottom: float) -> None:
    """Name the rows of a figure, the first on top, and draw no axis on the left."""
    axes.set_yticks(places, names)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_ylim(bottom, -0.7)
    axes.grid(axis="x")


def color_of(feature_set: str) -> str:
    """Return the color of a feature set, the same in every figure."""
    return _COLORS.get(feature_set, INK)


def marker_of(feature_set: str) -> str:
    """Return the marker of a feature set, which tells it apart without color."""
    return _MARKERS.get(feature_set, "o")


def dashes_of(feature_set: str) -> tuple[float, tuple[float, ...]] | str:
    """Return the line style of a feature set, which tells it apart without color."""
    return _DASHES.get(feature_set, "solid")
