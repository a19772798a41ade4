"""Laboratory results: ANA, which makes the index event, and common analytes.

What belongs here: drawing results of a block. Codes are LOINC codes, their names are our own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from learn_assets.synthetic.codebook import concept_names
from learn_assets.synthetic.patients import Block, Days, Numbers

TITER_CODE = "5048-4"
SCREEN_CODES = ("8061-4", "42254-3")
POSITIVE_TEXTS = ("Positive", "POSITIVE", "Detected", "Reactive", "1:80", "1:160", "1:320", "1:640")
NEGATIVE_TEXTS = ("Negative", "Not detected", "Nonreactive", "<1:40", "1:40")
POSITIVE_TITERS = (80, 160, 320, 640, 1280)
NEGATIVE_TITERS = (0, 20, 40)


@dataclass(frozen=True)
class Analyte:
    """One analyte: LOINC code, unit, mean and spread, and the concept that shifts it (or none)."""

    code: str
    unit: str
    mean: float
    spread: float
    concept: str
    shift: float


ANALYTES: tuple[Analyte, ...] = (
    Analyte("718-7", "g/dL", 13.4, 1.2, "low_blood_counts", -0.5),
    Analyte("6690-2", "10*3/uL", 7.2, 1.8, "low_blood_counts", -0.6),
    Analyte("777-3", "10*3/uL", 255.0, 55.0, "low_blood_counts", -20.0),
    Analyte("2160-0", "mg/dL", 0.9, 0.2, "protein_or_blood_in_urine", 0.06),
    Analyte("2888-6", "mg/dL", 8.0, 4.0, "protein_or_blood_in_urine", 4.0),
    Analyte("1988-5", "mg/L", 4.0, 2.5, "joint_pain_and_swelling", 0.8),
)


# What only the laboratory tells: both fall as complement is consumed.
COMPLEMENT: tuple[Analyte, ...] = (
    Analyte("4485-9", "mg/dL", 120.0, 9.0, "", -20.0),
    Analyte("4498-2", "mg/dL", 26.0, 2.5, "", -5.0),
)


def laboratory_records(block: Block, generator: np.random.Generator) -> pl.DataFrame:
    """Return patient, day, code, value, text, unit; value and text are empty where not given.

    Positive ANA results start on the index date and not before; people without an index event have
    negative results only, or none.
    """
    tables = [*_index_tests(block, generator), *_other_ana_tests(block, generator)]
    tables.append(_analytes(block, generator))
    # One result per analyte and day, so that no row can stand twice.
    return pl.concat(tables).unique(subset=["patient", "day", "code"], maintain_order=True)


def _index_tests(block: Block, generator: np.random.Generator) -> list[pl.DataFrame]:
    who = np.flatnonzero(block.ana == "positive")
    return [_ana(who, block.index[who], np.ones(len(who), dtype=bool), generator)]


def _other_ana_tests(block: Block, generator: np.random.Generator) -> list[pl.DataFrame]:
    positive = np.flatnonzero((block.ana == "positive") & (generator.random(len(block)) < 0.15))
    early = block.start[positive] + (
        generator.random(len(positive)) * (block.index - block.start)[positive]
    ).astype(np.int64)
    again = np.flatnonzero((block.ana == "positive") & (generator.random(len(block)) < 0.4))
    later = (
        block.index[again]
        + 1
        + (generator.random(len(again)) * (block.end - block.index - 1)[again]).astype(np.int64)
    )
    never = np.flatnonzero(block.ana == "negative")
    negative_day = block.start[never] + (
        generator.random(len(never)) * (block.end - block.start)[never]
    ).astype(np.int64)
    return [
        _ana(positive, early, np.zeros(len(positive), dtype=bool), generator),
        _ana(again, later, generator.random(len(again)) < 0.7, generator),
        _ana(never, negative_day, np.zeros(len(never), dtype=bool), generator),
    ]


def _ana(
    patient: Days, day: Days, positive: NDArray[np.bool_], generator: np.random.Generator
) -> pl.DataFrame:
    size = len(patient)
    as_titer = generator.random(size) < 0.45
    screen = np.array(SCREEN_CODES)[generator.integers(0, len(SCREEN_CODES), size)]
    titer = np.where(
        positive,
        np.array(POSITIVE_TITERS)[generator.integers(0, len(POSITIVE_TITERS), size)],
        np.array(NEGATIVE_TITERS)[generator.integers(0, len(NEGATIVE_TITERS), size)],
    )
    text = np.where(
        positive,
        np.array(POSITIVE_TEXTS)[generator.integers(0, len(POSITIVE_TEXTS), size)],
        np.array(NEGATIVE_TEXTS)[generator.integers(0, len(NEGATIVE_TEXTS), size)],
    )
    return _frame(
        patient,
        day,
        np.where(as_titer, TITER_CODE, screen),
        np.where(as_titer, titer.astype(str), ""),
        np.where(as_titer, "", text),
        np.where(as_titer, "titer", ""),
    )


def _analytes(block: Block, generator: np.random.Generator) -> pl.DataFrame:
    years = (block.end - block.start) / 365.25
    panels = generator.poisson(np.minimum(0.5 * years, 8.0))
    patient = np.repeat(np.arange(len(block)), panels)
    day = block.start[patient] + (
        generator.random(len(patient)) * (block.end - block.start)[patient]
    ).astype(np.int64)
    tables = []
    measured = ANALYTES + (COMPLEMENT if block.complement_loss.any() else ())
    for analyte in measured:
        kept = generator.random(len(patient)) < 0.7
        value = _values(analyte, block, patient[kept], generator)
        size = int(kept.sum())
        tables.append(
            _frame(
                patient[kept],
                day[kept],
                np.full(size, analyte.code),
                np.char.mod("%.2f", value),
                np.full(size, ""),
                np.full(size, analyte.unit),
            )
        )
    return pl.concat(tables)


def _values(
    analyte: Analyte, block: Block, patient: Days, generator: np.random.Generator
) -> Numbers:
    if analyte.concept:
        concept = concept_names().index(analyte.concept)
        burden = np.log1p(block.episodes[patient, concept])
    else:
        burden = block.complement_loss[patient]
    drawn = generator.normal(analyte.mean + analyte.shift * burden, analyte.spread)
    return np.asarray(np.maximum(drawn, 0.01))


def _frame(
    patient: Days,
    day: Days,
    code: NDArray[np.str_],
    value: NDArray[np.str_],
    text: NDArray[np.str_],
    unit: NDArray[np.str_],
) -> pl.DataFrame:
    return pl.DataFrame(
        {"patient": patient, "day": day, "code": code, "value": value, "text": text, "unit": unit},
        schema={
            "patient": pl.Int64, "day": pl.Int64, "code": pl.String, "value": pl.String,
            "text": pl.String, "unit": pl.String,
        },
    )  # fmt: skip
