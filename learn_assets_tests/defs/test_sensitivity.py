"""Sensitivity analyses and leaderboards as assets: a stage of its own that trains nothing again."""

from __future__ import annotations

import polars as pl

from learn_assets.schemas import registry
from learn_assets.validation.contracts import check_table
from learn_assets_tests.defs.made import ENCODER, MadeStudy, statuses, tiny_study

BOARDS = ("window_leaderboard", "encoder_leaderboard")


def read(made: MadeStudy, table: str, window: int = 0) -> pl.DataFrame:
    return made.lake.read(table, made.study.windows[window], ENCODER)


def test_every_table_holds_its_contract_and_is_not_empty(made: MadeStudy) -> None:
    for table in registry.made_in(registry.SENSITIVITY):
        frame = read(made, table)
        assert check_table(frame, table).failures == (), table
        # Its care sites have a few cases only.
        assert frame.is_empty() == (table == "site_holdout"), table
    for table in BOARDS:
        assert check_table(made.lake.read(table), table).failures == (), table


def test_the_end_of_the_curve_and_the_first_repeat_are_the_studys_own_result(
    made: MadeStudy,
) -> None:
    own = read(made, "performance").filter(pl.col("metric") == "auroc")
    models = ["feature_set", "learner"]
    curve = read(made, "learning_curve").filter(pl.col("draws") == 1)
    ends = curve.sort("training_patients").group_by(models, maintain_order=True).last()
    repeats = read(made, "repeated_cross_validation").filter(pl.col("repeat") == 1)
    for table in (ends, repeats):
        both = own.join(table, on=models)
        assert both.height == own.height
        assert (both["estimate"] - both["auroc"]).abs().max() < 1e-9


def test_a_patient_has_the_same_part_in_every_cell(made: MadeStudy) -> None:
    first, second = (read(made, "nested_selection", number) for number in range(2))
    both = first.join(second, on="patient_id", suffix="_other")
    assert not both.is_empty()
    assert both.filter(pl.col("part") != pl.col("part_other")).is_empty()


def test_windows_are_chosen_by_patients_who_do_not_judge_and_encoders_need_two(
    made: MadeStudy,
) -> None:
    windows = made.lake.read("window_leaderboard")
    chosen = windows.filter(pl.col("basis") == "chosen")
    assert chosen.select("window", "encoder").rows() == [(None, ENCODER)]
    cells = windows.filter(pl.col("basis") == "cell")
    assert cells["window"].unique(maintain_order=True).to_list() == [
        window.key for window in made.study.windows
    ]
    assert cells["times_chosen"].drop_nulls().sum() == 5
    encoders = made.lake.read("encoder_leaderboard")
    assert encoders["basis"].unique().to_list() == ["cell"]
    assert "data:image/svg+xml" in made.latest("window_leaderboard")["heat_map"]


def test_no_count_is_small(made: MadeStudy) -> None:
    minimum = made.study.privacy.minimum_cell
    counts = ("n", "cases", "training_n")
    for table in ("temporal_validation", "imbalance_sensitivity"):
        frame = read(made, table).filter(
            pl.col("metric").is_in(counts) | pl.col("metric").str.starts_with("left_out")
        )
        assert frame.filter(pl.col("estimate").is_between(1, minimum - 1)).is_empty(), table
    for table in BOARDS:
        for column in ("patients", "cases"):
            shown = made.lake.read(table)[column].drop_nulls()
            assert shown.is_between(1, minimum - 1).sum() == 0


def test_care_sites_that_are_too_small_are_said_to_be_and_larger_ones_are_judged(
    made: MadeStudy, copied: MadeStudy
) -> None:
    why = made.latest("site_holdout", made.cell_key(0))["empty_because"]
    assert "fewer than two care sites have 11" in why
    models = {"learners": ["elastic_net"], "folds": 2}
    other = MadeStudy(tiny_study(models=models, privacy={"minimum_cell": 3}), copied.home)
    labeled = other.lake.read("cohort", other.study.windows[0]).drop_nulls("label")
    dealt = labeled.sort("label", "patient_id").with_row_index("source_row", 1)
    site = pl.format("site_{}", pl.col("source_row") % 2 + 1)
    columns = ("patient_id", site.alias("care_site"), pl.col("source_row").cast(pl.Int64))
    other.lake.write("care_site", dealt.select(columns))
    assert other.run_job("sensitivity", "site_holdout", window=0).success
    frame = read(other, "site_holdout")
    assert check_table(frame, "site_holdout").failures == ()
    assert frame["care_site"].drop_nulls().unique().sort().to_list() == ["site_1", "site_2"]
    told = other.latest("site_holdout", other.cell_key(0))
    assert "site_1" in told["sites"]
    assert "data:image/svg+xml" in told["forest"]
    # A study that states no care sites says so.
    other.lake.write("care_site", other.lake.read("care_site").clear())
    assert other.run_job("sensitivity", "site_holdout", window=0).success
    assert read(other, "site_holdout").is_empty()
    empty = other.latest("site_holdout", other.cell_key(0))
    assert empty["empty_because"] == "the source states no care sites"


def test_a_cell_of_an_older_run_is_not_chosen_from_and_stops_nobody(copied: MadeStudy) -> None:
    """A failed cell keeps its tables; those of another seed deal the patients otherwise."""
    models = {"learners": ["elastic_net"], "folds": 2, "seed": 9}
    other = MadeStudy(tiny_study(models=models), copied.home)
    assert other.run_job("results", *BOARDS).success
    board = other.lake.read("window_leaderboard")
    assert board["basis"].unique().to_list() == ["cell"]
    assert other.latest("window_leaderboard")["cells_to_make_again_before_choosing"] == 2


def test_more_repeats_and_other_questions_train_nothing_again(copied: MadeStudy) -> None:
    models = {"learners": ["elastic_net"], "folds": 2, "repeats": 2}
    asked = {"analyses": ["temporal"]}
    other = MadeStudy(tiny_study(models=models, sensitivity=asked), copied.home)
    outcomes = statuses(other.materialize())
    made = {label for label, status in outcomes.items() if status == "made"}
    assert made == {*(other.sensitivity_label(number) for number in range(2)), "results"}
    repeats = read(other, "repeated_cross_validation")
    assert repeats["repeat"].drop_nulls().unique().sort().to_list() == [1, 2]
    assert repeats.filter(pl.col("repeat").is_null())["standard_deviation"].null_count() == 0
    for table in ("imbalance_sensitivity", "learning_curve", "nested_selection", "site_holdout"):
        assert read(other, table).is_empty()
        assert "sensitivity.analyses" in other.latest(table, other.cell_key(0))["empty_because"]
    boards = other.lake.read("window_leaderboard")
    assert boards["basis"].unique().to_list() == ["cell"]
    assert set(statuses(other.materialize()).values()) == {"current"}
