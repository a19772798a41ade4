"""Narratives, event counts and measurements: order, dates, boundaries and look-backs."""

from __future__ import annotations

import hashlib
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

TEXTS = {"E11.9": "Diabetes", "I10": "Hypertension", "J45": "Asthma"}


def lab(
    patient: str, offset: int, value: float | None, unit: str | None = "mg/L"
) -> dict[str, Any]:
    return record(patient, offset, "LOINC", "1988-5", value_number=value, unit=unit)


TABLES = Tables(
    {
        "patient": [{"patient_id": p, "sex": "F", "year_of_birth": 1980} for p in ("a", "b", "c")],
        "diagnosis": [
            # Two records of one day keep the order of the source, and not that of the alphabet.
            record("a", -10, "ICD-10-CM", "I10"),
            record("a", -10, "ICD-10-CM", "E119"),
            record("a", -400, "ICD-10-CM", "J45"),
            record("a", -1, "ICD-10-CM", "J45"),
            # On the index day and later: never seen.
            record("a", 0, "ICD-10-CM", "I10"),
            record("a", 1, "ICD-10-CM", "I10"),
            record("a", -5, "ICD-10-CM", "X99.9"),
            # One outcome code before index: without a second it is no outcome, and no feature.
            record("a", -20, "ICD-10-CM", "M32.9"),
            record("b", 100, "ICD-10-CM", "I10"),
            record("c", -700, "ICD-9-CM", "E849.0"),
            record("c", -700, "ICD-10-CM", "E11.65"),
        ],
        "procedure": [
            *(record(p, 0, "HCPCS", "IDX") for p in ("a", "b", "c")),
            *(record(p, 3000, "HCPCS", "Z0000") for p in ("a", "b", "c")),
            record("a", -500, "CPT", "99213"),
        ],
        "medication": [
            record("a", -30, "RxNorm", "20"),
            record("a", -31, "NDC", "00002-0300-01"),
            record("a", -32, "NDC", "99999999999"),
        ],
        "lab_result": [
            lab("a", -30, 1.0),
            lab("a", -3, 5.0),
            lab("a", -3, 4.0),
            lab("a", -2, None),
            lab("a", -1, float("nan")),
            lab("a", 0, 99.0),
            lab("a", -8, 0.4, "mg/dL"),
        ],
        "terminology": [
            {"code_system": "ICD-10-CM", "code": code, "description": text}
            for code, text in TEXTS.items()
        ],
        "rxnconso": [
            {"rxcui": "20", "source": "RXNORM", "term_type": "SCD", "name": "drug 5 MG Tablet"},
            {"rxcui": "10", "source": "RXNORM", "term_type": "IN", "name": "drug"},
        ],
        "rxnsat": [
            {"rxcui": "20", "attribute": "NDC", "value": "0002-0300-01", "source": "MTHSPL"}
        ],
        "rxnrel": [{"rxcui1": "10", "relation": "has_ingredient", "rxcui2": "20"}],
    }
)


def feature_study(**sections: Any) -> Study:
    return study_of(**{"counts": {"roll_up_icd": False, "look_back_days": [10, 31]}, **sections})


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    lake = Lake(tmp_path_factory.mktemp("features") / "lake")
    study = feature_study()
    TABLES.write(lake, study)
    assert_no_failed_tests(run_all(study, lake))
    return lake


def narrative(lake: Lake, kind: str, **options: Any) -> str:
    run_models(feature_study(narratives=options), lake, ["narratives"])
    text: str = lake.read("narratives").filter(patient_id="a", kind=kind)["text"].item()
    return text


def test_chronological_keeps_the_order_of_the_source_within_a_day(lake: Lake) -> None:
    text = narrative(lake, "diagnosis", order="chronological", dates="absolute")
    expected = [(-400, "Asthma"), (-10, "Hypertension"), (-10, "Diabetes")]
    expected += [(-5, "ICD-10-CM X99.9"), (-1, "Asthma")]
    assert text == " | ".join(f"[{day(offset)}] - {words}" for offset, words in expected)


def test_recent_first_says_each_description_once_by_its_latest_day(lake: Lake) -> None:
    text = narrative(lake, "diagnosis", order="recent_first", dates="none")
    assert text == "Asthma | ICD-10-CM X99.9 | Hypertension | Diabetes"
    counted = lake.read("narratives").filter(patient_id="a", kind="diagnosis")
    assert counted["records"].to_list() == [5]


def test_relative_dates_count_back_from_the_index_date(lake: Lake) -> None:
    text = narrative(lake, "procedure", order="recent_first", dates="relative")
    assert text == "[500 days before] - CPT 99213"


def test_medication_reads_as_drug_or_as_ingredient(lake: Lake) -> None:
    drugs = narrative(lake, "medication", order="chronological", dates="none")
    assert drugs == "NDC 99999999999 | drug 5 MG Tablet | drug 5 MG Tablet"
    options = {"order": "recent_first", "dates": "none", "medication_name": "ingredient"}
    assert narrative(lake, "medication", **options) == "drug | NDC 99999999999"


def test_only_patients_with_earlier_records_have_a_text_and_its_hash(lake: Lake) -> None:
    table = lake.read("narratives")
    keys = set(table.select("patient_id", "kind").iter_rows())
    kinds = ("diagnosis", "procedure", "medication")
    assert keys == {*(("a", kind) for kind in kinds), ("c", "diagnosis")}
    for text, digest in table.select("text", "text_sha256").iter_rows():
        assert hashlib.sha256(text.encode()).hexdigest() == digest


def test_mentions_are_the_words_of_the_narrative_by_day(lake: Lake) -> None:
    mentions = lake.read("concept_mentions").filter(patient_id="a", kind="diagnosis")
    assert mentions.select("description", "days_before").rows() == [
        ("Asthma", 1),
        ("Asthma", 400),
        ("Diabetes", 10),
        ("Hypertension", 10),
        ("ICD-10-CM X99.9", 5),
    ]


def test_counts_stop_before_the_index_date_and_look_back_includes_its_last_day(lake: Lake) -> None:
    counts = dict(
        lake.read("event_counts", feature_study().windows[0])
        .filter(patient_id="a")
        .select("feature", "count")
        .iter_rows()
    )
    assert counts == {
        "diagnosis|ICD-10-CM|I10": 1,
        "diagnosis|ICD-10-CM|I10|last-10": 1,
        "diagnosis|ICD-10-CM|I10|last-31": 1,
        "diagnosis|ICD-10-CM|E119": 1,
        "diagnosis|ICD-10-CM|E119|last-10": 1,
        "diagnosis|ICD-10-CM|E119|last-31": 1,
        "diagnosis|ICD-10-CM|J45": 2,
        "diagnosis|ICD-10-CM|J45|last-10": 1,
        "diagnosis|ICD-10-CM|J45|last-31": 1,
        "diagnosis|ICD-10-CM|X999": 1,
        "diagnosis|ICD-10-CM|X999|last-10": 1,
        "diagnosis|ICD-10-CM|X999|last-31": 1,
        "procedure|CPT|99213": 1,
        "medication|RxNorm|20": 2,
        "medication|RxNorm|20|last-31": 2,
        "medication|NDC|99999999999": 1,
    }


def test_icd_codes_roll_up_to_their_category(lake: Lake) -> None:
    run_models(feature_study(counts={"roll_up_icd": True}), lake, ["int_event_counts"])
    features = set(lake.read("int_event_counts").filter(patient_id="c")["feature"])
    assert features == {"diagnosis|ICD-10-CM|E11", "diagnosis|ICD-9-CM|E849"}


def test_the_last_number_before_index_is_kept_for_each_unit(lake: Lake) -> None:
    table = lake.read("latest_measurement", feature_study().windows[0])
    assert set(table.iter_rows()) == {
        ("a", "lab|LOINC|1988-5|mg/l", 4.0),
        ("a", "lab|LOINC|1988-5|mg/dl", 0.4),
    }


def test_index_events_are_the_planted_ones(lake: Lake) -> None:
    assert lake.read("index_events")["index_date"].to_list() == [INDEX] * 3
