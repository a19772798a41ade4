"""Codes and code systems in the spellings of sites: the codes of the base site, or refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from learn_assets.lake import Lake
from learn_assets.quality.codes import has_form
from learn_assets.sources.rrf import RRF_TABLES
from learn_assets.validation.code_systems import CodeSystems
from learn_assets.validation.loss import RowLossError
from learn_assets.vocabulary.code_lists import comparable_code
from learn_assets.warehouse import run_models
from learn_assets_tests.canonical import Tables
from learn_assets_tests.field_cases.site import (
    DRUGS,
    EVENT_TABLES,
    Site,
    load,
    site,
    study_of,
    write_trinetx,
)

Write = Callable[[str, int], str]


def pad(code: str, place: int) -> str:
    """Return an ICD code padded, in lower case, with a dot behind it, or as it is."""
    return [code.replace(".", "").ljust(8), code.lower(), f"{code}.", code][place % 4]


def modify(code: str, place: int) -> str:
    """Return a service with a modifier, blank or in lower case."""
    return [f"{code}-59", f"{code}:XU", f"{code} ", code.lower()][place % 4]


def without_zeros(code: str, place: int) -> str:
    return str(int(code))


def as_float(code: str, place: int) -> str:
    return [f"{int(code)}.0", f"{code}.0"][place % 2]


def written(table: str, write: Write) -> Site:
    """Return the site with the codes of a table written anew."""
    rows = site()
    for place, row in enumerate(rows[table]):
        row[3] = write(row[3], place)
    return rows


def compared(lake: Lake) -> set[tuple[str, str, str, int]]:
    """Return the codes of the records as they are compared, with their records."""
    for spec in RRF_TABLES:
        lake.write(spec.table, pl.DataFrame(schema=spec.schema))
    run_models(study_of({"format": "trinetx", "folder": "none"}), lake, ["int_recorded_codes"])
    codes = lake.read("int_recorded_codes")
    by_code = codes.group_by("kind", "code_system", "lookup_code")
    return set(by_code.agg(pl.col("records").sum()).iter_rows())


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> set[tuple[str, str, str, int]]:
    folder = tmp_path_factory.mktemp("clean")
    lake = Lake(folder / "lake")
    load(study_of(write_trinetx(folder / "site", site())), lake)
    return compared(lake)


@pytest.mark.parametrize(
    ("table", "write"),
    [
        ("diagnosis", pad),
        ("procedure", modify),
        ("medication_drug", without_zeros),
        ("medication_drug", as_float),
    ],
)
def test_another_spelling_is_the_same_code(
    tmp_path: Path,
    lake: Lake,
    clean: set[tuple[str, str, str, int]],
    table: str,
    write: Write,
) -> None:
    load(study_of(write_trinetx(tmp_path / "site", written(table, write))), lake)
    assert compared(lake) == clean
    for name in EVENT_TABLES:
        codes = lake.read(name)
        assert codes.select(has_form(pl.col("code_system"), pl.col("code")).all()).item()


@pytest.mark.parametrize("write", [without_zeros, as_float, lambda code, _: f"{DRUGS[code]}.0"])
def test_drugs_are_named_whatever_the_spelling(tmp_path: Path, lake: Lake, write: Write) -> None:
    rows = written("medication_drug", write)
    of_rxnorm = rows["medication_drug"][0][3] in [f"{rxcui}.0" for rxcui in DRUGS.values()]
    for row in rows["medication_drug"] if of_rxnorm else ():
        row[2] = "RxNorm"
    study = study_of(write_trinetx(tmp_path / "site", rows))
    load(study, lake)
    release = Tables(
        {
            "rxnconso": [
                {"rxcui": rxcui, "name": f"drug {rxcui}", "term_type": "SCD", "source": "RXNORM"}
                for rxcui in DRUGS.values()
            ],
            "rxnsat": [
                {"attribute": "NDC", "value": ndc, "rxcui": rxcui, "source": "RXNORM"}
                for ndc, rxcui in DRUGS.items()
            ],
        }
    )
    drugs = Lake(tmp_path / "release")
    release.write(drugs, study)
    for spec in RRF_TABLES:
        lake.write(spec.table, drugs.read(spec.table))
    models = ["int_recorded_codes", "int_rxnorm_current", "ndc_to_rxnorm", "rxnorm_name"]
    run_models(study, lake, [*models, "int_medication_code", "normalized_medication"])
    assert lake.read("normalized_medication")["rxcui"].null_count() == 0


def test_codes_in_scientific_notation_are_refused(tmp_path: Path, lake: Lake) -> None:
    rows = written("medication_drug", lambda code, place: f"{int(code):.1E}")
    with pytest.raises(RowLossError, match=r"`lost_digits`.* scientific notation"):
        load(study_of(write_trinetx(tmp_path / "site", rows)), lake)


SPELLINGS = (
    *("ICD10", "ICD-10", "ICD10-CM", "ICD-10-CM", "http://hl7.org/fhir/sid/icd-10-cm"),
    *("CIE-10-ES", "urn:oid:2.16.840.1.113883.6.90"),
)


def test_spellings_of_icd_are_one_system(tmp_path: Path, lake: Lake) -> None:
    rows = site()
    for place, row in enumerate(rows["diagnosis"]):
        row[2] = SPELLINGS[place % len(SPELLINGS)]
    load(study_of(write_trinetx(tmp_path / "site", rows)), lake)
    assert lake.read("diagnosis")["code_system"].unique().to_list() == ["ICD-10-CM"]


def test_icd_without_a_modification_is_that_of_its_records() -> None:
    assert CodeSystems().of_records("ICD-10", of_procedures=True) == "ICD-10-PCS"
    assert CodeSystems().of_records("ICD9", of_procedures=False) == "ICD-9-CM"
    # In OMOP it is the vocabulary of the World Health Organization.
    omop = CodeSystems(accept_any=True)
    assert omop.of_records("ICD10", of_procedures=False) == "ICD10"
    # A code list has to say which it means.
    assert CodeSystems().normalize("ICD-10") is None


@pytest.mark.parametrize(
    ("code_system", "code", "expected"),
    [
        ("ICD-9-CM", "710.0", "7100"),
        ("ICD-9-PCS", "38.0", "380"),
        ("HCPCS", "G0439-59", "G0439"),
        ("CPT", "99213.0", "99213"),
        ("NDC", "11022203.0", "00011022203"),
        ("NDC", "0002-1234-01", "0002-1234-01"),
        ("RxNorm", "900001.0", "900001"),
        ("LOINC", "5048-4", "5048-4"),
    ],
)
def test_lists_and_records_compare_codes_alike(
    code_system: str, code: str, expected: str, lake: Lake
) -> None:
    assert comparable_code(code_system, code) == expected
    study = study_of({"format": "trinetx", "folder": "none"})
    record = {"patient_id": "1", "code_system": code_system, "code": code}
    Tables({"diagnosis": [record]}).write(lake, study)
    run_models(study, lake, ["int_recorded_codes"])
    assert lake.read("int_recorded_codes")["lookup_code"].to_list() == [expected]
