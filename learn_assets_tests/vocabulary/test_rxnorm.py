"""RxNorm models: national drug codes, retired concepts, names and ingredients."""

from __future__ import annotations

from typing import Any

import duckdb
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import Environment

from learn_assets.lake import Lake
from learn_assets.warehouse import project_folder, run_models
from learn_assets_tests.canonical import Tables, assert_no_failed_tests, record, study_of

MODELS = (
    *("int_recorded_codes", "int_rxnorm_current", "ndc_to_rxnorm", "rxnorm_name"),
    *("int_medication_code", "normalized_medication", "code_description"),
)


def concept(rxcui: str, name: str, term_type: str = "SCD", **more: Any) -> dict[str, Any]:
    return {
        "rxcui": rxcui,
        "name": name,
        "term_type": term_type,
        "source": "RXNORM",
        "language": "ENG",
        "suppress": "N",
        **more,
    }


def ndc(value: str, rxcui: str, source: str = "RXNORM", suppress: str = "N") -> dict[str, str]:
    return {
        "attribute": "NDC",
        "value": value,
        "rxcui": rxcui,
        "source": source,
        "suppress": suppress,
    }


def part(whole: str, relation: str, piece: str) -> dict[str, str]:
    return {"rxcui1": piece, "relation": relation, "rxcui2": whole}


TABLES = Tables(
    {
        "rxnconso": [
            concept("1", "nan", "PSN"),
            concept("1", "lisinopril 5 MG Oral Tablet"),
            concept("1", "LISINOPRIL TAB", "SY", source="MTHSPL"),
            concept("2", "old name", "SCD", suppress="O"),
            concept("2", "label name", "DP", source="MTHSPL"),
            concept("3", "nom", language="FRE"),
            concept("3", "name"),
            concept("3", "preferred name", "PSN"),
            concept("10", "lisinopril", "IN"),
            concept("11", "hydrochlorothiazide", "IN"),
            concept("12", "hydrochlorothiazide / lisinopril", "MIN"),
            concept("20", "lisinopril 5 MG", "SCDC"),
            concept("21", "both 5 MG Oral Tablet"),
            concept("22", "Zestril", "BN"),
            concept("23", "Zestril 5 MG Oral Tablet", "SBD"),
            concept("24", "both, without a concept of its own"),
        ],
        "rxnrel": [
            part("1", "consists_of", "20"),
            part("20", "has_ingredient", "10"),
            part("10", "ingredient_of", "20"),
            part("21", "has_ingredients", "12"),
            part("12", "has_part", "10"),
            part("12", "has_part", "11"),
            part("22", "tradename_of", "10"),
            part("23", "tradename_of", "1"),
            part("23", "has_ingredient", "22"),
            part("24", "has_ingredient", "10"),
            part("24", "has_ingredient", "11"),
        ],
        "rxnatomarchive": [
            *({"rxcui_old": "90", "rxcui_new": "91"}, {"rxcui_old": "91", "rxcui_new": "1"}),
            *({"rxcui_old": "95", "rxcui_new": "96"}, {"rxcui_old": "96", "rxcui_new": "95"}),
            {"rxcui_old": "97", "rxcui_new": "404"},
        ],
        "rxnsat": [
            *(ndc("00001-0002-03", "1"), ndc("0004-0005-06", "1"), ndc("00007-008-09", "1")),
            *(ndc("00010-0011-1", "1"), ndc("000120-0013-14", "1"), ndc("00015001617", "1")),
            *(ndc("00018-*019-20", "1"), ndc("1234567890", "1"), ndc("12345-6789", "1")),
            # Several concepts: a name in this release, not suppressed, RXNORM, lowest number.
            *(ndc("50000000001", "97"), ndc("50000000001", "90"), ndc("50000000001", "3")),
            *(ndc("50000000002", "1", suppress="O"), ndc("50000000002", "3")),
            *(ndc("50000000003", "1", "MTHSPL"), ndc("50000000003", "3")),
            *(ndc("50000000004", "21"), ndc("50000000004", "3")),
            ndc("50000000005", "90"),
            # Ten bare digits 1111122222 may be 01111122222, 11111022222 or 11111222202.
            *(ndc("01111-1222-22", "1"), ndc("11111-0222-22", "1")),
            *(ndc("03333-3444-44", "1"), ndc("33333-0444-44", "3")),
        ],
        "medication": [
            *(record("p", -1, "NDC", code) for code in ("0001-0002-03", "1111122222")),
            *(record("p", -1, "NDC", code) for code in ("3333344444", "77777777777")),
            *(record("p", -1, "RxNorm", code) for code in ("1", "91", "95", "500", "600")),
        ],
        "terminology": [
            {"code_system": "RxNorm", "code": "500", "description": "site name"},
            {"code_system": "NDC", "code": "77777777777", "description": "NaN"},
            {"code_system": "RxNorm", "code": "1", "description": "site name of a known drug"},
        ],
    }
)


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    lake = Lake(tmp_path_factory.mktemp("rxnorm") / "lake")
    study = study_of()
    TABLES.write(lake, study)
    assert_no_failed_tests({"": run_models(study, lake, MODELS)})
    return lake


@pytest.mark.parametrize(
    "written",
    [
        *("00001000203", "00004000506", "00007000809", "00010001101", "00120001314"),
        *("00015001617", "00018001920"),
    ],
)
def test_each_form_of_an_ndc_becomes_eleven_digits(lake: Lake, written: str) -> None:
    assert written in lake.read("ndc_to_rxnorm")["ndc"].to_list()


def test_an_ambiguous_or_broken_ndc_of_the_release_is_left_out(lake: Lake) -> None:
    codes = lake.read("ndc_to_rxnorm")["ndc"].to_list()
    assert not any("123456789" in code for code in codes)
    assert all(len(code) == 11 for code in codes)


@pytest.mark.parametrize(
    ("code", "rxcui", "origin"),
    [
        ("50000000001", "3", "current"),
        ("50000000002", "3", "current"),
        ("50000000003", "3", "current"),
        ("50000000004", "3", "current"),
        ("50000000005", "1", "archive"),
    ],
)
def test_one_concept_an_ndc(lake: Lake, code: str, rxcui: str, origin: str) -> None:
    row = lake.read("ndc_to_rxnorm").row(by_predicate=_equals("ndc", code))
    assert row == (code, rxcui, origin)


@pytest.mark.parametrize(
    ("code", "rxcui", "name"),
    [
        ("0001-0002-03", "1", "lisinopril 5 MG Oral Tablet"),
        ("1111122222", "1", "lisinopril 5 MG Oral Tablet"),
        ("3333344444", None, None),
        ("77777777777", None, None),
        ("1", "1", "lisinopril 5 MG Oral Tablet"),
        ("91", "1", "lisinopril 5 MG Oral Tablet"),
        ("95", "95", None),
        ("500", "500", "site name"),
        ("600", "600", None),
    ],
)
def test_drug_records_get_concept_and_name(
    lake: Lake, code: str, rxcui: str | None, name: str | None
) -> None:
    row = lake.read("normalized_medication").row(by_predicate=_equals("code", code), named=True)
    assert (row["rxcui"], row["drug_name"]) == (rxcui, name)


@pytest.mark.parametrize(
    ("rxcui", "name", "ingredient_rxcui", "ingredient"),
    [
        ("1", "lisinopril 5 MG Oral Tablet", "10", "lisinopril"),
        ("2", "label name", None, None),
        ("3", "preferred name", None, None),
        ("10", "lisinopril", "10", "lisinopril"),
        ("21", "both 5 MG Oral Tablet", "12", "hydrochlorothiazide / lisinopril"),
        ("23", "Zestril 5 MG Oral Tablet", "10", "lisinopril"),
        (
            "24",
            "both, without a concept of its own",
            None,
            "hydrochlorothiazide / lisinopril",
        ),
    ],
)
def test_name_and_ingredient_of_a_concept(
    lake: Lake, rxcui: str, name: str, ingredient_rxcui: str | None, ingredient: str | None
) -> None:
    row = lake.read("rxnorm_name").row(by_predicate=_equals("rxcui", rxcui))
    assert row == (rxcui, name, ingredient_rxcui, ingredient)


def test_drugs_are_described_by_rxnorm_first(lake: Lake) -> None:
    described = lake.read("code_description")
    origins = dict(described.filter(kind="medication").select("code", "origin").iter_rows())
    assert origins["1"] == "rxnorm"
    assert origins["500"] == "site"
    assert "77777777777" not in origins


segments = st.sampled_from([(4, 4, 2), (5, 3, 2), (5, 4, 1), (5, 4, 2)])


@given(lengths=segments, digits=st.text("0123456789", min_size=11, max_size=11))
def test_ndc_macro_agrees_with_padding_segment_by_segment(
    lengths: tuple[int, int, int], digits: str
) -> None:
    labeler, product, package = lengths
    parts = (
        digits[:labeler],
        digits[labeler : labeler + product],
        digits[labeler + product : labeler + product + package],
    )
    expected = "".join(text.zfill(size) for text, size in zip(parts, (5, 4, 2), strict=True))
    found = duckdb.execute(f"select {render_ndc_eleven()}", ["-".join(parts)]).fetchone()
    assert found == (expected,)


def render_ndc_eleven() -> str:
    """Return the SQL of the macro `ndc_eleven` applied to the first parameter."""
    source = (project_folder() / "macros" / "codes.sql").read_text(encoding="utf-8")
    template = Environment(autoescape=False).from_string(source + "{{ ndc_eleven('$1::varchar') }}")
    return template.render()


def _equals(column: str, value: str) -> pl.Expr:
    return pl.col(column) == value
