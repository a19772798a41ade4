"""A lake filled with made-up tables, as if every asset of a study had been materialized."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np
import polars as pl

from learn_assets.analyses.genetics.computation import genetic_stratification
from learn_assets.analyses.net_benefit.computation import net_benefit
from learn_assets.analyses.severe_outcomes.computation import (
    OutcomeOptions,
    SevereOutcomeTables,
    severe_outcome_estimates,
)
from learn_assets.analyses.site_holdout.computation import SUMMARIZED
from learn_assets.analyses.subgroups.computation import SubgroupOptions, subgroup_performance
from learn_assets.analyses.time_to_event.computation import time_to_event_performance
from learn_assets.evaluation.comparison import compare_models, planned_contrasts
from learn_assets.evaluation.patient_groups import subgroup_attributes
from learn_assets.evaluation.performance import performance
from learn_assets.lake import Lake
from learn_assets.modeling.protocol import ModelingProtocol
from learn_assets.schemas.registry import empty_frame
from learn_assets.study import Study
from learn_assets.study.expectations import SUITE
from learn_assets.study.windows import Window

STRENGTHS = {"count": 1.0, "embedding": 0.8, "learn": 1.5}
LEARNERS = ("elastic_net", "xgboost", "random_forest", "svm", "mlp")
RARE_RACE = "Race of five cases"
ATTRITION = [
    ("index_event", "everyone with an index event", 1500),
    ("outcome_before_risk_period", "outcome on or before 90 days after the index date", 1387),
    ("age_at_index", "age at the index date below 16 or above 85", 1322),
    ("drug_induced_lupus", "drug induced lupus recorded on or before the index date", 1317),
    ("cancer", "cancer recorded on or before the index date", 1204),
    ("length_in_system", "first record later than 365 days before the index date", 842),
]


def describe_study(small_study: Study) -> Study:
    """Return a study of two windows and all learners with a title that HTML must escape."""
    data = small_study.model_dump(by_alias=True)
    data["title"] = "Progression <script>alert(1)</script> & risk"
    data["models"] = data["models"] | {"learners": LEARNERS}
    data["cohort"] = data["cohort"] | {"exclusions": [{"name": "cancer", "code_list": "cancer"}]}
    return Study.model_validate(data)


def fill_lake(study: Study, folder: Path, *, labeled: int = 700, cases: int = 105) -> Lake:
    """Return its lake: `labeled` patients, `cases` of them cases; no models in the last window."""
    lake = Lake(folder / study.name)
    random = np.random.default_rng(5)
    for window in study.windows:
        write_cohort(lake, window, labeled, cases, random)
    first = study.windows[0]
    predictions = _predictions(labeled, cases, random)
    lake.write("cross_validation", predictions, window=first, encoder="minilm")
    measured = performance(predictions, minimum_cell=study.privacy.minimum_cell, resamples=50)
    lake.write("performance", measured.frame, window=first, encoder="minilm")
    compared = compare_models(
        predictions, planned_contrasts(ModelingProtocol.from_study(study).grid), resamples=20
    )
    lake.write("comparisons", compared.frame, window=first, encoder="minilm")
    _write_patients(lake, random)
    _write_outcomes(study, lake, predictions, random)
    _write_judgments(study, lake, predictions, random)
    _write_sensitivity(study, lake)
    _write_data_quality(lake)
    return lake


def _write_patients(lake: Lake, random: np.random.Generator) -> None:
    """Write who the patients are; RARE_RACE is that of five cases."""
    rows = ATTRITION[-1][2]
    ids = [f"P{number:05}" for number in range(rows)]
    race = ["Black" if number % 3 else "White" for number in range(rows)]
    # Far more controls than cases, so that the level itself is not rare.
    race[:5] = [RARE_RACE] * 5
    race[200:240] = [RARE_RACE] * 40
    patient = pl.DataFrame(
        {"patient_id": ids, "sex": "F", "race": race, "ethnicity": None},
        schema_overrides={"ethnicity": pl.String},
    )
    lake.write("patient", patient)
    index_events = pl.DataFrame({"patient_id": ids}).with_columns(
        index_date=pl.date(2015, 1, 1),
        first_record_date=pl.date(2010, 1, 1),
        last_record_date=pl.date(2021, 6, 30),
        death_date=pl.lit(None, dtype=pl.Date),
    )
    lake.write("index_events", index_events)
    kinds = ("diagnosis", "procedure", "medication")
    totals = pl.DataFrame({"patient_id": ids, **{k: random.poisson(30, rows) for k in kinds}})
    lake.write("int_record_totals", totals)
    charlson = {"charlson_1987": random.poisson(1, rows), "charlson_2011": random.poisson(1, rows)}
    lake.write("charlson_index", pl.DataFrame({"patient_id": ids, **charlson}))
    write_codes(lake)


def write_codes(lake: Lake) -> None:
    """Write the outcome's code list and that of the index event."""
    codes = pl.DataFrame(
        {
            "list": ["systemic_lupus_erythematosus", "antinuclear_antibody"],
            "code_system": ["ICD-10-CM", "LOINC"],
            "code": ["M321", "5048-4"],
            "match": ["prefix", "exact"],
        }
    )
    lake.write("code_list", codes)


def _write_outcomes(
    study: Study, lake: Lake, predictions: pl.DataFrame, random: np.random.Generator
) -> None:
    """Write time to event, nephritis and genetics of the first window, by the real functions."""
    window, minimum = study.windows[0], study.privacy.minimum_cell
    scores = predictions.filter(pl.col("learner") == "elastic_net")
    cohort = lake.read("cohort", window)
    followed = cohort.filter(pl.col("label").is_not_null()).select("patient_id", "label")
    days = random.integers(200, 1826, followed.height).astype(float)
    timed = scores.join(
        followed.with_columns(days=days, status=pl.col("label").cast(pl.Int64)).drop("label"),
        on="patient_id",
    )
    horizon = window.follow_up_period
    over_time = time_to_event_performance(timed, horizon_days=horizon, minimum_cell=minimum)
    place = {"window": window, "encoder": "minilm"}
    lake.write("time_to_event_performance", over_time, **place)
    ends = pl.when(pl.col("label") == 1).then(pl.lit("event")).otherwise(pl.lit("censored"))
    tables = SevereOutcomeTables(
        follow_up=followed.select(
            "patient_id",
            outcome=pl.lit("lupus_nephritis"),
            prevalent=pl.lit(False),
            days=pl.Series(days.astype(np.int32)),
            status=ends,
        ),
        cohort=cohort,
        scores=scores.drop("fold", "label"),
        charlson=lake.read("charlson_index").select(
            "patient_id", pl.col("charlson_2011").alias("index")
        ),
    )
    options = OutcomeOptions(horizon_days=horizon, minimum_cell=minimum)
    severe = severe_outcome_estimates(tables, ["lupus_nephritis"], options)
    lake.write("nephritis_evaluation", severe, **place)
    genetic = pl.DataFrame(
        {"patient_id": followed["patient_id"], "score": random.normal(0, 1, followed.height)}
    )
    stratified = genetic_stratification(
        genetic, scores, cohort.with_columns(died=pl.lit(False)), minimum_cell=minimum
    )
    lake.write("genetic_stratification", stratified.frame, **place)


def write_cohort(
    lake: Lake, window: Window, labeled: int, cases: int, random: np.random.Generator
) -> None:
    """Write attrition and cohort of a window: cases first, then controls, then the unlabeled."""
    names, reasons, remaining = zip(*ATTRITION, strict=True)
    attrition = pl.DataFrame(
        {
            "step": pl.Series(range(len(names)), dtype=pl.Int32),
            "name": names,
            "reason": reasons,
            "remaining": remaining,
        }
    ).with_columns(removed=pl.col("remaining").shift(1, fill_value=1500) - pl.col("remaining"))
    lake.write("attrition", attrition, window=window)
    rows = remaining[-1]
    labels = [1] * cases + [0] * (labeled - cases) + [None] * (rows - labeled)
    index_date = pl.date(2015, 1, 1)
    cohort = pl.DataFrame(
        {
            "patient_id": [f"P{number:05}" for number in range(rows)],
            "label": pl.Series(labels, dtype=pl.Int8),
            "age_at_index": random.uniform(18, 80, rows),
            "sex": random.choice(["F", "M"], rows, p=[0.85, 0.15]),
            "time_to_event_days": random.integers(200, 1826, rows).astype(np.int32),
            "enough_records": [True] * rows,
        }
    ).with_columns(event_observed=pl.col("label").fill_null(0) == 1, index_date=index_date)
    lake.write("cohort", cohort, window=window)
    lake.write("scoring_population", empty_frame("scoring_population"), window=window)


def _predictions(labeled: int, cases: int, random: np.random.Generator) -> pl.DataFrame:
    labels = np.array([1] * cases + [0] * (labeled - cases), dtype=np.int8)
    frames = []
    for feature_set, strength in STRENGTHS.items():
        for rank, learner in enumerate(LEARNERS):
            logit = -2.2 + (strength - 0.05 * rank) * (labels + random.normal(0, 1, labeled))
            frames.append(
                pl.DataFrame(
                    {
                        "patient_id": [f"P{number:05}" for number in range(labeled)],
                        "fold": (np.arange(labeled) % 5).astype(np.int32),
                        "feature_set": feature_set,
                        "learner": learner,
                        "probability": 1 / (1 + np.exp(-logit)),
                        "label": labels,
                    }
                )
            )
    return pl.concat(frames)


def _write_judgments(
    study: Study, lake: Lake, predictions: pl.DataFrame, random: np.random.Generator
) -> None:
    """Write net benefit and subgroups of the first window, by the real functions."""
    window, minimum = study.windows[0], study.privacy.minimum_cell
    place = {"window": window, "encoder": "minilm"}
    chosen = predictions.filter(pl.col("learner") == "elastic_net")
    lake.write("net_benefit", net_benefit(chosen, minimum_cell=minimum, resamples=20), **place)
    groups = subgroup_attributes(lake.read("cohort", window), lake.read("patient"), (40, 60))
    options = SubgroupOptions(specificity=0.9, minimum_cell=minimum)
    lake.write("subgroup_performance", subgroup_performance(chosen, groups, options), **place)
    explained = pl.DataFrame(
        {
            "subject": [f"diagnosis|ICD-10-CM|X{number:02}" for number in range(5)],
            "estimate": random.uniform(0.1, 1.0, 5),
        }
    ).select(
        feature_set=pl.lit("count"),
        learner=pl.lit("elastic_net"),
        method=pl.lit("shap"),
        kind=pl.lit("diagnosis"),
        subject="subject",
        words=pl.lit("A disease"),
        metric=pl.lit("mean_absolute_log_odds"),
        estimate="estimate",
        lower=pl.lit(None, dtype=pl.Float64),
        upper=pl.lit(None, dtype=pl.Float64),
        direction=pl.lit(0.5),
        reason=pl.lit(None, dtype=pl.String),
    )
    lake.write("explanations", explained, **place)


def _write_sensitivity(study: Study, lake: Lake) -> None:
    """Write what protocol analyses of the first window and the leaderboards may look like."""
    place = {"window": study.windows[0], "encoder": "minilm"}
    models = pl.DataFrame({"feature_set": list(STRENGTHS), "learner": "elastic_net"})
    limits = {"lower": pl.lit(0.6), "upper": pl.lit(0.9)}
    sizes = pl.DataFrame({"training_patients": [8, 64, 512], "draws": [5, 3, 1]})
    curve = models.join(sizes, how="cross").with_columns(auroc=pl.lit(0.75), **limits)
    lake.write("learning_curve", curve, **place)
    measured = pl.DataFrame(
        {
            "metric": ["n", "prevalence", "auroc", "brier", "training_n"],
            "estimate": [200.0, 0.15, 0.7, 0.1, 400.0],
        }
    )
    later = models.join(measured, how="cross").select(
        pl.date(2014, 5, 17).alias("cut_date"), pl.all(), **limits
    )
    lake.write("temporal_validation", later, **place)
    treated = pl.DataFrame({"imbalance": ["none", "smote"]}).join(
        models.join(pl.DataFrame({"metric": ["auroc", "calibration_slope"]}), how="cross"),
        how="cross",
    )
    treated = treated.with_columns(estimate=pl.lit(0.7), **limits)
    lake.write("imbalance_sensitivity", treated, **place)
    repeats = models.join(pl.DataFrame({"repeat": [1, 2, None]}), how="cross").with_columns(
        auroc=pl.lit(0.72), **limits, standard_deviation=pl.lit(0.01)
    )
    lake.write("repeated_cross_validation", repeats, **place)
    lake.write("site_holdout", care_sites(models), **place)
    board = pl.DataFrame(
        {
            "basis": ["cell", "chosen"],
            "window": [study.windows[0].key, None],
            "encoder": ["minilm", "minilm"],
            "feature_set": "learn",
            "learner": "elastic_net",
            "patients": [700, None],
            "cases": [105, None],
            "auroc": [0.81, 0.79],
            "lower": [0.77, 0.74],
            "upper": [0.85, 0.84],
            "times_chosen": [5, None],
        }
    )
    for name in ("window_leaderboard", "encoder_leaderboard"):
        lake.write(name, board)


def care_sites(models: pl.DataFrame) -> pl.DataFrame:
    """Return what models of all other sites may do at each of four, one with an awkward name."""
    sites = pl.DataFrame({"care_site": ["east", "north <1>", "south & $2$", "west", None]})
    measured = pl.DataFrame(
        {
            "metric": ["n", "cases", *SUMMARIZED, "sites", "sites_too_small", "too_small_n"],
            "estimate": [180.0, 30.0, 0.7, 0.74, -0.03, 0.1, 0.9, 4.0, 2.0, 31.0],
        }
    )
    over_all = pl.col("care_site").is_null()
    summary = over_all & pl.col("metric").is_in(SUMMARIZED)
    about_all = pl.col("metric").str.starts_with("sites") | (pl.col("metric") == "too_small_n")
    bounded = pl.col("metric").is_in(SUMMARIZED)
    return (
        sites.join(models, how="cross")
        .join(measured, how="cross")
        .filter(
            pl.when(over_all).then(~pl.col("metric").is_in(["n", "cases"])).otherwise(~about_all),
            # What a small site would give away is withheld of another.
            ~((pl.col("care_site") == "west") & pl.col("metric").is_in(["n", "cases"])).fill_null(
                value=False
            ),
        )
        .with_columns(
            lower=pl.when(bounded).then(pl.col("estimate") - 0.08),
            upper=pl.when(bounded).then(pl.col("estimate") + 0.08),
            prediction_lower=pl.when(summary).then(pl.col("estimate") - 0.2),
            prediction_upper=pl.when(summary).then(pl.col("estimate") + 0.2),
            between_sites=pl.when(summary).then(pl.lit(0.12)),
        )
    )


def _write_data_quality(lake: Lake) -> None:
    coverage = pl.DataFrame(
        {
            "kind": ["diagnosis", "diagnosis", "medication", "procedure"],
            "code_system": ["ICD-10-CM", "ICD-9-CM", "NDC", "CPT"],
            "records": [120_000, 20_000, 5_000, 7],
            "described": [119_200, 19_997, 4_550, 5],
        }
    ).with_columns(share=pl.col("described") / pl.col("records"))
    lake.write("description_coverage", coverage)
    refused = ["future date"] * 40 + ["missing code"] * 3
    quarantine = pl.DataFrame(
        {
            "source_file": "diagnosis.csv",
            "source_row": range(1, len(refused) + 1),
            "column": "date",
            "reason": refused,
            "record": "SECRET-PATIENT-VALUE",
        }
    )
    lake.write("diagnosis_quarantine", quarantine)
    lake.write("diagnosis", empty_frame("diagnosis"))
    lake.write("data_quality", _made_up_quality())


def _made_up_quality() -> pl.DataFrame:
    """Return expectations of which the third fails as an error, the fourth as a warning."""
    told = [
        (0.99, "99.0 %", True, "warn", None),
        (None, "all but <11", True, "error", None),
        (0.61, "61.0 %", False, "error", None),
        (2.0, "2", False, "warn", "2015-03, 2015-04"),
        (None, "-", None, "warn", "there are none"),
    ]
    names = (
        *("patient.known_race", "patient.known_sex", "lab_result.main_unit"),
        *("diagnosis.months_missing", "lab_result.with_unit"),
    )
    suite = {item.name: item for item in SUITE}
    rows = [
        {
            **asdict(suite[name]),
            **asdict(suite[name].aspect),
            "name": name,
            "value": value,
            "shown": shown,
            "severity": severity,
            "passed": passed,
            "detail": detail,
        }
        for name, (value, shown, passed, severity, detail) in zip(names, told, strict=True)
    ]
    schema = empty_frame("data_quality").schema
    order = (3, 0, 1, 2, 4)
    return pl.DataFrame([{key: rows[at].get(key) for key in schema} for at in order], schema)
