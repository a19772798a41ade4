"""The cohort models against a naive loop over patients, on every boundary day."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from datetime import date
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learn_assets.lake import Lake
from learn_assets.study import Study
from learn_assets.study.windows import Window
from learn_assets_tests.canonical import (
    INDEX,
    Tables,
    assert_no_failed_tests,
    day,
    run_all,
    run_cohort,
    study_of,
)

WINDOW = Window.model_validate({"LIS": 365, "BP": 90, "FUP": 730})
EXCLUSIONS = ("drug_induced_lupus", "cancer", "other_rheumatic_disease")


@dataclass(frozen=True)
class Person:
    """A row of a supplied cohort table in days from the index date."""

    age: float | None = 40.0
    outcome: int | None = None
    first: int | None = -4000
    last: int | None = 4000
    death: int | None = None
    rheumatic: int | None = None
    drug_induced: bool = False
    cancer: bool = False


@dataclass(frozen=True)
class Verdict:
    """What the naive loop says of a person."""

    removed_by: str | None
    label: int | None
    scored: bool
    time: int
    event: bool


def label_of(person: Person, window: Window) -> int | None:
    """Case: BP < days <= FUP; control: later, or never and seen after FUP; else nobody knows."""
    bp, fup = window.buffer_period, window.follow_up_period
    if person.outcome is None:
        return 0 if person.last is not None and person.last > fup else None
    if person.outcome > fup:
        return 0
    return 1 if person.outcome > bp else None


def old_enough(age: float, *, published: bool) -> bool:
    """LEARN removes age <= 15 and age > 85 as written; otherwise whole years count."""
    return not (age <= 15 or age > 85) if published else 16 <= int(age) <= 85


def judge(person: Person, window: Window, study: Study) -> Verdict:
    """The rules of the reference, one person at a time."""
    published = study.cohort.policy == "published"
    label = label_of(person, window)
    flagged = person.drug_induced or person.cancer or person.rheumatic is not None
    known = person.rheumatic is not None and person.rheumatic <= 0
    latest = window.buffer_period if published else 0
    rules = {
        "outcome": person.outcome is not None and person.outcome <= latest,
        "age": person.age is None or not old_enough(person.age, published=published),
        "exclusion": flagged if published else known,
        "system": person.first is None or person.first > -window.length_in_system,
        "follow_up": published and label is None,
    }
    removed = next((name for name, broken in rules.items() if broken), None)
    unlabeled = removed in (None, "follow_up") and label is None
    scored = unlabeled and person.outcome is None and person.death is None and not flagged
    ends = (person.outcome, person.death, person.last)
    time = max(next((end for end in ends if end is not None), 0), 0)
    return Verdict(removed, label, scored, time, person.outcome is not None)


def write_people(lake: Lake, study: Study, people: list[Person]) -> None:
    """Write a supplied cohort table of these people, named by their position."""

    def moment(offset: int | None) -> date | None:
        return None if offset is None else day(offset)

    cohort: list[dict[str, Any]] = []
    patients: list[dict[str, Any]] = []
    for number, person in enumerate(people):
        cohort.append(
            {
                "patient_id": str(number),
                "sex": "F",
                "age_at_index": person.age,
                "index_date": INDEX,
                "first_record_date": moment(person.first),
                "last_record_date": moment(person.last),
                "outcome_date": moment(person.outcome),
                "other_rheumatic_disease_date": moment(person.rheumatic),
                "drug_induced_lupus": person.drug_induced,
                "cancer": person.cancer,
            }
        )
        patients.append({"patient_id": str(number), "sex": "F", "death_date": moment(person.death)})
    Tables({"cohort_table": cohort, "patient": patients}).write(lake, study)


def supplied_study(policy: str, windows: list[Window]) -> Study:
    return study_of(
        cohort={
            "mode": "supplied",
            "policy": policy,
            "exclusions": [{"name": name} for name in EXCLUSIONS],
        },
        windows=[window.model_dump(by_alias=True) for window in windows],
    )


def assert_agrees(lake: Lake, study: Study, people: list[Person]) -> None:
    """Cohort, attrition and scoring population are what the loop says, for each window."""
    assert_no_failed_tests(run_cohort(study, lake))
    for window in study.windows:
        verdicts = [judge(person, window, study) for person in people]
        cohort = lake.read("cohort", window)
        expected = {
            str(n): (v.label, v.time, v.event)
            for n, v in enumerate(verdicts)
            if v.removed_by is None
        }
        columns = ("patient_id", "label", "time_to_event_days", "event_observed")
        found = {row[0]: row[1:] for row in cohort.select(columns).iter_rows()}
        assert found == expected
        scored = {str(n) for n, v in enumerate(verdicts) if v.scored}
        assert set(lake.read("scoring_population", window)["patient_id"]) == scored
        attrition = lake.read("attrition", window)
        assert attrition["remaining"][0] == len(people)
        assert attrition["remaining"][-1] == len(expected)
        removed = dict(attrition.select("name", "removed").iter_rows())
        by_exclusion = sum(removed[name] for name in EXCLUSIONS)
        assert by_exclusion == sum(v.removed_by == "exclusion" for v in verdicts)
        assert removed["age_at_index"] == sum(v.removed_by == "age" for v in verdicts)
        assert removed["length_in_system"] == sum(v.removed_by == "system" for v in verdicts)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A lake without records in which every other table has been built."""
    lake = Lake(tmp_path_factory.mktemp("prepared") / "lake")
    study = supplied_study("prospective", [WINDOW])
    write_people(lake, study, [])
    run_all(study, lake)
    return lake


@pytest.mark.parametrize("policy", ["prospective", "published"])
def test_every_boundary_day_agrees_with_the_naive_loop(prepared: Lake, policy: str) -> None:
    window = WINDOW
    around = [n + d for n in (0, 90, 730) for d in (-1, 0, 1)]
    people = [
        Person(outcome=outcome, last=last, first=first, rheumatic=rheumatic)
        for outcome, last, first, rheumatic in itertools.product(
            [None, *around], [None, *around], [None, -366, -365, -364], [None, -1, 0, 1]
        )
    ]
    people += [Person(age=age) for age in (None, 15.0, 15.01, 15.99, 16.0, 85.0, 85.9, 86.0)]
    people += [
        Person(drug_induced=drug_induced, cancer=cancer, outcome=outcome, death=death, last=300)
        for drug_induced, cancer, outcome, death in itertools.product(
            [False, True], [False, True], [None, 200], [None, 300]
        )
    ]
    study = supplied_study(policy, [window])
    write_people(prepared, study, people)
    assert_agrees(prepared, study, people)


offsets = st.one_of(st.none(), st.integers(-800, 2500))
persons = st.builds(
    Person,
    age=st.one_of(st.none(), st.floats(0, 110).map(lambda age: round(age, 1))),
    outcome=offsets,
    first=offsets,
    last=offsets,
    death=st.one_of(st.none(), st.integers(1, 2500)),
    rheumatic=offsets,
    drug_induced=st.booleans(),
    cancer=st.booleans(),
)
windows = st.builds(
    lambda lis, bp, more: Window.model_validate({"LIS": lis, "BP": bp, "FUP": bp + more}),
    st.integers(0, 900),
    st.integers(0, 400),
    st.integers(1, 2000),
)


@pytest.mark.slow
@settings(max_examples=8)
@given(
    people=st.lists(persons, min_size=0, max_size=80),
    window=windows,
    policy=st.sampled_from(["prospective", "published"]),
)
def test_random_patients_and_windows_agree_with_the_naive_loop(
    prepared: Lake, people: list[Person], window: Window, policy: str
) -> None:
    study = supplied_study(policy, [window])
    write_people(prepared, study, people)
    assert_agrees(prepared, study, people)


def test_undated_flags_are_not_applied_prospectively_and_attrition_says_so(
    prepared: Lake,
) -> None:
    study = supplied_study("prospective", [WINDOW])
    write_people(prepared, study, [Person(cancer=True), Person()])
    run_cohort(study, prepared)
    attrition = prepared.read("attrition", WINDOW)
    row = attrition.row(by_predicate=pl.col("name") == "cancer", named=True)
    assert row["removed"] == 0
    assert "not applied" in row["reason"]
    assert prepared.read("cohort", WINDOW).height == 2


def test_a_code_list_dates_an_undated_flag(lake: Lake) -> None:
    study = study_of(
        cohort={"mode": "supplied", "exclusions": [{"name": "cancer", "code_list": "cancer"}]}
    )
    people = [Person(cancer=True), Person(cancer=True), Person(cancer=True), Person()]
    write_people(lake, study, people)
    diagnoses = [(0, -5), (1, 5), (3, -5)]
    lake.write(
        "diagnosis",
        lake.read("diagnosis").vstack(
            pl.DataFrame(
                [
                    (str(n), day(offset), "ICD-10-CM", "C50.9", None, row)
                    for row, (n, offset) in enumerate(diagnoses, start=1)
                ],
                schema=lake.read("diagnosis").schema,
                orient="row",
            )
        ),
    )
    run_all(study, lake)
    # Flagged before index; flagged after index; flagged without record; not flagged at all.
    assert lake.read("cohort", study.windows[0])["patient_id"].to_list() == ["1", "2", "3"]


def test_thin_histories_are_removed_only_when_the_study_says_so(prepared: Lake) -> None:
    for required in (False, True):
        study = study_of(
            cohort={
                "mode": "supplied",
                "minimum_records": {"diagnosis": 1},
                "require_minimum_records": required,
            }
        )
        write_people(prepared, study, [Person(), Person(last=100)])
        run_cohort(study, prepared)
        cohort = prepared.read("cohort", study.windows[0])
        assert cohort.height == (0 if required else 2)
        assert not cohort["enough_records"].any()
        assert prepared.read("scoring_population", study.windows[0]).height == (
            0 if required else 1
        )


def test_nobody_with_an_index_event_is_a_valid_result(lake: Lake) -> None:
    study = study_of()
    Tables().write(lake, study)
    assert_no_failed_tests(run_all(study, lake))
    for table in ("cohort", "scoring_population", "event_counts", "latest_measurement"):
        assert lake.read(table, study.windows[0]).height == 0
    assert lake.read("narratives").height == 0
    assert lake.read("attrition", study.windows[0])["remaining"].to_list() == [0, 0, 0, 0]
