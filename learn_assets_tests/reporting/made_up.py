"""A lake filled with made-up tables, as if every asset of a study had been materialized."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from learn_assets.cohort.windows import Window
from learn_assets.evaluation.performance import performance
from learn_assets.lake import Lake
from learn_assets.schemas.registry import empty_frame
from learn_assets.study import Study

STRENGTHS = {"count": 1.0, "embedding": 0.8, "learn": 1.5}
LEARNERS = ("elastic_net", "xgboost", "random_forest", "svm", "mlp")
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
        _write_cohort(lake, window, labeled, cases, random)
    first = study.windows[0]
    predictions = _predictions(labeled, cases, random)
    lake.write("cross_validation", predictions, window=first, encoder="minilm")
    measured = performance(predictions, minimum_cell=study.privacy.minimum_cell, resamples=50)
    lake.write("performance", measured.frame, window=first, encoder="minilm")
    _write_data_quality(lake)
    return lake


def _write_cohort(
    lake: Lake, window: Window, labeled: int, cases: int, random: np.random.Generator
) -> None:
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
