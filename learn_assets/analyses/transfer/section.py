"""Transfer in a cell: what other sites' models achieve here, and how the sites differ."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from learn_assets.analyses.transfer.differences_shown import site_blocks
from learn_assets.analyses.transfer.figure import (
    ModeCurve,
    ModeRow,
    mode_calibration,
    mode_forest,
)
from learn_assets.evaluation.comparison import ModelName
from learn_assets.reporting.comparison_words import model_label
from learn_assets.reporting.context import CellContext, not_made
from learn_assets.reporting.document import (
    Block,
    Column,
    Figure,
    Paragraph,
    Section,
    Series,
    Table,
)
from learn_assets.reporting.places import CellSection
from learn_assets.reporting.sections.long_tables import (
    a_model_a_feature_set,
    estimate_of,
    models_of,
    rows_of,
    shown_model,
    single,
)
from learn_assets.reporting.values import Estimate, count_of, estimate, rounded_column, words

_TITLE = "Models of other sites"
_MODES = {
    "own": "this site's own",
    "as_is": "as it is",
    "recalibrated_intercept": "recalibrated: intercept",
    "recalibrated_slope": "recalibrated: intercept, slope",
    "refitted": "refitted here",
}
# A rising line moves no patient past another, so recalibrated models rank as they did.
_RANKING = ("own", "as_is", "refitted")
_ADAPTED = ("as_is", "recalibrated_intercept", "recalibrated_slope", "refitted")
_OVERALL = (
    ("auroc", "AUROC", 3, False),
    ("auroc_minus_own", "AUROC minus own", 3, True),
    ("brier", "Brier score", 3, False),
    ("brier_minus_own", "Brier minus own", 3, True),
)
_OVERALL_NOTE = (
    "Differences are paired, on the same patients; own: trained at this site, out of fold. "
    "Recalibration and refitting are fitted in the other folds."
)
_CALIBRATION = (
    ("calibration_slope", "Calibration slope", 2, False),
    ("calibration_intercept", "Calibration intercept", 2, False),
    ("ici", "ICI", 3, False),
)
_CALIBRATION_NOTE = (
    "Ideal: slope 1, intercept 0, ICI 0. A slope far above 1 with a wide interval belongs to "
    "predictions that hardly vary."
)


def transfer(cell: CellContext) -> Section:
    """Return performance of foreign models by way of use, and the differences of the sites."""
    if not cell.study.external_models:
        return cell.without("transfer", _TITLE, "the study names none")
    validation = cell.of_cell("external_validation")
    if validation is None:
        return cell.without("transfer", _TITLE, not_made("external_validation"))
    if validation.is_empty():
        why = "no model of another site fits this window and encoder"
        return cell.without("transfer", _TITLE, why)
    differences = cell.of_cell("site_differences")
    blocks: list[Block] = []
    for place, name in enumerate(validation["model"].unique(maintain_order=True)):
        # Keys of further models end in their number, which keeps their topic.
        suffix = f"-{place + 1}" if place else ""
        blocks += _of_model(cell, name, validation.filter(pl.col("model") == name), suffix)
        if differences is not None:
            own = differences.filter(pl.col("model") == name)
            blocks += site_blocks(cell, name, own, suffix)
    return cell.section("transfer", _TITLE, *blocks)


def _of_model(cell: CellContext, name: str, frame: pl.DataFrame, suffix: str) -> Iterator[Block]:
    model = shown_model(frame, cell.reference)
    reasons: list[str] = frame["not_external"].drop_nulls().to_list()
    reason = reasons[0] if reasons else None
    shown = name if reason is None else f"{name} (not external)"
    if reason is not None:
        yield Paragraph(
            f"Not an external validation of {name}: {reason}. What follows shows how well the "
            "model fits patients it may have learned from.",
            tone="warning",
            key=f"not_external{suffix}",
        )
    if model is not None:
        yield Paragraph(_told(shown, model, rows_of(frame, model), external=reason is None))
        for figure in (
            _ranking_figure(cell, shown, frame, suffix),
            _calibration_figure(cell, shown, model, rows_of(frame, model), suffix),
        ):
            if figure is not None:
                yield figure
    # Under keys of their own, so that TRIPOD's items on external validation stay open.
    yield from _tables(shown, frame, suffix, "external" if reason is None else "not_external")


def _told(name: str, model: ModelName, own: pl.DataFrame, *, external: bool) -> str:
    """Return what a model does here as it is, in sentences."""
    used = own.filter(pl.col("mode") == "as_is")
    patients, cases = single(used, "n"), single(used, "cases")
    counted = ""
    if patients and cases:
        trained_on = "none of whom it was" if external else "of whom it may have been"
        counted = (
            f", on {count_of(patients).text} labeled patients ({count_of(cases).text} cases) "
            f"{trained_on} trained on"
        )
    parts = [f"{model_label(model)} of {name} as it is{counted}:"]
    found = single(used, "auroc")
    parts.append(f"AUROC {estimate(found, 3).text}")
    gap = single(used, "auroc_minus_own")
    if gap is not None:
        parts.append(f"({estimate(gap, 3, signed=True).text} against this site's own model);")
    slope, intercept = single(used, "calibration_slope"), single(used, "calibration_intercept")
    parts.append(
        f"calibration slope {estimate(slope, 2).text}{_verdict(slope, 1.0, _SLOPES)}, "
        f"intercept {estimate(intercept, 2).text}{_verdict(intercept, 0.0, _INTERCEPTS)}."
    )
    return " ".join(parts)


_SLOPES = ("predictions too extreme", "predictions too moderate")
_INTERCEPTS = ("risk overestimated on average", "risk underestimated on average")


def _verdict(found: Estimate | None, ideal: float, meanings: tuple[str, str]) -> str:
    """Return what an interval that excludes the ideal means; empty when it does not."""
    if found is None or found.lower is None or found.upper is None:
        return ""
    if found.upper < ideal:
        return f" ({meanings[0]})"
    return f" ({meanings[1]})" if found.lower > ideal else ""


def _ranking_figure(
    cell: CellContext, name: str, frame: pl.DataFrame, suffix: str
) -> Figure | None:
    models = a_model_a_feature_set(frame, cell.reference.learner)
    rows = [
        ModeRow(model_label(model), mode, _MODES[mode], found)
        for model in models
        for mode in _RANKING
        for used in [rows_of(frame, model).filter(pl.col("mode") == mode)]
        if (found := single(used, "auroc")) is not None
    ]
    svg = mode_forest(rows, "AUROC", f"{cell.anchor}-transfer{suffix}-auroc")
    if svg is None:
        return None
    return Figure(
        f"transfer_auroc{suffix}",
        svg,
        f"AUROC of the models of {name} here, with 95 % intervals, beside this site's own on the "
        "same patients. Recalibration changes no ranking.",
        tuple(
            Series(
                f"{row.heading}, {row.name}",
                tuple((part, rounded_column([v], 2)) for part, v in vars(row.value).items()),
            )
            for row in rows
        ),
    )


def _calibration_figure(
    cell: CellContext, name: str, model: ModelName, own: pl.DataFrame, suffix: str
) -> Figure | None:
    curves = [_curve(mode, own.filter(pl.col("mode") == mode)) for mode in _ADAPTED]
    svg = mode_calibration(curves, f"{cell.anchor}-transfer{suffix}-calibration")
    if svg is None:
        return None
    return Figure(
        f"transfer_calibration{suffix}",
        svg,
        f"Calibration here of {model_label(model)} of {name}: groups of equal size by predicted "
        "risk, with 95 % intervals of the observed share (Wilson). Dashed: perfect.",
        tuple(
            Series(
                curve.name,
                (
                    ("predicted", rounded_column(list(curve.predicted))),
                    ("observed", rounded_column([found.value for found in curve.observed])),
                    ("lower", rounded_column([found.lower for found in curve.observed])),
                    ("upper", rounded_column([found.upper for found in curve.observed])),
                ),
            )
            for curve in curves
            if curve.predicted
        ),
    )


def _curve(mode: str, used: pl.DataFrame) -> ModeCurve:
    points = used.filter(pl.col("bin").is_not_null()).sort("bin")
    predicted = points.filter(pl.col("metric") == "predicted_risk")["estimate"].to_list()
    observed = points.filter(pl.col("metric") == "observed_share").iter_rows(named=True)
    shares = [found for found in map(estimate_of, observed) if found is not None]
    return ModeCurve(mode, _MODES[mode], tuple(predicted), tuple(shares))


def _tables(name: str, frame: pl.DataFrame, suffix: str, kind: str) -> Iterator[Table]:
    """Yield discrimination and calibration of every foreign model by way of use."""
    used = [
        (model, label, rows)
        for model in models_of(frame.filter(pl.col("mode") != "own"))
        for mode, label in _MODES.items()
        for rows in [rows_of(frame, model).filter(pl.col("mode") == mode)]
        if not rows.is_empty()
    ]
    for key, title, metrics, note in (
        ("validation", "Discrimination and overall performance", _OVERALL, _OVERALL_NOTE),
        ("calibration", "Calibration", _CALIBRATION, _CALIBRATION_NOTE),
    ):
        yield Table(
            f"{kind}_{key}{suffix}",
            f"{title} of the models of {name} here, 95 % intervals",
            (
                Column("model", "Model", numeric=False),
                Column("mode", "Used", numeric=False),
                *(Column(metric, title) for metric, title, _, _ in metrics),
            ),
            tuple(
                (
                    words(model_label(model)),
                    words(label),
                    *(estimate(single(rows, m), digits, signed=s) for m, _, digits, s in metrics),
                )
                for model, label, rows in used
            ),
            note=note,
            grouped=True,
        )


SECTION = CellSection(70, transfer)
