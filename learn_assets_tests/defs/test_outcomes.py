"""Time to event, severe outcomes and genetics as assets of a cell."""

from __future__ import annotations

import polars as pl

from learn_assets.validation.contracts import check_table
from learn_assets_tests.defs.made import ENCODER, MadeStudy, materialized

TABLES = (
    "time_to_event_scores",
    "time_to_event_performance",
    "nephritis_evaluation",
    "severe_outcome_evaluation",
    "genetic_stratification",
)


def read(made: MadeStudy, table: str) -> pl.DataFrame:
    return made.lake.read(table, made.study.windows[0], ENCODER)


def test_every_table_holds_its_contract(made: MadeStudy) -> None:
    for table in TABLES:
        assert check_table(read(made, table), table).failures == (), table


def test_everyone_eligible_has_one_risk_a_model_and_the_fold_of_the_classifiers(
    made: MadeStudy,
) -> None:
    scores = read(made, "time_to_event_scores")
    cohort = made.lake.read("cohort", made.study.windows[0])
    assert cohort["label"].null_count() > 0
    for _, group in scores.group_by("feature_set", "learner"):
        assert group["patient_id"].sort().to_list() == cohort["patient_id"].sort().to_list()
    classifiers = read(made, "cross_validation").select("patient_id", "fold").unique()
    both = scores.join(classifiers, on="patient_id", suffix="_classifier")
    assert both.filter(pl.col("fold") != pl.col("fold_classifier")).is_empty()


def test_outcomes_go_to_the_asset_that_is_named_after_them(made: MadeStudy) -> None:
    nephritis = read(made, "nephritis_evaluation")
    others = read(made, "severe_outcome_evaluation")
    assert nephritis["outcome"].unique().to_list() == ["lupus_nephritis"]
    assert others["outcome"].unique().to_list() == ["cytopenia"]
    # Out-of-fold scores of classifiers and of survival learners, and no others.
    models = {*read(made, "cross_validation").select("feature_set", "learner").iter_rows()}
    models |= {*read(made, "time_to_event_scores").select("feature_set", "learner").iter_rows()}
    assert {*others.select("feature_set", "learner").iter_rows()} == models


def test_a_small_count_is_in_no_table(made: MadeStudy) -> None:
    minimum = made.study.privacy.minimum_cell
    counts = ("patients", "prevalent", "events", "deaths", "cases")
    for table in TABLES[1:]:
        told = read(made, table).filter(pl.col("metric").is_in(counts)).drop_nulls("estimate")
        assert told.filter(pl.col("estimate").is_between(1, minimum - 1)).is_empty(), table


def test_without_a_genetic_score_the_asset_says_why_it_is_empty(copied: MadeStudy) -> None:
    score = copied.lake.read("genetic_score")
    assert not score.is_empty()
    copied.lake.write("genetic_score", score.clear())
    result = copied.run_job("risk_models", "genetic_stratification", window=0)
    assert materialized(result) == {"genetic_stratification"}
    assert read(copied, "genetic_stratification").is_empty()
    key = copied.cell_key(0)
    assert "no genetic score" in copied.latest("genetic_stratification", key)["empty_because"]
