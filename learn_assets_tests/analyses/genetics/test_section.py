"""The section about genetics: what is drawn is what the table tells, and nothing that is masked."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import polars as pl
import pytest

from learn_assets.analyses.genetics.figure import genetic_strata
from learn_assets.analyses.genetics.section import genetics
from learn_assets.lake import Lake
from learn_assets.reporting.context import CellContext
from learn_assets.reporting.document import Figure, Table
from learn_assets.schemas.registry import empty_frame
from learn_assets.study import Study

RISKS = {
    (low_or_high, genetic): 0.05 * low_or_high + 0.02 * genetic
    for low_or_high in (1, 2, 3)
    for genetic in (1, 2, 3)
}
MASKED = (1, 1), (1, 2)


@pytest.fixture
def cell(report_study: Study, lake: Lake) -> CellContext:
    return CellContext(report_study, lake, report_study.windows[0], report_study.encoders[0])


def row(feature_set: str, metric: str, estimate: float | None, **place: int) -> dict[str, object]:
    spread = 0.02 if metric in {"risk", "auroc_gain"} and estimate is not None else None
    return {
        "feature_set": feature_set,
        "learner": "elastic_net",
        "metric": metric,
        "score_group": place.get("score_group"),
        "genetic_group": place.get("genetic_group"),
        "estimate": estimate,
        "lower": None if spread is None or estimate is None else estimate - spread,
        "upper": None if spread is None or estimate is None else estimate + spread,
        "reason": None if estimate is not None else "fewer than 11 cases or controls in a cell",
    }


def stratification() -> pl.DataFrame:
    rows = [
        row(name, metric, value)
        for name, gain in (("count", 0.012), ("learn", -0.004))
        for metric, value in (
            ("patients", 400.0),
            ("cases", 80.0),
            ("auroc_gain", gain),
            ("interaction_p", 0.0004),
        )
    ]
    rows += [
        row("learn", "risk", None if place in MASKED else risk,
            score_group=place[0], genetic_group=place[1])
        for place, risk in RISKS.items()
    ]  # fmt: skip
    return pl.DataFrame(rows, schema=empty_frame("genetic_stratification").schema)


def figures(cell: CellContext) -> dict[str, Figure]:
    cell.lake.write(
        "genetic_stratification", stratification(), window=cell.window, encoder=cell.encoder.id
    )
    return {block.key: block for block in genetics(cell).blocks if isinstance(block, Figure)}


def test_strata_are_drawn_as_the_table_has_them(cell: CellContext) -> None:
    figure = figures(cell)["genetic_risk"]
    drawn = {
        (int(score or 0), genetic): risk
        for genetic, series in enumerate(figure.series, start=1)
        for columns in [dict(series.columns)]
        for score, risk in zip(columns["score_group"], columns["risk"], strict=True)
    }
    assert drawn == pytest.approx(
        {place: risk for place, risk in RISKS.items() if place not in MASKED}
    )
    (table,) = [b for b in genetics(cell).blocks if b.key == "genetic_strata"]
    assert isinstance(table, Table)
    shown = [[value.number for value in line[1:]] for line in table.rows]
    assert shown[0][:2] == [None, None]
    assert shown[2][2] == pytest.approx(RISKS[3, 3])
    assert shown[0][2] == pytest.approx(drawn[1, 3])


def test_what_is_masked_is_withheld_by_name(cell: CellContext) -> None:
    figure = figures(cell)["genetic_risk"]
    texts = [
        "".join(part.itertext()).strip()
        for part in ElementTree.fromstring(figure.svg.document()).iter()
        if part.tag.endswith("text")
    ]
    assert texts.count("withheld") == len(MASKED)
    assert "fewer than 11" in figure.caption
    assert "p <0.001" in figure.caption
    assert "Dashed: all patients" in figure.caption


def test_gains_of_every_feature_set_are_drawn(cell: CellContext) -> None:
    figure = figures(cell)["genetic_auroc"]
    assert {series.name: dict(series.columns)["value"] for series in figure.series} == {
        "Counts": (0.012,),
        "LEARN (counts + embeddings)": (-0.004,),
    }
    assert re.search(r"Counts: \+0\.012 \[-0\.008, \+0\.032\]", figure.svg.alternative)


def test_figures_are_left_out_where_nothing_may_be_drawn(cell: CellContext) -> None:
    assert genetic_strata([], ("Lowest", "Middle", "Highest"), 0.2, "none") is None
    assert {block.key for block in genetics(cell).blocks if isinstance(block, Figure)} == set()
