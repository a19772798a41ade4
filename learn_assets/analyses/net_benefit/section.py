"""Net benefit of a cell: what acting on a model's risks is worth, by threshold."""

from __future__ import annotations

import polars as pl

from learn_assets.analyses.net_benefit.figure import DecisionCurve, decision_curve, decision_curves
from learn_assets.reporting.context import CellContext, not_made
from learn_assets.reporting.document import Block, Column, Figure, Section, Series, Table
from learn_assets.reporting.labels import feature_set_label, learner_label_inside
from learn_assets.reporting.places import CellSection
from learn_assets.reporting.sections.long_tables import rows_of, shown_model
from learn_assets.reporting.values import Estimate, estimate, number, rounded_column

_TITLE = "Net benefit"


def net_benefit(cell: CellContext) -> Section:
    """Return decision curves of the reference learner, and the numbers of the reference model."""
    frame = cell.of_cell("net_benefit")
    if frame is None:
        return cell.without("net-benefit", _TITLE, not_made("net_benefit"))
    table = _table(cell, frame)
    if table is None:
        why = "no threshold has enough patients on either side"
        return cell.without("net-benefit", _TITLE, why)
    return cell.section("net-benefit", _TITLE, _figure(cell, frame), table)


def _figure(cell: CellContext, frame: pl.DataFrame) -> Block | None:
    curves = decision_curves(frame, cell.reference.learner)
    svg = decision_curve(curves, f"{cell.anchor}-net-benefit")
    if svg is None:
        return None
    return Figure(
        "net_benefit",
        svg,
        f"Decision curves of {learner_label_inside(cell.reference.learner)} against acting on "
        "everyone and on no one; band: 95 % interval of the richest features.",
        tuple(_series(curve) for curve in curves if curve.points),
    )


def _series(curve: DecisionCurve) -> Series:
    names = ("threshold", "net_benefit", "lower", "upper")
    return Series(
        feature_set_label(curve.feature_set),
        tuple(
            (name, rounded_column([getattr(point, name) for point in curve.points]))
            for name in names
        ),
    )


def _table(cell: CellContext, frame: pl.DataFrame) -> Table | None:
    model = shown_model(frame, cell.reference)
    known = frame.filter(pl.col("threshold").is_not_null(), pl.col("net_benefit").is_not_null())
    if model is None or rows_of(known, model).is_empty():
        return None
    rows = rows_of(known, model).sort("threshold")
    return Table(
        "net_benefit_table",
        "Net benefit of the reference model, a patient, 95 % intervals",
        (
            Column("threshold", "Threshold"),
            Column("net_benefit", "Net benefit"),
            Column("standardized", "Of the best there is"),
            Column("everyone", "Acting on everyone"),
            Column("difference", "Minus the better of all and no one"),
        ),
        tuple(
            (
                number(row["threshold"], 3),
                estimate(Estimate(row["net_benefit"], row["lower"], row["upper"]), 3),
                number(row["standardized_net_benefit"], 2),
                number(row["net_benefit_of_all"], 3),
                estimate(
                    Estimate(row["difference"], row["difference_lower"], row["difference_upper"]),
                    3,
                    signed=True,
                ),
            )
            for row in rows.iter_rows(named=True)
        ),
        note="Thresholds that would tell a small count are left out.",
    )


SECTION = CellSection(20, net_benefit)
