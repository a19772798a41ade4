"""One made-up site of 60 patients, clean as it stands; each case spoils it in one way.

What belongs here: the site's rows, writing them as each data model has them, and loading them. A
third of the patients has the outcome, and every row is kept: 1,480 records.
"""

from __future__ import annotations

import csv
import random
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from learn_assets.lake import Lake
from learn_assets.schemas.registry import empty_frame
from learn_assets.sources.ingest import RAW_TABLES, ingest_table
from learn_assets.sources.rrf import RRF_TABLES
from learn_assets.study import Study
from learn_assets.validation.loss import assert_rows_kept
from learn_assets.validation.validate import ValidationReport, validate_table
from learn_assets.vocabulary.code_lists import resolve_code_lists
from learn_assets.warehouse import run_models

# Table -> rows of text cells, in the columns of HEADERS.
Site = dict[str, list[list[str]]]

_EVENT = ("patient_id", "encounter_id", "code_system", "code", "date")
HEADERS = {
    "patient": ("patient_id", "sex", "race", "ethnicity", "year_of_birth", "month_year_death"),
    "diagnosis": _EVENT,
    "procedure": _EVENT,
    "medication_drug": _EVENT,
    "lab_result": (*_EVENT, "lab_result_num_val", "lab_result_text_val", "units_of_measure"),
    "standardized_terminology": ("code_system", "code", "code_description"),
}
DATED = ("diagnosis", "procedure", "medication_drug", "lab_result")
EVENT_TABLES = ("diagnosis", "procedure", "medication", "lab_result")
ANA = "5048-4"
_DIAGNOSES = (
    *("M25.50", "R21", "D64.9", "I10", "E11.9", "K21.9", "J45.909", "N39.0", "R53.83", "L93.0"),
)
PROCEDURES = ["G0439", "J1885", "A0428", "G0008"]
# NDC -> RXCUI.
DRUGS = {"00011022203": "900001", "00022033304": "900002", "55555044405": "900003"}
_RECORDS = 1_480


def site(patients: int = 60, ident: Callable[[int], str] | None = None) -> Site:
    """Return the rows of a site; `ident` writes the id of the patient of a number."""
    draw = random.Random(7)
    rows: Site = {name: [] for name in HEADERS}
    for number in range(patients):
        person = ident(number) if ident else f"{10_000_000_000 + number * 37}"
        _add_patient(rows, number, person, draw)
    rows["standardized_terminology"] = [
        ["HCPCS", code, f"service number {number}"] for number, code in enumerate(PROCEDURES)
    ]
    return rows


def _add_patient(rows: Site, number: int, person: str, draw: random.Random) -> None:
    index = date(2014, 1, 1) + timedelta(draw.randrange(900))

    def day(first: int, last: int) -> str:
        return (index + timedelta(draw.randrange(first, last))).strftime("%Y%m%d")

    def event(table: str, system: str, code: str, on: str, *more: str) -> None:
        encounter = f"e{number}-{len(rows[table])}"
        rows[table].append([person, encounter, system, code, on, *more])

    sex = "F" if number % 5 else "M"
    rows["patient"].append([person, sex, "White", "Unknown", str(1950 + number % 40), ""])
    for _ in range(10):
        event("diagnosis", "ICD-10-CM", draw.choice(_DIAGNOSES), day(-1500, 1500))
    event("diagnosis", "ICD-10-CM", "I10", day(-1400, -900))
    event("diagnosis", "ICD-10-CM", "I10", day(1200, 1500))
    for after in (200 + number, 300 + number) if number % 3 == 0 else ():
        on = index + timedelta(after)
        event("diagnosis", "ICD-10-CM", "M32.9", on.strftime("%Y%m%d"))
    for _ in range(4):
        event("procedure", "HCPCS", draw.choice(PROCEDURES), day(-900, 900))
        event("medication_drug", "NDC", draw.choice(list(DRUGS)), day(-900, 900))
    event("lab_result", "LOINC", ANA, index.strftime("%Y%m%d"), "", "1:160", "")
    for _ in range(3):
        value = f"{draw.uniform(0.5, 2.0):.2f}"
        event("lab_result", "LOINC", "2160-0", day(-800, -1), value, "", "mg/dL")


def write_trinetx(folder: Path, rows: Site) -> dict[str, Any]:
    """Write a site as a TriNetX download and return its source."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, records in rows.items():
        with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as stream:
            csv.writer(stream, lineterminator="\n").writerows([HEADERS[name], *records])
    return {"format": "trinetx", "folder": folder}


def meds_events(rows: Site, hour: int = 9) -> pl.DataFrame:
    """Return a site as the events of a MEDS dataset, sorted by subject and time."""

    def at(day: date) -> datetime:
        return datetime.combine(day, time(hour))

    subject = {record[0]: 100 + number for number, record in enumerate(rows["patient"])}
    events: list[tuple[Any, ...]] = []
    for person, sex, _, _, birth, _ in rows["patient"]:
        events.append((subject[person], None, f"GENDER//{sex}", None, None))
        events.append((subject[person], at(date(int(birth), 6, 1)), "MEDS_BIRTH", None, None))
    written = {"diagnosis": "ICD10CM", "procedure": "HCPCS", "medication_drug": "NDC"}
    for table in DATED:
        for person, _, _, code, on, *values in rows[table]:
            number, text = values[:2] if values else ("", "")
            events.append(
                (
                    subject[person],
                    at(date.fromisoformat(on)),
                    f"{written.get(table, 'LOINC')}/{code}",
                    float(number) if number else None,
                    text or None,
                )
            )
    schema = {
        "subject_id": pl.Int64,
        "time": pl.Datetime("us"),
        "code": pl.String,
        "numeric_value": pl.Float32,
        "text_value": pl.String,
    }
    return pl.DataFrame(events, schema=schema, orient="row").sort("subject_id", "time")


def write_meds(folder: Path, events: pl.DataFrame, shard: str = "train/0") -> dict[str, Any]:
    """Write events as a shard of a MEDS dataset and return its source."""
    path = folder / "data" / f"{shard}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    events.write_parquet(path)
    return {"format": "meds", "folder": folder}


def omop_tables(rows: Site) -> dict[str, pl.DataFrame]:
    """Return a site as tables of an OMOP CDM; an ANA result is the number 160, operator 0."""
    person = {record[0]: 500 + number for number, record in enumerate(rows["patient"])}
    vocabulary = {"ICD-10-CM": "ICD10CM", "HCPCS": "HCPCS", "NDC": "NDC", "LOINC": "LOINC"}
    domain = {"ICD-10-CM": "Condition", "HCPCS": "Procedure", "NDC": "Drug", "LOINC": "Measurement"}
    concepts: dict[tuple[str, str], int] = {}

    def concept(system: str, code: str) -> int:
        return concepts.setdefault((system, code), 1000 + len(concepts))

    def events(table: str, name: str, stem: str, dated: str) -> pl.DataFrame:
        records = rows[table]
        return pl.DataFrame(
            {
                f"{name}_id": range(1, len(records) + 1),
                "person_id": [person[record[0]] for record in records],
                f"{stem}_concept_id": [concept(record[2], record[3]) for record in records],
                dated: [date.fromisoformat(record[4]) for record in records],
                f"{stem}_source_value": [record[3] for record in records],
                f"{stem}_source_concept_id": [0] * len(records),
            }
        )

    tables = {
        "person": pl.DataFrame(
            {
                "person_id": person.values(),
                "gender_concept_id": [8532 if r[1] == "F" else 8507 for r in rows["patient"]],
                "year_of_birth": [int(record[4]) for record in rows["patient"]],
            }
        ),
        "condition_occurrence": events(
            "diagnosis", "condition_occurrence", "condition", "condition_start_date"
        ),
        "procedure_occurrence": events(
            "procedure", "procedure_occurrence", "procedure", "procedure_date"
        ),
        "drug_exposure": events(
            "medication_drug", "drug_exposure", "drug", "drug_exposure_start_date"
        ),
    }
    results = rows["lab_result"]
    tables["measurement"] = events(
        "lab_result", "measurement", "measurement", "measurement_date"
    ).with_columns(
        pl.Series("value_as_number", [160.0 if r[6] else float(r[5]) for r in results]),
        pl.lit(0).alias("operator_concept_id"),
        pl.Series("value_source_value", [r[6] or r[5] for r in results]),
        pl.Series("unit_source_value", [r[7] or None for r in results]),
    )
    tables["concept"] = pl.DataFrame(
        [(0, "No matching concept", "None", "No matching concept", "Metadata")]
        + [
            (number, f"name of {code}", vocabulary[system], code, domain[system])
            for (system, code), number in concepts.items()
        ],
        schema=["concept_id", "concept_name", "vocabulary_id", "concept_code", "domain_id"],
        orient="row",
    )
    return tables


def write_omop(folder: Path, tables: dict[str, pl.DataFrame], form: str) -> dict[str, Any]:
    """Write tables as a folder of `parquet` or `csv` files, or as one `duckdb` file."""
    folder.mkdir(parents=True, exist_ok=True)
    if form == "duckdb":
        with duckdb.connect(str(folder / "cdm.duckdb")) as connection:
            for name, frame in tables.items():
                connection.register("frame", frame.to_arrow())
                connection.execute(f'CREATE TABLE "{name}" AS SELECT * FROM frame')
        return {"format": "omop", "path": folder / "cdm.duckdb"}
    for name, frame in tables.items():
        path = folder / f"{name}.{form}"
        frame.write_parquet(path) if form == "parquet" else frame.write_csv(path)
    return {"format": "omop", "path": folder}


def study_of(source: dict[str, Any], **more: Any) -> Study:
    """Return the study of the site: first positive ANA, then lupus on two days."""
    document = {
        "name": "field",
        "title": "Made-up site",
        "source": source,
        "cohort": {
            "mode": "derived",
            "index_event": {
                "kinds": ["lab_result"],
                "code_list": "ana",
                "value_text": ["positive", "1:80", "1:160", "1:320"],
                "value_at_least": 80,
            },
            "outcome": {"code_list": "sle", "distinct_days": 2},
        },
        "code_lists": {
            "ana": [{"code_system": "LOINC", "codes": [ANA]}],
            "sle": [{"code_system": "ICD-10-CM", "codes": ["M32.9"]}],
        },
        "windows": [{"LIS": 365, "BP": 90, "FUP": 730}],
        "privacy": {"minimum_cell": 1},
        **more,
    }
    return Study.model_validate(document)


def load(
    study: Study, lake: Lake, tables: Iterable[str] = RAW_TABLES
) -> dict[str, ValidationReport]:
    """Ingest and validate tables as a run does; too many refused rows raise RowLossError."""
    for table in tables:
        ingest_table(study, lake, table)
    reports = {}
    for table in tables:
        report = reports[table] = validate_table(study, lake, table)
        assert_rows_kept(study, table, report.rows_in, dict(report.reasons), "quarantine")
    return reports


def records(lake: Lake) -> int:
    """Return how many records were kept."""
    return sum(lake.read(table).height for table in EVENT_TABLES)


def facts(lake: Lake, *columns: str) -> dict[str, Counter[tuple[Any, ...]]]:
    """Return what each record says, without its place in the source."""
    wanted = columns or ("patient_id", "date", "code_system", "code")
    return {table: Counter(lake.read(table).select(wanted).iter_rows()) for table in EVENT_TABLES}


def assert_whole(lake: Lake) -> None:
    """Every patient and every record of the site was kept."""
    assert (lake.read("patient").height, records(lake)) == (60, _RECORDS)


def index_of(study: Study, lake: Lake) -> int:
    """Make the index events from loaded tables; return how many patients have one."""
    lake.write("code_list", resolve_code_lists(study))
    # Neither titles of codes nor a release of drug names matter here.
    lake.write("packaged_description", empty_frame("packaged_description"))
    for spec in RRF_TABLES:
        lake.write(spec.table, pl.DataFrame(schema=spec.schema))
    models = ["int_recorded_codes", "ndc_to_rxnorm", "int_rxnorm_current", "rxnorm_name"]
    models += ["int_medication_code", "int_listed_codes", "int_code_list_events"]
    run_models(study, lake, [*models, "int_patient_span", "index_events", "index_results"])
    return lake.read("index_events").height
