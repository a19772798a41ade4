"""TriNetX downloads: which files hold which table, and how their columns are called."""

from __future__ import annotations

from dataclasses import dataclass

from learn_assets.sources.files import SourceError, SourceFile, find_files, single_file
from learn_assets.sources.headers import TableLayout
from learn_assets.study import TrinetxSource

_PATIENT_ID = ("patientid", "patientnum", "patient", "personid", "pid", "id")
_ENCOUNTER_ID = ("encounterid", "encounter", "visitid")
_CODE_SYSTEM = ("codesystem", "codingsystem", "vocabulary", "vocabularyid")
_CODE = ("code", "conceptcode")
_DATE = ("date", "startdate", "eventdate", "servicedate", "datetime", "startdatetime")

_EVENT_ALIASES = {
    "patient_id": _PATIENT_ID,
    "encounter_id": _ENCOUNTER_ID,
    "code_system": _CODE_SYSTEM,
    "code": _CODE,
}
_EVENT_REQUIRED = ("patient_id", "code_system", "code", "date")
_ID = ("patient_id", "encounter_id")
_CODED = ("code_system", "code")
_SOURCED = ("derived_by_TriNetX", "source_id")
_INDICATORS = ("principal_diagnosis_indicator", "admitting_diagnosis", "reason_for_visit")
_DRUG = ("route", "brand", "strength")
_MEASURED = ("value_number", "value_text", "unit")

_PATIENT_ALIASES = {
    "patient_id": _PATIENT_ID,
    "sex": ("sex", "gender"),
    "race": ("race",),
    "ethnicity": ("ethnicity",),
    "year_of_birth": ("yearofbirth", "birthyear", "yob"),
    "death_date": ("monthyeardeath", "deathdate", "dateofdeath", "deathmonth"),
}


def _event_layout(date_names: tuple[str, ...], *orders: tuple[str, ...]) -> TableLayout:
    return TableLayout(
        required=_EVENT_REQUIRED,
        aliases={**_EVENT_ALIASES, "date": date_names},
        positional=(*orders, ("patient_id", "code_system", "code", "date")),
    )


LAYOUTS: dict[str, TableLayout] = {
    "patient": TableLayout(
        required=("patient_id", "sex", "year_of_birth"),
        aliases=_PATIENT_ALIASES,
        positional=(
            (
                *("patient_id", "sex", "race", "ethnicity", "marital_status", "year_of_birth"),
                *("reason_yob_missing", "death_date", "death_date_source_id"),
                *("patient_regional_location", "source_id"),
            ),
            (
                *("patient_id", "sex", "race", "ethnicity", "year_of_birth", "age_at_death"),
                *("patient_regional_location", "postal_code", "marital_status"),
                *("reason_yob_missing", "death_date", "source_id"),
            ),
            ("patient_id", "sex", "race", "ethnicity", "year_of_birth", "death_date"),
            ("patient_id", "sex", "race", "ethnicity", "year_of_birth"),
        ),
    ),
    "diagnosis": _event_layout(
        ("date", "diagnosisdate", *_DATE[1:]),
        (*_ID, *_CODED, *_INDICATORS, "date", *_SOURCED),
        (*_ID, "date", *_CODED, *_INDICATORS),
        (*_ID, *_CODED, "date"),
    ),
    "procedure": _event_layout(
        ("date", "proceduredate", *_DATE[1:]),
        (*_ID, *_CODED, "principal_procedure_indicator", "date", *_SOURCED),
        (*_ID, *_CODED, "date"),
    ),
    "medication": _event_layout(
        ("startdate", "date", "medicationdate", *_DATE[2:]),
        (*_ID, "unique_id", *_CODED, "date", *_DRUG, *_SOURCED),
        (*_ID, *_CODED, "unique_id", "date", *_DRUG, *_SOURCED),
        (*_ID, *_CODED, "date"),
    ),
    "lab_result": TableLayout(
        required=_EVENT_REQUIRED,
        aliases={
            **_EVENT_ALIASES,
            "date": ("date", "testdate", "resultdate", *_DATE[1:]),
            "value_number": ("labresultnumval", "numericresultval", "valuenumber", "value"),
            "value_text": ("labresulttextval", "textresultval", "valuetext", "textvalue"),
            "unit": ("unitsofmeasure", "unit", "units"),
        },
        positional=(
            (*_ID, *_CODED, "date", *_MEASURED, *_SOURCED),
            (*_ID, *_CODED, "date", *_MEASURED),
            (*_ID, "date", *_CODED, *_MEASURED),
        ),
    ),
    "terminology": TableLayout(
        required=("code_system", "code", "description"),
        aliases={
            "code_system": _CODE_SYSTEM,
            "code": _CODE,
            "description": ("codedescription", "description", "codename", "name", "title"),
        },
        positional=((*_CODED, "description", "unit"), (*_CODED, "description")),
    ),
    # Its other columns keep their names: validation reads some, the rest become features.
    "cohort_table": TableLayout(
        required=("patient_id", "iDate"),
        aliases={
            "patient_id": _PATIENT_ID,
            "iDate": ("idate", "indexdate"),
            "yob": ("yob", "yearofbirth"),
            "age_at_ANAp": ("ageatanap", "ageatindex"),
        },
    ),
    "genetic_score": TableLayout(
        required=("patient_id", "score"),
        aliases={
            "patient_id": _PATIENT_ID,
            "score": ("score", "geneticscore", "geneticriskscore", "polygenicscore", "prs", "grs"),
        },
        positional=(("patient_id", "score"),),
    ),
    "care_site": TableLayout(
        required=("patient_id", "care_site"),
        aliases={
            "patient_id": _PATIENT_ID,
            "care_site": (
                *("caresite", "caresiteid", "caresitename", "site", "siteid"),
                *("institution", "institutionid", "hospital", "hospitalid"),
            ),
        },
        positional=(("patient_id", "care_site"),),
    ),
    # Of OMOP alone; a download's records say how long a patient was observed.
    "observation_period": TableLayout(
        required=(),
        aliases=dict.fromkeys(("patient_id", "start_date", "end_date"), ()),
    ),
}

# A cohort table carries demographics too; its hundreds of feature columns are not demographics.
PATIENT_IN_COHORT_TABLE = TableLayout(
    required=("patient_id", "sex"), aliases=_PATIENT_ALIASES, keep_unknown=False
)

_STEMS: dict[str, tuple[str, ...]] = {
    "patient": ("patient", "patients", "patient_demographic"),
    "diagnosis": ("diagnosis", "diagnoses"),
    "procedure": ("procedure", "procedures"),
    "medication": ("medication_drug", "medication_ingredient", "medication", "medications"),
    "lab_result": ("lab_result", "lab_results"),
    "terminology": ("standardized_terminology", "terminology"),
}
_NEEDED = ("patient", "diagnosis", "procedure", "medication")


@dataclass(frozen=True)
class TableFiles:
    """The files of one table and how to read them; no files: the extract has no such table."""

    files: tuple[SourceFile, ...]
    layout: TableLayout


def table_files(source: TrinetxSource, table: str) -> TableFiles:
    """Return where a table of the extract stands.

    Without patient.csv the demographics come from the cohort table. SourceError when a needed file
    is absent, or a file that the study names.
    """
    layout = LAYOUTS[table]
    if table == "observation_period":
        return TableFiles((), layout)
    named = {
        "cohort_table": source.cohort_table,
        "genetic_score": source.genetic_score,
        "care_site": source.care_site,
    }
    if table in named:
        path = named[table]
        return TableFiles(() if path is None else (single_file(path),), layout)
    files = find_files(source.folder, _STEMS[table])
    if table == "patient" and not files and source.cohort_table is not None:
        return TableFiles((single_file(source.cohort_table),), PATIENT_IN_COHORT_TABLE)
    if table in _NEEDED and not files:
        raise SourceError(
            f"{_STEMS[table][0]}.csv (plain, .gz or .zip) is not in {source.folder}; "
            "put it there, or correct `source.folder` in the study"
        )
    return TableFiles(files, layout)
