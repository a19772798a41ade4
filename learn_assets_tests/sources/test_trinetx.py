"""TriNetX downloads: header variants, compression, parts, what is missing."""

from __future__ import annotations

import gzip
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from learn_assets.lake import Lake
from learn_assets.sources import delimited
from learn_assets.sources.delimited import ParsedBlock, parse_block
from learn_assets.sources.files import SourceError
from learn_assets.sources.headers import MOST_COLUMNS
from learn_assets.sources.ingest import RAW_TABLES, ingest_table, source_fingerprint
from learn_assets_tests.extracts import (
    DIAGNOSES,
    EVENT_HEADER,
    PATIENT_HEADER,
    PATIENTS,
    compress,
    csv_text,
    golden_study,
    load,
    pack,
    raw,
    trinetx_study,
    write_extract,
)

CANONICAL = [*EVENT_HEADER]
DOWNLOADED = (
    *("patient_id", "encounter_id", "code_system", "code", "principal_diagnosis_indicator"),
    *("admitting_diagnosis", "reason_for_visit", "date", "derived_by_TriNetX", "source_id"),
)


def as_downloaded(row: tuple[str, ...]) -> tuple[str, ...]:
    return (*row[:4], "U", "U", "U", row[4], "F", "EHR")


def read_diagnosis(folder: Path, lake: Lake) -> pl.DataFrame:
    ingest_table(trinetx_study(folder), lake, "diagnosis")
    return lake.read("raw_diagnosis").select(CANONICAL)


PLAIN = pl.DataFrame(DIAGNOSES, schema=dict.fromkeys(CANONICAL, pl.String()), orient="row")

VARIANTS = {
    "as written": csv_text(EVENT_HEADER, DIAGNOSES),
    "spaces and capitals": csv_text(
        ("Patient ID", "Encounter ID", "Code System", "Code", "Start Date"), DIAGNOSES
    ),
    "run together": csv_text(
        ("PatientID", "EncounterID", "CodeSystem", "Code", "start_date"), DIAGNOSES
    ),
    "unnamed id": csv_text(("", "encounter_id", "code_system", "code", "date"), DIAGNOSES),
    "pandas id": csv_text(("Unnamed: 0", "encounter_id", "code_system", "code", "date"), DIAGNOSES),
    "no header": csv_text(None, DIAGNOSES),
    "no header, as downloaded": csv_text(None, [as_downloaded(row) for row in DIAGNOSES]),
    "as downloaded": csv_text(DOWNLOADED, [as_downloaded(row) for row in DIAGNOSES]),
    "byte order mark": "\ufeff" + csv_text(EVENT_HEADER, DIAGNOSES),
    "carriage returns": csv_text(EVENT_HEADER, DIAGNOSES).replace("\n", "\r\n"),
    "no last line end": csv_text(EVENT_HEADER, DIAGNOSES).rstrip("\n"),
    "all quoted": "\n".join(
        ",".join(f'"{cell}"' for cell in row) for row in [EVENT_HEADER, *DIAGNOSES]
    ),
    "semicolons": csv_text(EVENT_HEADER, DIAGNOSES).replace(",", ";"),
    "empty lines": "\n\n" + csv_text(EVENT_HEADER, DIAGNOSES).replace("\n", "\n\n"),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_header_variants_read_alike(variant: str, tmp_path: Path, lake: Lake) -> None:
    folder = write_extract(tmp_path / "site", diagnosis=VARIANTS[variant])
    assert read_diagnosis(folder, lake).equals(PLAIN)


@pytest.mark.parametrize("rows", [0, 1, 2])
def test_line_ends_of_cr_alone_are_named(rows: int, tmp_path: Path, lake: Lake) -> None:
    """Wherever they begin: they made the header swallow the rows, or a row the rows after it."""
    lines = csv_text(EVENT_HEADER, DIAGNOSES).splitlines()
    text = "\n".join([*lines[:rows], "\r".join(lines[rows:])])
    folder = write_extract(tmp_path / "site", diagnosis=text)
    with pytest.raises(SourceError, match=rf"diagnosis\.csv, line {rows + 1}: .* CR "):
        ingest_table(trinetx_study(folder), lake, "diagnosis")


def test_a_cr_inside_a_text_is_no_line_end(tmp_path: Path, lake: Lake) -> None:
    rows = [("001", "e\r1", *DIAGNOSES[0][2:]), ("002", "e\r2")]
    lines = [",".join(row) for row in (EVENT_HEADER, *rows)]
    folder = write_extract(tmp_path / "site", diagnosis="\n".join(lines))
    report = ingest_table(trinetx_study(folder), lake, "diagnosis")
    assert (report.rows_read, report.rows_malformed) == (2, 1)


def test_a_header_of_too_many_columns_is_refused(tmp_path: Path, lake: Lake) -> None:
    header = [*EVENT_HEADER, *["more"] * MOST_COLUMNS]
    folder = write_extract(tmp_path / "site", diagnosis=csv_text(header, ()))
    with pytest.raises(SourceError, match=rf"line 1: {len(header)} columns"):
        ingest_table(trinetx_study(folder), lake, "diagnosis")


def test_rows_are_counted_apart_from_the_reader(
    tmp_path: Path, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    def losing(*given: Any, **options: Any) -> ParsedBlock:
        parsed = parse_block(*given, **options)
        return replace(parsed, rows=parsed.rows.head(1))

    monkeypatch.setattr(delimited, "parse_block", losing)
    folder = write_extract(tmp_path / "site")
    with pytest.raises(SourceError, match=r"diagnosis\.csv, from line 2: 4 lines became 1 "):
        ingest_table(trinetx_study(folder), lake, "diagnosis")


def test_columns_in_another_order_go_by_name(tmp_path: Path, lake: Lake) -> None:
    order = [2, 4, 0, 3, 1]
    rows = [tuple(row[place] for place in order) for row in [EVENT_HEADER, *DIAGNOSES]]
    folder = write_extract(tmp_path / "site", diagnosis=csv_text(None, rows))
    assert read_diagnosis(folder, lake).equals(PLAIN)


def test_line_numbers_are_those_of_the_file(tmp_path: Path, lake: Lake) -> None:
    text = "\n" + csv_text(EVENT_HEADER, DIAGNOSES[:1]) + "\n" + csv_text(None, DIAGNOSES[1:2])
    folder = write_extract(tmp_path / "site", diagnosis=text)
    ingest_table(trinetx_study(folder), lake, "diagnosis")
    assert lake.read("raw_diagnosis").get_column("source_row").to_list() == [3, 5]


@pytest.mark.parametrize("how", ["gzip", "zip of all", "zip of each"])
def test_compressed_extracts_equal_plain_ones(how: str, tmp_path: Path) -> None:
    plain = write_extract(tmp_path / "plain")
    packed = write_extract(tmp_path / "packed")
    files = sorted(packed.iterdir())
    if how == "gzip":
        for path in files:
            compress(path)
    elif how == "zip of all":
        pack(files, packed / "download.zip")
    else:
        for path in files:
            pack([path], packed / f"{path.name}.zip")
    lakes = [Lake(tmp_path / "lake_plain"), Lake(tmp_path / "lake_packed")]
    for folder, lake in zip((plain, packed), lakes, strict=True):
        load(trinetx_study(folder), lake, "patient", "diagnosis")
    for table in ("patient", "diagnosis"):
        assert raw(lakes[0], table).equals(raw(lakes[1], table))
        assert lakes[0].stamp(table) == lakes[1].stamp(table)


def test_a_zip_archive_can_stand_for_the_folder(tmp_path: Path, lake: Lake) -> None:
    folder = write_extract(tmp_path / "site")
    archive = tmp_path / "download.zip"
    pack(sorted(folder.iterdir()), archive)
    assert read_diagnosis(archive, lake).equals(PLAIN)


def test_parts_are_read_in_order_and_only_the_first_needs_a_header(
    tmp_path: Path, lake: Lake
) -> None:
    folder = write_extract(tmp_path / "site")
    (folder / "diagnosis.csv").unlink()
    first, second = DIAGNOSES[:2], DIAGNOSES[2:]
    (folder / "diagnosis_001.csv").write_text(csv_text(EVENT_HEADER, first), encoding="utf-8")
    (folder / "diagnosis_002.csv").write_text(csv_text(None, second), encoding="utf-8")
    assert read_diagnosis(folder, lake).equals(PLAIN)
    load(trinetx_study(folder), lake, "patient", "diagnosis")
    assert lake.read("diagnosis").get_column("source_row").is_unique().all()


def test_the_same_file_plain_and_compressed_is_refused(tmp_path: Path, lake: Lake) -> None:
    folder = write_extract(tmp_path / "site")
    (folder / "diagnosis.csv.gz").write_bytes(gzip.compress(b"patient_id\n"))
    with pytest.raises(SourceError, match="keep one"):
        ingest_table(trinetx_study(folder), lake, "diagnosis")


@pytest.mark.parametrize("missing", ["patient", "diagnosis", "procedure", "medication_drug"])
def test_a_needed_file_that_is_missing_is_named(missing: str, tmp_path: Path, lake: Lake) -> None:
    folder = write_extract(tmp_path / "site")
    (folder / f"{missing}.csv").unlink()
    table = missing.removesuffix("_drug")
    with pytest.raises(SourceError, match=f"{missing}.csv"):
        ingest_table(trinetx_study(folder), lake, table)


@pytest.mark.parametrize(
    "table", ["lab_result", "terminology", "cohort_table", "genetic_score", "care_site"]
)
def test_an_optional_file_that_is_missing_gives_an_empty_table(
    table: str, tmp_path: Path, lake: Lake
) -> None:
    folder = write_extract(tmp_path / "site")
    reports = load(trinetx_study(folder), lake, "patient", table)
    assert reports[1].rows_in == 0
    assert lake.read(table).is_empty()


def test_a_named_file_that_is_missing_is_an_error(tmp_path: Path, lake: Lake) -> None:
    folder = write_extract(tmp_path / "site")
    study = trinetx_study(folder, genetic_score=tmp_path / "absent.csv")
    with pytest.raises(SourceError, match=r"absent\.csv"):
        ingest_table(study, lake, "genetic_score")


def test_a_damaged_archive_is_named(tmp_path: Path, lake: Lake) -> None:
    folder = write_extract(tmp_path / "site")
    compress(folder / "diagnosis.csv")
    path = folder / "diagnosis.csv.gz"
    path.write_bytes(path.read_bytes()[:-12])
    with pytest.raises(SourceError, match=r"diagnosis\.csv\.gz"):
        ingest_table(trinetx_study(folder), lake, "diagnosis")
    assert lake.stamp("raw_diagnosis") is None


@pytest.mark.parametrize(
    "text",
    [
        csv_text(("patient_id", "encounter_id", "code_system", "date"), ()),
        csv_text(("alpha", "beta", "gamma"), [("x", "y", "z")]),
    ],
)
def test_a_file_without_the_needed_columns_is_refused(
    text: str, tmp_path: Path, lake: Lake
) -> None:
    folder = write_extract(tmp_path / "site", diagnosis=text)
    with pytest.raises(SourceError, match=r"diagnosis\.csv"):
        ingest_table(trinetx_study(folder), lake, "diagnosis")


def test_errors_never_show_a_value(tmp_path: Path, lake: Lake) -> None:
    rows = [("SECRET-PATIENT", "1", "2")]
    folder = write_extract(tmp_path / "site", diagnosis=csv_text(None, rows))
    with pytest.raises(SourceError) as caught:
        ingest_table(trinetx_study(folder), lake, "diagnosis")
    assert "SECRET" not in str(caught.value)


def test_demographics_come_from_the_cohort_table_when_there_is_no_patient_file(
    tmp_path: Path,
) -> None:
    lake = Lake(tmp_path / "lake")
    (report,) = load(golden_study(), lake, "patient")
    assert report.rows_kept == 320
    patients = lake.read("patient")
    assert "0000000000000000" in patients.get_column("patient_id")
    assert patients.get_column("year_of_birth").null_count() == 0


def test_genetic_scores_need_no_particular_header(tmp_path: Path, lake: Lake) -> None:
    folder = write_extract(tmp_path / "site")
    path = tmp_path / "prs.csv"
    path.write_text("iid,PRS_SLE\n001,0.5\n002,-1.25\n", encoding="utf-8")
    load(trinetx_study(folder, genetic_score=path), lake, "genetic_score")
    assert lake.read("genetic_score").select("patient_id", "score").rows() == [
        ("001", 0.5),
        ("002", -1.25),
    ]


def test_fingerprint_follows_the_files_of_its_table_only(tmp_path: Path, lake: Lake) -> None:
    folder = write_extract(tmp_path / "site")
    study = trinetx_study(folder)
    before = {table: source_fingerprint(study, lake, table) for table in RAW_TABLES}
    assert before == {table: source_fingerprint(study, lake, table) for table in RAW_TABLES}
    extra = csv_text(PATIENT_HEADER, [*PATIENTS, ("new", "F", "", "", "", "")])
    (folder / "patient.csv").write_text(extra, encoding="utf-8")
    changed = {t for t in RAW_TABLES if source_fingerprint(study, lake, t) != before[t]}
    assert changed == {"patient"}
