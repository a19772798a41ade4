"""Index events, outcomes, exclusions and severe outcomes from records, against a naive loop."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from learn_assets.lake import Lake
from learn_assets.study import Study
from learn_assets.warehouse import run_models
from learn_assets_tests.canonical import Tables, assert_no_failed_tests, record, run_all, study_of

POSITIVE = ("positive", "1:160")
DIAGNOSES = ("M32.10", "m3290", "M32.0", "M32.14", "C50.9", "C44.1", "M05.9", "I10", "N18.6")
LAB_VALUES: tuple[tuple[float | None, str | None], ...] = (
    *((None, "Positive "), (None, "NEGATIVE"), (None, "1:160"), (None, None)),
    *((159.9, None), (160.0, None), (float("nan"), None), (320.0, "negative")),
)


def random_records() -> dict[str, list[dict[str, Any]]]:
    """Return records of 150 people, days and codes drawn so that every rule is met and missed."""
    draw = random.Random(20261122)
    rows: dict[str, list[dict[str, Any]]] = {"diagnosis": [], "lab_result": [], "patient": []}
    for number in range(150):
        patient = f"{number:03d}"
        birth = draw.choice([None, 1950, 1990, 2001])
        rows["patient"].append({"patient_id": patient, "sex": "M", "year_of_birth": birth})
        for _ in range(draw.randint(0, 9)):
            code = draw.choice(DIAGNOSES)
            rows["diagnosis"].append(record(patient, draw.randint(-9, 9), "ICD-10-CM", code))
        if draw.random() < 0.2:
            rows["diagnosis"].append(record(patient, draw.randint(-9, 9), "ICD-9-CM", "710.0"))
        for _ in range(draw.randint(0, 3)):
            number_value, text = draw.choice(LAB_VALUES)
            code = draw.choice(["8061-4", "5048-4", "718-7"])
            rows["lab_result"].append(
                record(
                    patient,
                    draw.randint(-3, 3),
                    "LOINC",
                    code,
                    value_number=number_value,
                    value_text=text,
                )
            )
    # The outcome's codes among the records of another kind say as much.
    rows["procedure"] = [row for row in rows["diagnosis"] if row["code"] == "M32.10"]
    return rows


ROWS = random_records()


@pytest.fixture(scope="module")
def study() -> Study:
    return study_of(
        cohort={
            "index_event": {
                "kinds": ["lab_result"],
                "code_list": "antinuclear_antibody",
                "value_text": POSITIVE,
                "value_at_least": 160,
            },
            "exclusions": [
                {"name": "cancer", "code_list": "cancer", "distinct_days": 2},
                {"name": "drug_induced_lupus", "code_list": "drug_induced_lupus"},
            ],
            "severe_outcomes": [{"name": "nephritis", "code_list": "lupus_nephritis"}],
        },
        counts={"roll_up_icd": False},
    )


@pytest.fixture(scope="module")
def lake(study: Study, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    lake = Lake(tmp_path_factory.mktemp("derived") / "lake")
    Tables(dict(ROWS)).write(lake, study)
    assert_no_failed_tests(run_all(study, lake))
    return lake


def is_sle(code: str) -> bool:
    return code in {"M3210", "M3290", "M3214", "7100"}


def days_by_patient(matches: Callable[[str], bool]) -> dict[str, list[date]]:
    """Return the sorted distinct days with a matching diagnosis, dots and case ignored."""
    days: defaultdict[str, set[date]] = defaultdict(set)
    for row in ROWS["diagnosis"]:
        if matches(row["code"].upper().replace(".", "")):
            days[row["patient_id"]].add(row["date"])
    return {patient: sorted(found) for patient, found in days.items()}


def index_dates() -> dict[str, date]:
    """Return the first positive antinuclear-antibody result of each patient."""
    found: dict[str, date] = {}
    for row in ROWS["lab_result"]:
        text, value = row["value_text"], row["value_number"]
        positive = (text is not None and text.strip().lower() in POSITIVE) or (
            value is not None and value >= 160
        )
        if positive and row["code"] != "718-7":
            earlier = found.get(row["patient_id"], row["date"])
            found[row["patient_id"]] = min(earlier, row["date"])
    return found


def pairs(lake: Lake, table: str, *columns: str) -> set[tuple[Any, ...]]:
    return set(lake.read(table).select(columns).iter_rows())


def test_index_is_the_first_positive_result(lake: Lake) -> None:
    assert dict(pairs(lake, "index_events", "patient_id", "index_date")) == index_dates()


def outcome_of(days: list[date], index: date, policy: str) -> date | None:
    """Return the day of an outcome on two days; a later day tells nothing at the index date."""
    if len(days) < 2:
        return None
    if policy == "published" or days[1] <= index:
        return days[0]
    return min(found for found in days if found > index)


@pytest.mark.parametrize("policy", ["prospective", "published"])
def test_outcome_is_dated_as_the_policy_says(lake: Lake, study: Study, policy: str) -> None:
    cohort = study.cohort.model_copy(update={"policy": policy})
    run_models(study.model_copy(update={"cohort": cohort}), lake, ["index_events"])
    days = days_by_patient(is_sle)
    expected = {
        patient: outcome_of(days.get(patient, []), index, policy)
        for patient, index in index_dates().items()
    }
    assert dict(pairs(lake, "index_events", "patient_id", "outcome_date")) == expected


def test_a_later_record_never_makes_a_patient_ineligible_prospectively(tmp_path: Path) -> None:
    lake, plain = Lake(tmp_path / "lake"), study_of()
    one_code_before = [record("1", -400, "ICD-10-CM", "M32.9"), record("1", 0, "HCPCS", "IDX")]
    confirmed = [*one_code_before, record("1", 700, "ICD-10-CM", "M32.9")]
    for rows in (one_code_before, confirmed):
        people = [{"patient_id": "1", "sex": "F", "year_of_birth": 1970}]
        diagnoses = [row for row in rows if row["code"] == "M32.9"]
        procedures = [row for row in rows if row["code"] == "IDX"]
        Tables({"patient": people, "diagnosis": diagnoses, "procedure": procedures}).write(
            lake, plain
        )
        assert_no_failed_tests(run_all(plain, lake))
        assert lake.read("cohort", plain.windows[0])["patient_id"].to_list() == ["1"]
    assert lake.read("cohort", plain.windows[0])["label"].to_list() == [1]


def test_age_is_calendar_years(lake: Lake) -> None:
    births = {row["patient_id"]: row["year_of_birth"] for row in ROWS["patient"]}
    for patient, index, age in pairs(
        lake, "index_events", "patient_id", "index_date", "age_at_index"
    ):
        birth = births[patient]
        assert age == (None if birth is None else index.year - birth)


def test_first_and_last_record_are_over_all_kinds(lake: Lake) -> None:
    days: defaultdict[str, list[date]] = defaultdict(list)
    for row in [*ROWS["diagnosis"], *ROWS["lab_result"]]:
        days[row["patient_id"]].append(row["date"])
    found = pairs(lake, "index_events", "patient_id", "first_record_date", "last_record_date")
    assert found == {(p, min(days[p]), max(days[p])) for p in index_dates()}


def test_an_exclusion_is_dated_by_the_day_it_was_confirmed(lake: Lake) -> None:
    def among_indexed(name: str, days: dict[str, list[date]], needed: int) -> Iterable[Any]:
        for patient, found in days.items():
            if patient in index_dates() and len(found) >= needed:
                yield patient, name, found[needed - 1]

    expected = {
        *among_indexed("cancer", days_by_patient(lambda code: code == "C509"), 2),
        *among_indexed("drug_induced_lupus", days_by_patient(lambda code: code == "M320"), 1),
    }
    assert pairs(lake, "exclusion_events", "patient_id", "exclusion", "first_date") == expected


def test_a_severe_outcome_is_dated_by_its_first_record(lake: Lake) -> None:
    days = days_by_patient(lambda code: code == "M3214")
    expected = {(p, "nephritis", found[0]) for p, found in days.items() if p in index_dates()}
    assert pairs(lake, "severe_outcome_events", "patient_id", "outcome", "first_date") == expected


def test_no_outcome_code_reaches_counts_or_texts(lake: Lake) -> None:
    features = lake.read("int_event_counts")["feature"].to_list()
    assert features
    codes = {feature.split("|")[2] for feature in features}
    assert not any(is_sle(code) for code in codes)
    texts = " ".join(lake.read("narratives")["text"])
    # Nothing describes a code here, so texts hold the codes themselves.
    assert "C50.9" in texts
    written = [code for code in (*DIAGNOSES, "710.0") if is_sle(code.upper().replace(".", ""))]
    assert not any(code in texts for code in written)
