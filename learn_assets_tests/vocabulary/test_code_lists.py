"""Code lists: packaged, replaced by the study's own, unknown, and resolved from OMOP concepts."""

from __future__ import annotations

import polars as pl
import pytest

from learn_assets.study import Study
from learn_assets.vocabulary.code_lists import (
    UnknownCodeListError,
    packaged_code_lists,
    resolve_code_lists,
)
from learn_assets_tests.canonical import study_of


def codes(study: Study, name: str) -> set[tuple[str, str, str]]:
    frame = resolve_code_lists(study).filter(list=name)
    return set(frame.select("code_system", "code", "match").iter_rows())


def with_list(entries: list[dict[str, object]]) -> Study:
    return study_of(
        cohort={"index_event": {"kinds": ["diagnosis"], "code_list": "index"}},
        code_lists={"index": entries},
    )


def test_packaged_lists_are_whole_and_tell_lupus_from_drug_induced_lupus() -> None:
    lists = packaged_code_lists()
    assert {"lupus_nephritis", "end_stage_renal_disease", "cancer", "serositis"} <= set(lists)
    sle = [code for entry in lists["systemic_lupus_erythematosus"] for code in entry.codes]
    assert not any("M32.0".startswith(code) for code in sle)


def test_only_lists_that_rules_refer_to_are_resolved_in_one_spelling() -> None:
    study = study_of()
    lists = set(resolve_code_lists(study)["list"])
    named_by_rules = {name for name in lists if not name.startswith("charlson_")}
    assert named_by_rules == {"index", "systemic_lupus_erythematosus"}
    found = codes(study, "systemic_lupus_erythematosus")
    assert ("ICD-10-CM", "M321", "prefix") in found
    assert ("ICD-9-CM", "7100", "exact") in found


def test_a_list_of_the_study_replaces_the_packaged_one() -> None:
    own = {"systemic_lupus_erythematosus": [{"code_system": "ICD-10-CM", "codes": ["m32.9"]}]}
    study = study_of(code_lists={**study_of().model_dump()["code_lists"], **own})
    assert codes(study, "systemic_lupus_erythematosus") == {("ICD-10-CM", "M329", "prefix")}


def test_an_unknown_list_names_the_known_ones() -> None:
    study = study_of(code_lists={})
    with pytest.raises(UnknownCodeListError, match=r"no code list index.*lupus_nephritis"):
        resolve_code_lists(study)


def test_omop_concepts_go_through_the_resolver() -> None:
    study = with_list([{"code_system": "OMOP", "codes": ["192671"], "include_descendants": True}])
    asked: list[tuple[tuple[str, ...], bool]] = []

    def resolve(ids: tuple[str, ...], descendants: bool) -> list[tuple[str, str]]:
        asked.append((ids, descendants))
        return [("SNOMED", "74474003"), ("ICD-10-CM", "k92.2")]

    frame = resolve_code_lists(study, resolve).filter(list="index")
    assert asked == [(("192671",), True)]
    assert set(frame.select(pl.exclude("list")).iter_rows()) == {
        ("SNOMED", "74474003", "exact"),
        ("ICD-10-CM", "K922", "exact"),
    }


def test_concepts_without_a_vocabulary_are_an_error() -> None:
    study = with_list([{"code_system": "OMOP", "codes": ["1"]}])
    with pytest.raises(ValueError, match="OMOP source"):
        resolve_code_lists(study)
    with pytest.raises(ValueError, match="none of its 1"):
        resolve_code_lists(study, lambda ids, descendants: [])


def test_a_code_system_is_written_as_records_write_it() -> None:
    study = with_list([{"code_system": "icd10cm", "codes": ["k92.2"]}])
    assert codes(study, "index") == {("ICD-10-CM", "K922", "prefix")}


def test_a_code_system_no_record_can_have_is_an_error() -> None:
    study = with_list([{"code_system": "ICD-10", "codes": ["K92.2"]}])
    with pytest.raises(ValueError, match=r"`index`.*ICD-10.*ICD-10-CM.*extra_code_systems"):
        resolve_code_lists(study)
    extra = study.vocabulary.model_copy(update={"extra_code_systems": ("ICD-10",)})
    accepted = study.model_copy(update={"vocabulary": extra})
    assert codes(accepted, "index") == {("ICD-10", "K922", "prefix")}


def test_only_icd_codes_stand_for_those_below_them_unless_the_list_says_so() -> None:
    entries: list[dict[str, object]] = [
        {"code_system": "icd9cm", "codes": ["710"]},
        {"code_system": "RxNorm", "codes": ["5521"]},
        {"code_system": "CPT", "codes": ["992"], "match": "prefix"},
    ]
    assert codes(with_list(entries), "index") == {
        ("ICD-9-CM", "710", "prefix"),
        # RxNorm 55210 has nothing to do with 5521.
        ("RxNorm", "5521", "exact"),
        ("CPT", "992", "prefix"),
    }


def test_no_comorbidity_list_holds_a_lupus_or_rheumatic_code() -> None:
    lists = packaged_code_lists()
    rheumatic = ("M05", "M06", "M315", "M32", "M33", "M34", "M35", "M360", "710", "714", "725")
    comorbidity = [name for name in lists if name.startswith("charlson_")]
    assert len(comorbidity) == 16
    for name in comorbidity:
        codes = [code.replace(".", "") for entry in lists[name] for code in entry.codes]
        assert not [code for code in codes if code.startswith(rheumatic)]


def test_no_kidney_code_alone_means_lupus_nephritis() -> None:
    systems = {entry.code_system for entry in packaged_code_lists()["lupus_nephritis"]}
    assert systems == {"ICD-10-CM"}
