"""Small raw extracts for tests of ingest and validation: files in a few words, and their study."""

from __future__ import annotations

import csv
import gzip
import io
import zipfile
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl

from learn_assets.lake import Lake
from learn_assets.sources.ingest import ingest_table
from learn_assets.study import DateOptions, Study
from learn_assets.validation.validate import ValidationReport, validate_table

GOLDEN = Path(__file__).parent / "fixtures" / "learn_golden"

PATIENT_HEADER = ("patient_id", "sex", "race", "ethnicity", "year_of_birth", "month_year_death")
EVENT_HEADER = ("patient_id", "encounter_id", "code_system", "code", "date")
PATIENTS = (
    ("001", "F", "White", "Unknown", "1950", ""),
    ("002", "M", "", "", "1960", "201506"),
    ("a3", "Unknown", "", "", "", ""),
)
DIAGNOSES = (
    ("001", "e1", "ICD-10-CM", "M32.10", "20140102"),
    ("001", "", "ICD-9-CM", "710.0", "20120304"),
    ("002", "e2", "ICD-10-CM", "R76.8", "20150101"),
    ("a3", "e3", "ICD-10-CM", "I10", "20100101"),
)


def study_of(source: dict[str, Any], **more: Any) -> Study:
    """Return a study of a source, with rules that are not looked at here."""
    return Study.model_validate(
        {
            "name": "ingest",
            "title": "Ingest",
            "synthetic": True,
            "source": source,
            "cohort": {
                "mode": "derived",
                "index_event": {"kinds": ["lab_result"], "code_list": "a"},
                "outcome": {"code_list": "b"},
            },
            "windows": [{"LIS": 365, "BP": 90, "FUP": 730}],
            **more,
        }
    )


def trinetx_study(folder: Path, **more: Any) -> Study:
    """Return the study of a TriNetX folder; `more` are further keys of its source."""
    return study_of({"format": "trinetx", "folder": folder, **more})


def golden_study() -> Study:
    """Return the study of the golden extract."""
    return trinetx_study(
        GOLDEN,
        cohort_table=GOLDEN / "final_data_yrCut0.txt",
        cohort_features=["cnt_*"],
        rxnorm=GOLDEN / "RxNorm_full_12022024",
    )


def csv_text(header: Sequence[str] | None, rows: Sequence[Sequence[str]]) -> str:
    """Return rows as CSV text with quotes where they are needed."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerows([header, *rows] if header else rows)
    return stream.getvalue()


def write_extract(
    folder: Path,
    *,
    patients: Sequence[Sequence[str]] = PATIENTS,
    diagnosis: str | bytes | None = None,
) -> Path:
    """Write the files a TriNetX extract must have; `diagnosis` is that file's whole content."""
    folder.mkdir(parents=True, exist_ok=True)
    content = csv_text(EVENT_HEADER, DIAGNOSES) if diagnosis is None else diagnosis
    data = content.encode() if isinstance(content, str) else content
    (folder / "patient.csv").write_text(csv_text(PATIENT_HEADER, patients), encoding="utf-8")
    (folder / "diagnosis.csv").write_bytes(data)
    for name in ("procedure.csv", "medication_drug.csv"):
        (folder / name).write_text(csv_text(EVENT_HEADER, ()), encoding="utf-8")
    return folder


def compress(path: Path) -> None:
    """Replace a file by its gzip twin."""
    path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()


def pack(paths: Sequence[Path], archive: Path) -> None:
    """Move files into a zip archive."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as opened:
        for path in paths:
            opened.write(path, path.name)
            path.unlink()


def load(
    study: Study, lake: Lake, *tables: str, today: date | None = None, **options: Any
) -> list[ValidationReport]:
    """Ingest tables, then validate them; `today` is the last day that a date may have."""
    study = study.model_copy(update={"dates": DateOptions(today=today)}) if today else study
    for table in tables:
        ingest_table(study, lake, table)
    return [validate_table(study, lake, table, **options) for table in tables]


def raw(lake: Lake, table: str) -> pl.DataFrame:
    """Return a raw table without the name of its file, which compression changes."""
    return lake.read(f"raw_{table}").drop("source_file")
