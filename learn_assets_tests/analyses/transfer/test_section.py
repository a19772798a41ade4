"""The section about other sites' models: every way of use, and how the sites differ."""

from __future__ import annotations

import polars as pl
import pytest

from learn_assets.analyses.transfer.section import transfer
from learn_assets.lake import Lake
from learn_assets.reporting.context import CellContext
from learn_assets.reporting.document import Block, Figure, Paragraph, Table, topics
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


def validation(model: str = "other_site") -> pl.DataFrame:
    """Return three ways of use by metric, and a model of this site that the other lacks."""
    modes = pl.DataFrame({"mode": ["refitted", "own", "as_is"], "shift": [0.0, 0.01, -0.05]})
    metrics = pl.DataFrame(
        {
            "metric": ["auroc", "auroc_minus_own", "calibration_slope", "n", "cases"],
            "base": [0.8, 0.0, 0.7, 400.0, 80.0],
        }
    )
    rows = modes.join(metrics, how="cross").select(
        pl.lit(model).alias("model"),
        "mode",
        pl.lit("learn").alias("feature_set"),
        pl.lit("elastic_net").alias("learner"),
        "metric",
        pl.lit(None, dtype=pl.Int32).alias("bin"),
        (pl.col("base") + pl.col("shift")).alias("estimate"),
        (pl.col("base") + pl.col("shift") - 0.04).alias("lower"),
        (pl.col("base") + pl.col("shift") + 0.04).alias("upper"),
        pl.lit(None, dtype=pl.String).alias("not_external"),
    )
    here_only = rows.filter(mode="own").with_columns(learner=pl.lit("mlp"))
    bins = pl.DataFrame({"bin": [1, 2], "predicted_risk": [0.1, 0.3], "observed_share": [0.2, 0.4]})
    points = bins.unpivot(index="bin", variable_name="metric", value_name="estimate").select(
        pl.lit(model).alias("model"),
        pl.lit("as_is").alias("mode"),
        pl.lit("learn").alias("feature_set"),
        pl.lit("elastic_net").alias("learner"),
        "metric",
        pl.col("bin").cast(pl.Int32),
        "estimate",
        (pl.col("estimate") - 0.05).alias("lower"),
        (pl.col("estimate") + 0.05).alias("upper"),
        pl.lit(None, dtype=pl.String).alias("not_external"),
    )
    return pl.concat([rows, here_only, points])


def differences() -> pl.DataFrame:
    return pl.DataFrame(
        {
            "model": "other_site",
            "aspect": ["features_found", "features_not_in_model", "case_mix", "count_feature"],
            "name": [
                "diagnosis ICD-10-CM",
                "medication RxNorm",
                "age_at_index",
                "diagnosis|ICD-10-CM|R768",
            ],
            "source": [120.0, 0.0, 45.27, 0.1],
            "here": [100.0, 7.0, 46.04, 0.4],
            "standardized_difference": [None, None, 0.084, -0.5],
        }
    )


def block(cell: CellContext, key: str) -> Block:
    (found,) = [block for block in transfer(cell).blocks if block.key == key]
    return found


def texts(table: Block) -> list[list[str]]:
    assert isinstance(table, Table)
    return [[value.text for value in row] for row in table.rows]


def test_each_way_of_use_is_a_row_in_the_order_of_adaptation(cell: CellContext) -> None:
    write(cell, "external_validation", validation())
    table = block(cell, "external_validation")
    # The own model that the other site has no twin of is no model of another site.
    assert [row[1:4] for row in texts(table)] == [
        ["this site's own", "0.810 [0.770, 0.850]", "+0.010 [-0.030, +0.050]"],
        ["as it is", "0.750 [0.710, 0.790]", "-0.050 [-0.090, -0.010]"],
        ["refitted here", "0.800 [0.760, 0.840]", "+0.000 [-0.040, +0.040]"],
    ]


def test_what_the_model_does_as_it_is_is_said_in_words(cell: CellContext) -> None:
    write(cell, "external_validation", validation())
    told = transfer(cell).blocks[0]
    assert isinstance(told, Paragraph)
    assert "AUROC 0.750 [0.710, 0.790] (-0.050 [-0.090, -0.010] against" in told.text
    # The slope's interval, 0.61 to 0.69, lies below 1.
    assert "calibration slope 0.65 [0.61, 0.69] (predictions too extreme)" in told.text


def test_a_model_that_learned_here_is_labelled_wherever_it_is_shown(cell: CellContext) -> None:
    known = validation().with_columns(not_external=pl.lit("it was trained on this extract"))
    write(cell, "external_validation", pl.concat([validation("second_site"), known]))
    section = transfer(cell)
    (warning,) = [block for block in section.blocks if block.key == "not_external-2"]
    assert isinstance(warning, Paragraph)
    assert warning.tone == "warning"
    assert "it was trained on this extract" in warning.text
    shown = [block for block in section.blocks if isinstance(block, Table | Figure)]
    captions = [block.caption for block in shown if "other_site" in block.caption]
    assert captions
    assert all("other_site (not external)" in caption for caption in captions)
    assert not any(
        "not external" in block.caption for block in shown if "second_site" in block.caption
    )
    told = [block.text for block in section.blocks if isinstance(block, Paragraph)]
    assert sum("none of whom it was trained on" in text for text in told) == 1


def test_a_fit_to_training_patients_reports_no_item_on_external_validation(
    cell: CellContext,
) -> None:
    for reason, reported in ((None, True), ("it was trained on this extract", False)):
        frame = validation().with_columns(not_external=pl.lit(reason, dtype=pl.String))
        write(cell, "external_validation", frame)
        assert ("external_validation" in topics((transfer(cell),))) == reported


def test_ranking_and_calibration_are_drawn_as_the_table_has_them(cell: CellContext) -> None:
    write(cell, "external_validation", validation())
    ranking, curve = block(cell, "transfer_auroc"), block(cell, "transfer_calibration")
    assert isinstance(ranking, Figure)
    assert isinstance(curve, Figure)
    drawn = {series.name.split(", ")[1]: dict(series.columns) for series in ranking.series}
    assert drawn["as it is"] == {"value": (0.75,), "lower": (0.71,), "upper": (0.79,)}
    assert set(drawn) == {"this site's own", "as it is", "refitted here"}
    (series,) = curve.series
    assert dict(series.columns) == {
        "predicted": (0.1, 0.3),
        "observed": (0.2, 0.4),
        "lower": (0.15, 0.35),
        "upper": (0.25, 0.45),
    }


def test_differences_of_the_sites_are_drawn_and_told(cell: CellContext) -> None:
    write(cell, "external_validation", validation())
    write(cell, "site_differences", differences())
    descriptions = empty_frame("terminology").schema
    known = {"code_system": "ICD-10-CM", "code": "R76.8", "description": "Abnormal finding"}
    row = {name: known.get(name) for name in descriptions}
    cell.lake.write("terminology", pl.DataFrame([row], schema=descriptions))
    plot = block(cell, "site_balance")
    assert isinstance(plot, Figure)
    assert {series.name: dict(series.columns)["standardized"] for series in plot.series} == {
        "Age at index, years": (0.08,),
        "Abnormal finding": (-0.5,),
    }
    # 0.08 lies within 0.1; a count is not counted.
    assert "0 of 1 variables" in plot.caption
    assert texts(block(cell, "features_lacking")) == [
        ["Diagnosis ICD-10-CM", "120", "20", "16.7 %", "0"],
        ["Medication RxNorm", "0", "0", "-", "7"],
    ]
    assert [row[1:] for row in texts(block(cell, "site_differences"))] == [
        ["Age at index, years", "45.27", "46.04", "+0.08"],
        ["Abnormal finding (ICD-10-CM R768)", "0.10", "0.40", "-0.50"],
    ]


def test_two_models_have_blocks_of_their_own(cell: CellContext) -> None:
    both = pl.concat([validation(), validation("second_site")])
    write(cell, "external_validation", both)
    keys = [block.key for block in transfer(cell).blocks if block.key]
    assert len(keys) == len(set(keys))
    assert {"external_validation", "external_validation-2"} <= set(keys)


def test_a_cell_that_no_foreign_model_fits_says_so(cell: CellContext) -> None:
    (before,) = transfer(cell).blocks
    assert isinstance(before, Paragraph)
    assert "has not been materialized" in before.text
    write(cell, "external_validation", validation().clear())
    (found,) = transfer(cell).blocks
    assert isinstance(found, Paragraph)
    assert found.tone == "absent"
    assert "no model of another site fits" in found.text
