"""The section about other sites' models: every way of use, and how the sites differ."""

from __future__ import annotations

import polars as pl
import pytest

from learn_assets.lake import Lake
from learn_assets.reporting.context import CellContext
from learn_assets.reporting.document import Paragraph, Table
from learn_assets.reporting.sections.transfer import transfer
from learn_assets.schemas.registry import empty_frame
from learn_assets.study import Study


@pytest.fixture
def cell(report_study: Study, lake: Lake) -> CellContext:
    data = report_study.model_dump(by_alias=True)
    data["external_models"] = [{"name": "other_site", "path": "bundle"}]
    study = Study.model_validate(data)
    return CellContext(study, lake, study.windows[0], study.encoders[0])


def write(cell: CellContext, table: str, frame: pl.DataFrame) -> None:
    shaped = pl.concat([empty_frame(table), frame.select(empty_frame(table).columns)])
    cell.lake.write(table, shaped, window=cell.window, encoder=cell.encoder.id)


def validation() -> pl.DataFrame:
    modes = pl.DataFrame({"mode": ["refitted", "own", "as_is"], "shift": [0.0, 0.01, -0.05]})
    metrics = pl.DataFrame({"metric": ["auroc", "auroc_minus_own"], "base": [0.8, 0.0]})
    return modes.join(metrics, how="cross").select(
        pl.lit("other_site").alias("model"),
        "mode",
        pl.lit("learn").alias("feature_set"),
        pl.lit("elastic_net").alias("learner"),
        "metric",
        (pl.col("base") + pl.col("shift")).alias("estimate"),
        (pl.col("base") + pl.col("shift") - 0.04).alias("lower"),
        (pl.col("base") + pl.col("shift") + 0.04).alias("upper"),
    )


def test_each_way_of_use_is_a_row_in_the_order_of_adaptation(cell: CellContext) -> None:
    write(cell, "external_validation", validation())
    (table,) = transfer(cell).blocks
    assert isinstance(table, Table)
    place = {column.key: number for number, column in enumerate(table.columns)}
    shown = [(row[place["mode"]].text, row[place["auroc"]].text) for row in table.rows]
    assert shown == [
        ("this site's own", "0.810 [0.770, 0.850]"),
        ("as it is", "0.750 [0.710, 0.790]"),
        ("refitted here", "0.800 [0.760, 0.840]"),
    ]
    assert table.rows[1][place["auroc_minus_own"]].text == "-0.050 [-0.090, -0.010]"


def test_differences_of_the_sites_follow(cell: CellContext) -> None:
    write(cell, "external_validation", validation())
    differences = pl.DataFrame(
        {
            "model": "other_site",
            "aspect": ["features_found", "case_mix"],
            "name": ["diagnosis|ICD-10-CM", "age_at_index"],
            "source": [120.0, 45.27],
            "here": [100.0, 51.04],
            "standardized_difference": [None, 0.384],
        }
    )
    write(cell, "site_differences", differences)
    table = transfer(cell).blocks[1]
    assert isinstance(table, Table)
    texts = [[value.text for value in row[2:]] for row in table.rows]
    assert texts == [
        ["diagnosis ICD-10-CM", "120", "100", "-"],
        ["age_at_index", "45.27", "51.04", "+0.38"],
    ]


def test_a_cell_that_no_foreign_model_fits_says_so(cell: CellContext) -> None:
    (before,) = transfer(cell).blocks
    assert isinstance(before, Paragraph)
    assert "has not been materialized" in before.text
    write(cell, "external_validation", validation().clear())
    (block,) = transfer(cell).blocks
    assert isinstance(block, Paragraph)
    assert block.tone == "absent"
    assert "no model of another site fits" in block.text
