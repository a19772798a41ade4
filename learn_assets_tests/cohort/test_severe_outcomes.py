"""Severe outcomes, their follow-up and the Charlson index from records, against naive loops."""

from __future__ import annotations

import random
import shutil
from collections import defaultdict
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from learn_assets.lake import Lake
from learn_assets.study import Study
from learn_assets.warehouse import run_models
from learn_assets_tests.canonical import (
    INDEX,
    Tables,
    assert_no_failed_tests,
    day,
    record,
    run_all,
    study_of,
)

SEVERE = [
    {
        "name": "nephritis",
        "code_list": "lupus_nephritis",
        "in_patients_with": {
            "condition": "systemic_lupus_erythematosus",
            "code_list": "kidney_disease_in_lupus",
        },
    },
    {
        "name": "hospitalization",
        "code_list": "hospitalization",
        "kinds": ["procedure"],
        "recurs": True,
    },
]
CODES = (
    *(("ICD-9-CM", code) for code in ("583.81", "791.0", "710.0", "250.01", "250.40", "196.2")),
    *(("ICD-10-CM", code) for code in ("M32.14", "M32.9", "I21.4", "C50.9", "K70.4", "K74.60")),
    *(("ICD-10-CM", code) for code in ("E11.2", "M05.9", "N18.6", "I10")),
)
# (item, original weight, updated weight) of each code above; M05.9 and lupus have none.
CHARLSON = {
    "250.01": ("diabetes", 1, 0),
    "250.40": ("diabetes, complicated", 2, 1),
    "E11.2": ("diabetes, complicated", 2, 1),
    "196.2": ("metastasis", 6, 6),
    "I21.4": ("infarction", 1, 0),
    "C50.9": ("malignancy", 2, 2),
    "K70.4": ("liver, severe", 3, 4),
    "K74.60": ("liver", 1, 2),
    "N18.6": ("renal", 2, 1),
}
GRAVER = {
    "diabetes": "diabetes, complicated",
    "malignancy": "metastasis",
    "liver": "liver, severe",
}


def random_records() -> dict[str, list[dict[str, Any]]]:
    draw = random.Random(41)
    rows: dict[str, list[dict[str, Any]]] = {"diagnosis": [], "procedure": [], "patient": []}
    for number in range(200):
        patient = f"{number:03d}"
        dies = day(draw.randint(-2, 12)) if draw.random() < 0.3 else None
        rows["patient"].append({"patient_id": patient, "sex": "F", "death_date": dies})
        rows["procedure"].append(record(patient, 0, "HCPCS", "IDX"))
        for _ in range(draw.randint(0, 5)):
            rows["diagnosis"].append(record(patient, draw.randint(-9, 9), *draw.choice(CODES)))
        for _ in range(draw.randint(0, 2)):
            rows["procedure"].append(record(patient, draw.randint(-9, 9), "CPT", "99222"))
    return rows


ROWS = random_records()


@pytest.fixture(scope="module")
def study() -> Study:
    return study_of(cohort={"severe_outcomes": SEVERE})


@pytest.fixture(scope="module")
def lake(study: Study, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    lake = Lake(tmp_path_factory.mktemp("severe") / "lake")
    Tables(dict(ROWS)).write(lake, study)
    assert_no_failed_tests(run_all(study, lake))
    return lake


def days_of(patient: str, *codes: str, kind: str = "diagnosis") -> list[date]:
    rows = ROWS[kind]
    return sorted(r["date"] for r in rows if r["patient_id"] == patient and r["code"] in codes)


def first_nephritis(patient: str) -> date | None:
    lupus = days_of(patient, "710.0", "M32.9", "M32.14")
    kidney = [found for found in days_of(patient, "583.81", "791.0") if lupus and found >= lupus[0]]
    return min([*days_of(patient, "M32.14"), *kidney], default=None)


def first_hospitalization(patient: str) -> date | None:
    found = [d for d in days_of(patient, "99222", kind="procedure") if d > INDEX]
    return min(found, default=None)


FIRST = {"nephritis": first_nephritis, "hospitalization": first_hospitalization}


def test_kidney_codes_count_only_once_lupus_is_known(lake: Lake) -> None:
    expected = {
        (row["patient_id"], outcome, first)
        for row in ROWS["patient"]
        for outcome, rule in FIRST.items()
        if (first := rule(row["patient_id"]))
    }
    assert set(lake.read("severe_outcome_events").iter_rows()) == expected
    kidney = {row["patient_id"] for row in ROWS["diagnosis"] if row["code"] in {"583.81", "791.0"}}
    # The rule leaves somebody out: there are kidney codes without, or before, lupus.
    assert kidney - {patient for patient, outcome, _ in expected if outcome == "nephritis"}


def test_follow_up_ends_with_outcome_death_or_last_record(lake: Lake) -> None:
    expected = set()
    for row in ROWS["patient"]:
        patient, died = row["patient_id"], row["death_date"]
        last = died or max(
            r["date"] for kind in ("diagnosis", "procedure") for r in ROWS[kind]
            if r["patient_id"] == patient
        )  # fmt: skip
        for outcome, rule in FIRST.items():
            first = rule(patient)
            seen = first is not None and first <= last
            end = first if first is not None and seen else last
            status = "event" if seen else "death" if died else "censored"
            prevalent = first is not None and first <= INDEX
            expected.add((patient, outcome, prevalent, max((end - INDEX).days, 0), status))
    assert set(lake.read("severe_outcome_follow_up").iter_rows()) == expected


def naive_charlson(patient: str) -> tuple[int, int]:
    items = {
        CHARLSON[row["code"]]
        for row in ROWS["diagnosis"]
        if row["patient_id"] == patient and row["date"] < INDEX and row["code"] in CHARLSON
    }
    names = {name for name, _, _ in items}
    kept = [item for item in items if GRAVER.get(item[0]) not in names]
    return sum(item[1] for item in kept), sum(item[2] for item in kept)


def test_charlson_index_counts_items_before_the_index_date(lake: Lake) -> None:
    found = lake.read("charlson_index")
    expected = {row["patient_id"]: naive_charlson(row["patient_id"]) for row in ROWS["patient"]}
    assert {p: (original, updated) for p, original, updated in found.iter_rows()} == expected
    assert found["charlson_2011"].max() > 6


def test_without_severe_outcomes_the_tables_are_empty_and_valid(
    lake: Lake, study: Study, tmp_path: Path
) -> None:
    copied = Lake(Path(shutil.copytree(lake.root, tmp_path / "lake")))
    none = study.model_copy(
        update={"cohort": study.cohort.model_copy(update={"severe_outcomes": ()})}
    )
    counts: defaultdict[str, int] = defaultdict(int)
    for table in ("severe_outcome_events", "severe_outcome_follow_up"):
        report = run_models(none, copied, [table])
        assert_no_failed_tests({"": report})
        counts[table] = report.model(table).stamp.rows
    assert set(counts.values()) == {0}
