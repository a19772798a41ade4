"""New sites in the report: what is drawn and told of each, and why nothing is when nothing is."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import polars as pl
import pytest

from learn_assets.analyses.site_holdout.figure import site_forest
from learn_assets.analyses.site_holdout.section import sites
from learn_assets.analyses.site_holdout.words import sites_table
from learn_assets.evaluation.comparison import ModelName
from learn_assets.lake import Lake
from learn_assets.reporting.context import CellContext
from learn_assets.reporting.document import Figure, Paragraph, Section, Table
from learn_assets.reporting.setup import limits, question
from learn_assets.schemas.registry import empty_frame
from learn_assets.study import Study
from learn_assets_tests.reporting.made_up import care_sites

LEARN = ModelName("learn", "elastic_net")


@pytest.fixture
def frame() -> pl.DataFrame:
    models = pl.DataFrame({"feature_set": ["age_sex", "learn"], "learner": "elastic_net"})
    return care_sites(models)


def section_of(study: Study, lake: Lake) -> Section:
    return sites(CellContext(study, lake, study.windows[0], study.encoders[0]))


def texts(section: Section) -> list[str]:
    return [block.text for block in section.blocks if isinstance(block, Paragraph)]


def filled(study: Study, lake: Lake, frame: pl.DataFrame, stated: int = 0) -> Lake:
    """Write the table of the first cell, and a cohort of which so many state a care site."""
    window = study.windows[0]
    lake.write("site_holdout", frame, window=window, encoder=study.encoders[0].id)
    ids = [f"P{number}" for number in range(60)]
    cohort = pl.DataFrame({"patient_id": ids, "label": [0, 1] * 30})
    lake.write("cohort", cohort, window=window)
    named = pl.DataFrame({"patient_id": ids[:stated], "care_site": ["one"] * stated})
    lake.write("care_site", named.cast(pl.String))
    return lake


def test_a_forest_has_every_site_by_name_and_both_intervals_over_all(frame: pl.DataFrame) -> None:
    figure = site_forest(frame, LEARN, "sites")
    assert figure is not None
    text = "".join(ElementTree.fromstring(figure.svg).itertext())
    for name in ("east", "north <1>", "south & $2$", "west", "All sites", "A further site"):
        assert name in text
    assert text.count("0.70 [0.62, 0.78]") >= 5
    assert "0.50 to 0.90" in text
    assert "<image" not in figure.svg
    assert site_forest(frame, ModelName("count", "svm"), "sites") is None
    two = frame.with_columns(pl.lit(None, pl.Float64).alias("prediction_lower"))
    without = site_forest(two, LEARN, "sites")
    assert without is not None
    assert "further" not in without.svg
    assert "| learn | elastic_net | south & $2$ | 180 | 30 | 0.700" in sites_table(frame)


def test_the_section_shows_sites_and_summary_and_hides_what_is_withheld(
    report_study: Study, lake: Lake, frame: pl.DataFrame
) -> None:
    shown = section_of(report_study, filled(report_study, lake, frame))
    assert texts(shown) == [
        "Leave-one-site-out: for each of 4 care sites, models learned from the patients of all "
        "others alone and judge those of the site. 2 further with too few cases or controls to "
        "judge: learned from only."
    ]
    (figure,) = [block for block in shown.blocks if isinstance(block, Figure)]
    assert figure.key == "site_holdout-learn"
    over_all, by_site = (block for block in shown.blocks if isinstance(block, Table))
    assert by_site.folded
    rows = {(row[0].text, row[2].text): row for row in by_site.rows}
    assert len(rows) == 8
    assert [value.text for value in rows["Age and sex", "east"][3:7]] == [
        "180",
        "30",
        "0.700 [0.620, 0.780]",
        "0.740 [0.660, 0.820]",
    ]
    assert rows["Age and sex", "east"][7].text == "-0.030 [-0.110, +0.050]"
    assert [value.text for value in rows["Age and sex", "west"][3:5]] == ["-", "-"]
    assert [value.text for value in over_all.rows[0][-2:]] == ["0.500 to 0.900", "0.12"]
    assert "31 labeled patients of sites that are too small" in over_all.note


def test_an_empty_table_says_why(report_study: Study, lake: Lake) -> None:
    assert "has not been materialized" in texts(section_of(report_study, lake))[0]
    empty = empty_frame("site_holdout")
    nobody = filled(report_study, lake, empty)
    assert "the source states no care sites" in texts(section_of(report_study, nobody))[0]
    one = filled(report_study, lake, empty, stated=60)
    assert "fewer than two care sites" in texts(section_of(report_study, one))[0]
    data = report_study.model_dump(by_alias=True) | {"sensitivity": {"analyses": ["temporal"]}}
    unasked = section_of(Study.model_validate(data), one)
    assert "does not ask for it" in texts(unasked)[0]


def test_question_and_limits_speak_of_a_network_only_where_there_is_one(
    report_study: Study,
) -> None:
    data: dict[str, Any] = report_study.model_dump(by_alias=True)
    network = Study.model_validate(data | {"source": data["source"] | {"care_sites": 3}})
    assert "leaving each care site out" in question(network)
    assert "leaving each care site out" not in question(report_study)
    assert any("this network" in limit for limit in limits(network))
    assert not any("this network" in limit for limit in limits(report_study))
