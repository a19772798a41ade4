"""Since when an outcome is known: the last day that the rule asks for, against a naive loop."""

from __future__ import annotations

import random
from datetime import date
from typing import Any

import pytest

from learn_assets.lake import Lake
from learn_assets.warehouse import run_models
from learn_assets_tests.canonical import (
    Tables,
    assert_no_failed_tests,
    day,
    record,
    study_of,
)

MODELS = (
    *("int_rxnorm_current", "ndc_to_rxnorm", "rxnorm_name", "int_medication_code"),
    *("int_recorded_codes", "int_listed_codes", "int_code_list_events", "int_patient_span"),
    *("index_events", "outcome_confirmation"),
)
CASE = ("ICD-10-CM", "M32.9")


def random_records() -> dict[str, list[dict[str, Any]]]:
    draw = random.Random(5)
    rows: dict[str, list[dict[str, Any]]] = {"diagnosis": [], "procedure": []}
    for number in range(80):
        patient = f"{number:03d}"
        if draw.random() < 0.8:
            rows["procedure"].append(record(patient, 0, "HCPCS", "IDX"))
        for _ in range(draw.randint(0, 4)):
            rows["diagnosis"].append(record(patient, draw.randint(-3, 5), *CASE))
    return rows


@pytest.mark.parametrize(("distinct_days", "policy"), [(2, "prospective"), (3, "published")])
def test_an_outcome_is_known_on_the_last_distinct_day(
    lake: Lake, distinct_days: int, policy: str
) -> None:
    rule = {"code_list": "systemic_lupus_erythematosus", "distinct_days": distinct_days}
    study = study_of(cohort={"outcome": rule, "policy": policy})
    rows = random_records()
    Tables(rows).write(lake, study)
    assert_no_failed_tests({"": run_models(study, lake, MODELS)})
    indexed = {row["patient_id"] for row in rows["procedure"]}
    expected: dict[str, date] = {}
    for patient in indexed:
        days = sorted({row["date"] for row in rows["diagnosis"] if row["patient_id"] == patient})
        if len(days) >= distinct_days:
            expected[patient] = days[distinct_days - 1]
    found = dict(lake.read("outcome_confirmation").iter_rows())
    assert found == expected
    outcomes = lake.read("index_events").drop_nulls("outcome_date")
    assert set(outcomes["patient_id"]) == set(expected)
    # Nothing is known before it is dated.
    dated = dict(outcomes.select("patient_id", "outcome_date").iter_rows())
    assert all(dated[patient] <= known for patient, known in expected.items())


def test_a_supplied_table_says_the_day_only(lake: Lake) -> None:
    study = study_of(cohort={"mode": "supplied"})
    supplied = [
        {"patient_id": "A", "sex": "F", "index_date": day(0), "outcome_date": day(400)},
        {"patient_id": "B", "sex": "F", "index_date": day(0)},
    ]
    Tables({"cohort_table": supplied}).write(lake, study)
    assert_no_failed_tests({"": run_models(study, lake, MODELS)})
    assert list(lake.read("outcome_confirmation").iter_rows()) == [("A", day(400))]
