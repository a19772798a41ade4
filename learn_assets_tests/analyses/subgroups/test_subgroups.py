"""Subgroups: the numbers of each group alone, what is withheld, and differences between groups."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from scipy.special import expit

from learn_assets.analyses.subgroups.computation import SubgroupOptions, subgroup_performance
from learn_assets.evaluation.patient_groups import subgroup_attributes
from learn_assets.schemas.registry import empty_frame
from learn_assets.statistics.calibration import calibration_intercept, calibration_slope
from learn_assets.statistics.discrimination import auroc
from learn_assets.statistics.shares import newcombe, wilson

OPTIONS = SubgroupOptions(specificity=0.8, minimum_cell=11)


def site(
    patients: int = 1200, seed: int = 0, effect: float = 1.2, few: int = 0
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return predictions and attributes; the first `few` patients are of a race of their own."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(-1, effect, patients) if effect else np.full(patients, -1.0)
    labels = (generator.random(patients) < expit(logits)).astype(np.int8)
    noise = generator.normal(0, 0.01, patients)
    ids = [f"P{number:05d}" for number in range(patients)]
    judged = pl.DataFrame(
        {
            "patient_id": ids,
            "fold": (np.arange(patients) % 3).astype(np.int32),
            "feature_set": "learn",
            "learner": "svm",
            "probability": expit(logits + noise),
            "label": labels,
        }
    )
    race = np.where(generator.random(patients) < 0.4, "A", "B").astype(object)
    race[:few] = "C"
    attributes = pl.DataFrame(
        {
            "patient_id": ids,
            "sex": np.where(generator.random(patients) < 0.7, "female", "male"),
            "age_band": np.where(generator.random(patients) < 0.5, "under 50", "50 and over"),
            "race": race.tolist(),
        }
    )
    return judged, attributes


def value(frame: pl.DataFrame, attribute: str, group: str, metric: str) -> dict[str, object]:
    found = frame.filter(attribute=attribute, group=group, metric=metric)
    assert found.height == 1
    return found.row(0, named=True)


def test_numbers_are_those_of_the_group_alone() -> None:
    judged, attributes = site()
    frame = subgroup_performance(judged, attributes, OPTIONS)
    assert frame.schema == empty_frame("subgroup_performance").schema
    men = judged.join(attributes.filter(sex="male"), on="patient_id", how="semi")
    risk, labels = men["probability"].to_numpy(), men["label"].to_numpy()
    expected = {
        "auroc": auroc(risk, labels, folds=men["fold"].to_numpy()),
        "calibration_intercept": calibration_intercept(risk, labels),
        "calibration_slope": calibration_slope(risk, labels),
    }
    for metric, interval in expected.items():
        found = value(frame, "sex", "male", metric)
        limits = found["estimate"], found["lower"], found["upper"]
        assert limits == pytest.approx((interval.estimate, interval.lower, interval.upper))
    assert value(frame, "sex", "male", "patients")["estimate"] == men.height
    assert value(frame, "sex", "male", "cases")["estimate"] == labels.sum()


def test_sensitivity_counts_patients_above_the_threshold_of_everyone_in_the_fold() -> None:
    judged, attributes = site()
    frame = subgroup_performance(judged, attributes, OPTIONS)
    joined = judged.join(attributes, on="patient_id")
    flagged, cases, kept, controls = 0, 0, 0, 0
    for fold in range(3):
        rows = joined.filter(fold=fold)
        everyone = np.sort(rows.filter(label=0)["probability"].to_numpy())
        threshold = everyone[int(np.ceil(0.8 * len(everyone))) - 1]
        for row in rows.filter(sex="male").iter_rows(named=True):
            above = row["probability"] > threshold
            cases += row["label"]
            controls += 1 - row["label"]
            flagged += row["label"] and above
            kept += (not row["label"]) and not above
    assert value(frame, "sex", "male", "sensitivity")["estimate"] == flagged / cases
    assert value(frame, "sex", "male", "specificity")["estimate"] == kept / controls


def test_wilson_is_that_of_statsmodels() -> None:
    from statsmodels.stats.proportion import proportion_confint

    for successes, trials in ((0, 20), (7, 31), (40, 40)):
        found = wilson(successes, trials)
        expected = proportion_confint(successes, trials, method="wilson")
        assert (found.lower, found.upper) == pytest.approx(expected, abs=1e-12)


def test_differences_of_shares_are_those_of_statsmodels() -> None:
    from statsmodels.stats.proportion import confint_proportions_2indep

    found = newcombe(wilson(9, 40), wilson(30, 55))
    expected = confint_proportions_2indep(9, 40, 30, 55, method="newcomb", compare="diff")
    assert (found.lower, found.upper) == pytest.approx(expected, abs=1e-12)


def test_a_planted_group_of_five_shows_nothing_and_cannot_be_had_by_subtraction() -> None:
    judged, attributes = site(few=5)
    frame = subgroup_performance(judged, attributes, OPTIONS).filter(attribute="race")
    small = frame.filter(group="C")
    assert small["estimate"].null_count() == small.height
    assert small["reason"].null_count() == 0
    for metric in ("patients", "cases"):
        shown = frame.filter(metric=metric).drop_nulls("estimate")
        total = judged.height if metric == "patients" else int(judged["label"].sum())
        # Only one more group is withheld, the smaller one, and what is left hides the five.
        assert shown.height == 1
        assert total - shown["estimate"].sum() >= 11


@pytest.mark.parametrize("seed", range(12))
def test_whatever_is_withheld_is_no_small_remainder(seed: int) -> None:
    generator = np.random.default_rng(seed)
    judged, attributes = site(patients=150, seed=seed)
    share = generator.dirichlet(np.ones(6) * 0.6)
    race = generator.choice([*"ABCDEF"], p=share, size=150)
    attributes = attributes.with_columns(pl.Series("race", race))
    frame = subgroup_performance(judged, attributes, OPTIONS)
    labels = judged["label"].to_numpy()
    for attribute in ("sex", "age_band", "race"):
        groups = attributes[attribute].to_numpy()
        shown = {
            row["group"]
            for row in frame.filter(attribute=attribute, metric="cases").iter_rows(named=True)
            if row["estimate"] is not None
        }
        rest = ~np.isin(groups, sorted(shown))
        for label in (0, 1):
            counts = [int(((groups == group) & (labels == label)).sum()) for group in shown]
            counts.append(int((rest & (labels == label)).sum()))
            assert all(count == 0 or count >= 11 for count in counts)


def test_differences_are_group_minus_reference_with_an_interval_that_holds_no_difference() -> None:
    held = 0
    for seed in range(20):
        judged, attributes = site(patients=600, seed=seed)
        frame = subgroup_performance(judged, attributes, OPTIONS)
        row = value(frame, "sex", "male", "auroc_difference")
        assert row["reference"] == "female"
        own = [value(frame, "sex", sex, "auroc")["estimate"] for sex in ("male", "female")]
        assert row["estimate"] == pytest.approx(own[0] - own[1])
        held += row["lower"] <= 0 <= row["upper"]
    assert held >= 17


def test_a_planted_difference_is_found() -> None:
    judged, attributes = site(patients=3000)
    men = attributes["sex"] == "male"
    noise = np.random.default_rng(1).random(3000)
    # For men the score says nothing and is too high.
    worse = judged.with_columns(
        pl.when(men)
        .then(0.5 + 0.4 * pl.Series(noise))
        .otherwise("probability")
        .alias("probability")
    )
    frame = subgroup_performance(worse, attributes, OPTIONS)
    ranking = value(frame, "sex", "male", "auroc_difference")
    level = value(frame, "sex", "male", "calibration_intercept_difference")
    assert ranking["upper"] < -0.1
    assert level["upper"] < -0.5


def test_a_model_without_signal_has_chance_in_every_group() -> None:
    judged, attributes = site(patients=1500, effect=0.0)
    frame = subgroup_performance(judged, attributes, OPTIONS).filter(metric="auroc")
    inside = (frame["lower"] <= 0.5) & (frame["upper"] >= 0.5)
    assert inside.sum() >= frame.height - 1


def test_attributes_are_words_and_what_is_not_on_record_is_unknown() -> None:
    cohort = pl.DataFrame(
        {
            "patient_id": ["1", "2", "3", "4", "5"],
            "sex": ["F", "M", "U", "F", "F"],
            "age_at_index": [39.9, 40.0, 59.99, 60.0, None],
        }
    )
    patients = pl.DataFrame(
        {"patient_id": ["2", "1", "3", "4"], "race": [None, "White ", "UNKNOWN", " "]}
    )
    found = subgroup_attributes(cohort, patients, (40, 60))
    assert found["sex"].to_list() == ["female", "male", "unknown", "female", "female"]
    assert found["age_band"].to_list() == [
        "under 40",
        "40 to 59",
        "40 to 59",
        "60 and over",
        "unknown",
    ]
    assert found["race"].to_list() == ["White", *["unknown"] * 4]
    assert set(subgroup_attributes(cohort, patients, ())["age_band"][:4]) == {"all ages"}


def test_no_predictions_give_an_empty_table_and_no_cases_give_reasons() -> None:
    judged, attributes = site(patients=200)
    assert subgroup_performance(judged.clear(), attributes, OPTIONS).is_empty()
    healthy = judged.with_columns(label=pl.lit(0, pl.Int8))
    frame = subgroup_performance(healthy, attributes, OPTIONS)
    missing = frame.filter(pl.col("estimate").is_null())
    assert missing["reason"].null_count() == 0
    assert set(missing["metric"]) >= {"auroc", "calibration_slope", "sensitivity"}
