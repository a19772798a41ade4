"""Net benefit, subgroups and explanations as assets of a cell."""

from __future__ import annotations

import polars as pl

from learn_assets.validation.contracts import check_table
from learn_assets_tests.defs.made import (
    ENCODER,
    MadeStudy,
    found_in,
    materialized,
    patient_ids,
)

TABLES = ("net_benefit", "subgroup_performance", "explanations")


def read(made: MadeStudy, table: str, window: int = 0) -> pl.DataFrame:
    return made.lake.read(table, made.study.windows[window], ENCODER)


def test_every_table_holds_its_contract(made: MadeStudy) -> None:
    for table in TABLES:
        path = made.lake.path(table, made.study.windows[0], ENCODER)
        assert check_table(path, table).passed


def test_what_has_no_number_has_a_reason(made: MadeStudy) -> None:
    for table in TABLES:
        column = "net_benefit" if table == "net_benefit" else "estimate"
        frame = read(made, table)
        assert frame.height
        absent = frame.filter(pl.col(column).is_null())
        assert absent["reason"].null_count() == 0
        assert frame.filter(pl.col(column).is_not_null())["reason"].count() == 0


def test_subgroups_are_of_one_learner_and_every_feature_set(made: MadeStudy) -> None:
    found = read(made, "subgroup_performance")
    judged = read(made, "cross_validation")
    assert set(found["feature_set"]) == set(judged["feature_set"])
    assert set(found["learner"]) == {made.study.models.learners[0]}


def test_models_are_explained_by_features_blocks_and_past_records(made: MadeStudy) -> None:
    # The other window has too few patients for a model to keep their texts.
    found = read(made, "explanations", 1)
    told = set(found.select("method", "feature_set").iter_rows())
    assert {("shap", "count"), ("permutation", "learn"), ("occlusion", "embedding")} <= told
    counted = made.lake.read("event_counts", made.study.windows[1])["feature"]
    named = found.filter(method="shap", kind="diagnosis")
    assert named["subject"].is_in(counted.unique().implode()).all()
    assert named["words"].null_count() < named.height or named.is_empty()
    patients = patient_ids(made.lake)
    assert found_in([found.write_csv()], patients) == 0


def test_they_are_made_by_the_job_of_the_cell(copied: MadeStudy) -> None:
    result = copied.run_job("risk_models", *TABLES, window=0)
    assert result.success
    assert materialized(result) == set(TABLES)
