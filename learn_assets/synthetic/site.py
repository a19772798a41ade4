"""Site: writes a whole synthetic extract, block by block, and puts it in place at once.

What belongs here: file layouts, streaming and the atomic finish. What patients are like stands in
`patients.py`, what their records say in `records.py` and `laboratory.py`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import BinaryIO

import numpy as np
import polars as pl

from learn_assets.staging import staged_folder
from learn_assets.study import SyntheticSource
from learn_assets.synthetic.care_sites import (
    CARE_SITE,
    care_site_table,
    draw_care_sites,
    records_by_site,
)
from learn_assets.synthetic.codebook import Codebook, codebook, terminology
from learn_assets.synthetic.dirty_rows import (
    REASONS,
    SHAPE_REASONS,
    FileLayout,
    PlantedRows,
    RowContext,
    plant,
    shares,
)
from learn_assets.synthetic.laboratory import laboratory_records
from learn_assets.synthetic.patients import DATA_END, NEVER, Block, Effects, draw_block
from learn_assets.synthetic.rxnorm_release import write_release
from learn_assets.synthetic.truth import (
    REPORTED_WINDOWS,
    ceiling,
    concept_weights,
    patient_truth,
    planted_values,
)

BLOCK_PATIENTS = 1_000
GENETIC_CORRELATION = 0.75
_GENOTYPED_SHARE = 0.7
_HABIT_STREAM = {"home": 0, "transfer": 1}
# Block numbers no site reaches: for what is drawn once a site, and for care sites block by block,
# so that naming them changes no other file.
_TERMINOLOGY_STREAM = 2**40
_CARE_SITE_STREAM = 2**41
_EARLIEST_BIRTH = 1930

PATIENT = FileLayout(
    "patient.csv",
    ("patient_id", "sex", "race", "ethnicity", "marital_status", "year_of_birth",
     "reason_yob_missing", "month_year_death", "patient_regional_location", "source_id"),
    ("unreadable_date", "impossible_date", "missing_patient_id", "future_date", "before_birth",
     *SHAPE_REASONS),
    "month_year_death", date_digits=6,
)  # fmt: skip
DIAGNOSIS = FileLayout(
    "diagnosis.csv",
    ("patient_id", "encounter_id", "code_system", "code", "principal_diagnosis_indicator",
     "admitting_diagnosis", "reason_for_visit", "date", "derived_by_TriNetX", "source_id"),
    REASONS, "date",
)  # fmt: skip
PROCEDURE = FileLayout(
    "procedure.csv",
    ("patient_id", "encounter_id", "code_system", "code", "principal_procedure_indicator", "date",
     "derived_by_TriNetX", "source_id"),
    REASONS, "date",
)  # fmt: skip
MEDICATION = FileLayout(
    "medication_drug.csv",
    ("patient_id", "encounter_id", "code_system", "code", "unique_id", "start_date", "route",
     "brand", "strength", "derived_by_TriNetX", "source_id"),
    REASONS, "start_date",
)  # fmt: skip
LABORATORY = FileLayout(
    "lab_result.csv",
    ("patient_id", "encounter_id", "code_system", "code", "date", "lab_result_num_val",
     "lab_result_text_val", "units_of_measure", "derived_by_TriNetX", "source_id"),
    REASONS, "date",
)  # fmt: skip
GENETIC = FileLayout(
    "genetic_score.csv", ("patient_id", "score"), ("missing_patient_id", *SHAPE_REASONS)
)
TERMINOLOGY = FileLayout(
    "standardized_terminology.csv",
    ("code_system", "code", "code_description", "unit"),
    ("missing_code", "unknown_code_system", *SHAPE_REASONS),
)
LAYOUTS = (PATIENT, DIAGNOSIS, PROCEDURE, MEDICATION, LABORATORY, GENETIC)


@dataclass(frozen=True)
class SiteSummary:
    """Counts of what was written; nothing in it belongs to one patient."""

    patients: int
    rows: dict[str, int]
    dirty_rows: dict[str, dict[str, int]]
    labeled: dict[str, int]
    cases: dict[str, int]
    expected_auroc: dict[str, float]
    observed_auroc: dict[str, float]


def write_site(folder: Path, settings: SyntheticSource) -> SiteSummary:
    """Write a synthetic TriNetX-layout extract as the new folder `folder`.

    The same settings give the same bytes. Patients are written in blocks of 1,000, so memory does
    not grow with the site but for one short truth row a patient. The folder appears only when it is
    complete. FileExistsError when it is there already.
    """
    if folder.exists():
        raise FileExistsError(f"{folder} is there already; name a new folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with staged_folder(folder.parent) as temporary:
        staged = temporary / "site"
        staged.mkdir()
        summary = _write_files(staged, settings)
        staged.rename(folder)
    return summary


def _write_files(folder: Path, settings: SyntheticSource) -> SiteSummary:
    book = codebook(settings.coding_habit, settings.shared_synonyms)
    planted = PlantedRows()
    layouts = site_layouts(settings)
    rows = {layout.name: 0 for layout in layouts}
    truths: list[pl.DataFrame] = []
    effects = _effects(settings)
    with ExitStack() as stack:
        handles = {
            layout.name: stack.enter_context((folder / layout.name).open("wb"))
            for layout in layouts
        }
        for layout in layouts:
            handles[layout.name].write(",".join(layout.header).encode() + b"\n")
        for number, first in enumerate(range(0, settings.patients, BLOCK_PATIENTS)):
            size = min(BLOCK_PATIENTS, settings.patients - first)
            generator = _block_generator(settings, number)
            block = draw_block(first, size, generator, effects)
            truths.append(patient_truth(block))
            of_care_sites = _block_generator(settings, _CARE_SITE_STREAM + number)
            sites = draw_care_sites(len(block), settings.care_sites, of_care_sites)
            coded = records_by_site(block, book, settings, sites, generator)
            tables = _file_tables(block, coded, generator)
            tables[CARE_SITE.name] = care_site_table(block, sites)
            for layout in layouts:
                table = tables[layout.name]
                drawn = of_care_sites if layout is CARE_SITE else generator
                planting = _Planting(
                    layout,
                    _pick_clean_row(table, block),
                    shares(
                        layout.reasons,
                        table.height,
                        settings.dirty_share,
                        at_least=1 if number == 0 else 0,
                        generator=drawn,
                    ),
                )
                rows[layout.name] += _append(handles[layout.name], table, planting, planted, drawn)
    rows[TERMINOLOGY.name] = _write_terminology(folder, book, settings, planted)
    (folder / "rxnorm").mkdir()
    write_release(folder / "rxnorm")
    summary = _summary(pl.concat(truths), rows, planted)
    _write_truth(folder / "truth", pl.concat(truths), book, settings, summary)
    return summary


def site_layouts(settings: SyntheticSource) -> tuple[FileLayout, ...]:
    """Return the files that are written block by block."""
    return (*LAYOUTS, CARE_SITE) if settings.states_care_sites else LAYOUTS


def _effects(settings: SyntheticSource) -> Effects:
    return Effects(settings.planted_effect, settings.laboratory_effect)


def _block_generator(settings: SyntheticSource, number: int) -> np.random.Generator:
    key = [settings.seed, _HABIT_STREAM[settings.coding_habit], number]
    return np.random.default_rng(np.random.SeedSequence(key))


def _file_tables(
    block: Block, coded: dict[str, pl.DataFrame], generator: np.random.Generator
) -> dict[str, pl.DataFrame]:
    fixed = {
        "principal_diagnosis_indicator": "U", "admitting_diagnosis": "U", "reason_for_visit": "U",
        "principal_procedure_indicator": "U", "derived_by_TriNetX": "F", "source_id": "EHR",
        "unique_id": "X", "route": "Oral product", "brand": "", "strength": "",
    }  # fmt: skip
    result = {
        PATIENT.name: _patient_table(block, generator),
        GENETIC.name: _genetic_table(block, generator),
    }
    sources = (
        (DIAGNOSIS, coded["diagnosis"]),
        (PROCEDURE, coded["procedure"]),
        (MEDICATION, coded["medication"]),
        (LABORATORY, _named_laboratory(laboratory_records(block, generator))),
    )
    for layout, table in sources:
        shuffled = table[generator.permutation(table.height)]
        written = _event_table(block, shuffled, str(layout.date_column))
        missing = [name for name in layout.header if name not in written.columns]
        written = written.with_columns(pl.lit(fixed[name]).alias(name) for name in missing)
        result[layout.name] = written.select("patient", *layout.header)
    return result


def _named_laboratory(table: pl.DataFrame) -> pl.DataFrame:
    return table.rename(
        {"value": "lab_result_num_val", "text": "lab_result_text_val", "unit": "units_of_measure"}
    ).with_columns(pl.lit("LOINC").alias("code_system"))


def _event_table(block: Block, table: pl.DataFrame, date_column: str) -> pl.DataFrame:
    patient = table["patient"].to_numpy()
    # One visit a patient and day.
    visit = (block.first_number + patient) * 40_000 + table["day"].to_numpy()
    return table.with_columns(
        pl.Series("patient_id", block.patient_id[patient]),
        pl.Series("encounter_id", visit).cast(pl.String),
        pl.from_epoch(pl.col("day"), time_unit="d").dt.strftime("%Y%m%d").alias(date_column),
    )


def _patient_table(block: Block, generator: np.random.Generator) -> pl.DataFrame:
    size = len(block)
    race = generator.choice(
        ["White", "Black or African American", "Asian", "Unknown"], size, p=[0.6, 0.22, 0.08, 0.1]
    )
    ethnicity = generator.choice(
        ["Not Hispanic or Latino", "Hispanic or Latino", "Unknown"], size, p=[0.75, 0.15, 0.1]
    )
    region = generator.choice(["Northeast", "Midwest", "South", "West"], size)
    death = np.where(block.death < NEVER, block.death, 0)
    return pl.DataFrame(
        {
            "patient": np.arange(size),
            "patient_id": block.patient_id,
            "sex": np.where(block.sex_unknown, "Unknown", np.where(block.female, "F", "M")),
            "race": race,
            "ethnicity": ethnicity,
            "marital_status": np.full(size, "Unknown"),
            "year_of_birth": np.where(block.birth_known, block.year_of_birth.astype(str), ""),
            "reason_yob_missing": np.where(block.birth_known, "", "Not provided"),
            "death": death,
            "patient_regional_location": region,
            "source_id": np.full(size, "EHR"),
        }
    ).with_columns(
        pl.when(pl.col("death") > 0)
        .then(pl.from_epoch(pl.col("death"), time_unit="d").dt.strftime("%Y%m"))
        .otherwise(pl.lit(""))
        .alias("month_year_death")
    ).select("patient", *PATIENT.header)  # fmt: skip


def _genetic_table(block: Block, generator: np.random.Generator) -> pl.DataFrame:
    noise = generator.normal(0, 1, len(block))
    score = GENETIC_CORRELATION * block.genetic + np.sqrt(1 - GENETIC_CORRELATION**2) * noise
    typed = np.flatnonzero(generator.random(len(block)) < _GENOTYPED_SHARE)
    return pl.DataFrame(
        {
            "patient": typed,
            "patient_id": block.patient_id[typed],
            "score": np.char.mod("%.5f", score[typed]),
        }
    )


@dataclass(frozen=True)
class _Planting:
    """What bad rows to plant in one file: how many of each reason, and from which clean rows."""

    layout: FileLayout
    pick: Callable[[str, np.random.Generator], RowContext]
    how_many: dict[str, int]


def _append(
    handle: BinaryIO,
    table: pl.DataFrame,
    planting: _Planting,
    planted: PlantedRows,
    generator: np.random.Generator,
) -> int:
    text = table.select(pl.concat_str(planting.layout.header, separator=",").alias("line"))
    clean = [line.encode() for line in text["line"]]
    lines = plant(planting.layout, clean, planting.pick, planting.how_many, planted, generator)
    handle.write(b"\n".join(lines) + b"\n")
    return len(lines)


def _write_terminology(
    folder: Path, book: Codebook, settings: SyntheticSource, planted: PlantedRows
) -> int:
    generator = _block_generator(settings, _TERMINOLOGY_STREAM)
    described = terminology(book)
    plain = described.filter(~pl.col("code_description").str.contains(",", literal=True))

    def pick(_: str, drawn: np.random.Generator) -> RowContext:
        return RowContext(tuple(plain.row(int(drawn.integers(plain.height)))))

    how_many = shares(TERMINOLOGY.reasons, described.height, settings.dirty_share, 1, generator)
    # Titles with a comma need their quotes, which the writer of the library puts.
    quoted = described.write_csv(include_header=False).encode().splitlines()
    lines = plant(TERMINOLOGY, quoted, pick, how_many, planted, generator)
    header = ",".join(TERMINOLOGY.header).encode()
    (folder / TERMINOLOGY.name).write_bytes(b"\n".join([header, *lines]) + b"\n")
    return len(lines)


def _pick_clean_row(
    table: pl.DataFrame, block: Block
) -> Callable[[str, np.random.Generator], RowContext]:
    """Return a function that picks a clean row fit for one reason, and for no other."""
    patient = table["patient"].to_numpy()
    died = block.death[patient] < NEVER
    born = block.birth_known[patient] & (block.year_of_birth[patient] > _EARLIEST_BIRTH)
    room = block.death[patient] + 400 < DATA_END
    fit = {
        "after_death": np.flatnonzero(died & room),
        "before_birth": np.flatnonzero(born & ~died),
        "future_date": np.flatnonzero(~died),
    }
    anyone = np.arange(len(patient))

    def pick(reason: str, generator: np.random.Generator) -> RowContext:
        rows = fit.get(reason, anyone)
        row = int(rows[generator.integers(len(rows))])
        person = int(patient[row])
        return RowContext(
            fields=tuple(table.row(row)[1:]),
            birth_year=int(block.year_of_birth[person]),
            death=_month_start(int(block.death[person])) if died[row] else None,
        )

    return pick


def _month_start(day: int) -> date:
    return (date(1970, 1, 1) + timedelta(days=day)).replace(day=1)


def _summary(truth: pl.DataFrame, rows: dict[str, int], planted: PlantedRows) -> SiteSummary:
    ceilings = [ceiling(truth, window) for window in REPORTED_WINDOWS]
    return SiteSummary(
        patients=truth.height,
        rows=rows,
        dirty_rows=planted.as_table(),
        labeled={item.window: item.labeled for item in ceilings},
        cases={item.window: item.cases for item in ceilings},
        expected_auroc={item.window: item.expected for item in ceilings},
        observed_auroc={item.window: item.observed for item in ceilings},
    )


def _write_truth(
    folder: Path, truth: pl.DataFrame, book: Codebook, settings: SyntheticSource,
    summary: SiteSummary,
) -> None:  # fmt: skip
    folder.mkdir()
    truth.write_csv(folder / "patients.csv", float_precision=6)
    book.truth().write_csv(folder / "concept_codes.csv")
    _write_json(folder / "dirty_rows.json", summary.dirty_rows)
    _write_json(
        folder / "site.json",
        {
            "settings": settings.model_dump(mode="json"),
            "log_hazard_weights": concept_weights(settings.planted_effect),
            "planted": planted_values(_effects(settings), GENETIC_CORRELATION),
            **asdict(summary),
        },
    )


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", encoding="utf-8")
