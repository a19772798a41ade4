"""Descriptions of codes: site, packaged and parent titles, what stays unmapped, and coverage."""

from __future__ import annotations

import pytest

from learn_assets.lake import Lake
from learn_assets.vocabulary.coverage import coverage_below
from learn_assets.warehouse import run_models
from learn_assets_tests.canonical import Tables, assert_no_failed_tests, record, study_of

MODELS = (
    *("int_recorded_codes", "int_rxnorm_current", "ndc_to_rxnorm", "rxnorm_name"),
    *("int_medication_code", "code_description", "unmapped_codes", "description_coverage"),
)
TITLES = {"A00": "Cholera", "A000": "Cholera, classical", "B00": "Herpes", "M0": "Not a category"}
TABLES = Tables(
    {
        "packaged_description": [
            {"code_system": "ICD-10-CM", "code": code, "description": title}
            for code, title in TITLES.items()
        ],
        "terminology": [
            {"code_system": "ICD-10-CM", "code": "B00", "description": "the site says herpes"},
            {"code_system": "CPT", "code": "99213", "description": "visit, second in the alphabet"},
            {"code_system": "CPT", "code": "99213", "description": "a visit"},
            {"code_system": "CPT", "code": "99214", "description": " NaN "},
        ],
        "diagnosis": [
            *(record("p", -1, "ICD-10-CM", code) for code in ("A00.0", "a00.9", "A00", "B00")),
            *(record("p", -1, "ICD-10-CM", code) for code in ("B00.89", "M01.2", "ZZZ")),
        ],
        "procedure": [
            *(record("p", -1, "CPT", code) for code in ("99213", "99213", "99213", "99214")),
            *(record("p", -1, "ICD-10-PCS", code) for code in ("A000000",)),
        ],
    }
)


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    lake = Lake(tmp_path_factory.mktemp("descriptions") / "lake")
    TABLES.write(lake, study_of())
    return lake


def test_site_then_packaged_then_parent(lake: Lake) -> None:
    assert_no_failed_tests({"": run_models(study_of(), lake, MODELS)})
    found = {row[2]: row[3:] for row in lake.read("code_description").iter_rows()}
    assert found == {
        "A00.0": ("Cholera, classical", "packaged"),
        "A00": ("Cholera", "packaged"),
        "a00.9": ("Cholera", "parent"),
        "B00": ("the site says herpes", "site"),
        "B00.89": ("the site says herpes", "parent"),
        "99213": ("a visit", "site"),
    }


def test_what_has_no_description_is_listed_worst_first(lake: Lake) -> None:
    run_models(study_of(), lake, MODELS)
    codes = lake.read("unmapped_codes").select("code_system", "code", "records")
    assert set(codes.iter_rows()) == {
        ("ICD-10-CM", "M01.2", 1),
        ("ICD-10-CM", "ZZZ", 1),
        ("CPT", "99214", 1),
        ("ICD-10-PCS", "A000000", 1),
    }
    assert codes["records"].is_sorted(descending=True)


def test_coverage_is_judged_by_kind(lake: Lake) -> None:
    study = study_of(vocabulary={"minimum_coverage": 0.7})
    run_models(study, lake, MODELS)
    coverage = coverage_below(study, lake.read("description_coverage"))
    assert coverage.by_kind == {"diagnosis": 5 / 7, "procedure": 3 / 5}
    assert coverage.below == ("procedure",)


def test_packaged_titles_can_be_turned_off(lake: Lake) -> None:
    run_models(study_of(vocabulary={"packaged_icd": False}), lake, MODELS)
    origins = dict(lake.read("code_description").select("code", "origin").iter_rows())
    assert origins == {"B00": "site", "B00.89": "parent", "99213": "site"}
