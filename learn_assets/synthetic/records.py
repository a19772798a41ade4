"""Records: what the planted truth of a block looks like in diagnosis, procedure and drug files.

What belongs here: turning episodes into dated, coded records. Every table comes back with the
patient's position in the block and the day as numbers, and is written as text elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from learn_assets.synthetic.codebook import Book, Codebook, CodeTable, concept_names
from learn_assets.synthetic.patients import ICD10_START, NEVER, Block, Days

_PROCEDURE_SHARE = 0.35
_DRUG_SHARE = 0.35
_AFTER_INDEX_RATE = 0.4
_SYNONYM_SHARE = 0.3
_MOST_REPEATS = 400

_OUTCOME10 = ("M32.10", "M32.11", "M32.12", "M32.13", "M32.19", "M32.8", "M32.9")
_OUTCOME9 = ("710.0",)
_CANCER10 = ("C50.911", "C18.9", "C34.90", "C73", "C61", "C85.90")
_CANCER9 = ("174.9", "153.9", "162.9", "193", "185", "202.80")
_RHEUMATIC10 = ("M05.79", "M06.9", "M34.9", "M33.20", "M35.00", "M35.1")
_RHEUMATIC9 = ("714.0", "710.1", "710.2", "710.3", "710.4")
_DRUG_INDUCED10 = ("M32.0",)
_NEPHRITIS10 = ("M32.14",)
_NEPHRITIS9 = ("583.81",)
_KIDNEY_FAILURE10 = ("N18.6",)
_KIDNEY_FAILURE9 = ("585.6",)


@dataclass(frozen=True)
class Episodes:
    """Episodes of concepts: position of the patient in the block, concept number, day, repeats."""

    patient: Days
    concept: Days
    day: Days
    repeats: Days


def code_records(
    block: Block, book: Codebook, generator: np.random.Generator
) -> dict[str, pl.DataFrame]:
    """Return tables diagnosis, procedure, medication: patient, day, code_system, code.

    No two rows of a table are equal, and every day lies between the patient's start and end (a few
    bills follow within 25 days of a death).
    """
    before = _episodes_before_index(block, generator)
    after = _episodes_after_index(block, generator)
    both = Episodes(*(np.concatenate([getattr(before, f), getattr(after, f)]) for f in _FIELDS))
    diagnosis = pl.concat(
        [
            _draw_codes(block, book, both, ("icd9", "icd10"), generator),
            _first_and_last(block, book, generator),
            _outcome_records(block, generator),
            _excluding_records(block, generator),
            _bills_after_death(block, book, generator),
        ]
    )
    procedures = _subset(both, generator.random(len(both.day)) < _PROCEDURE_SHARE)
    drugs = _subset(both, generator.random(len(both.day)) < _DRUG_SHARE)
    medication = pl.concat(
        [
            _draw_codes(block, book, drugs, ("drug", "drug"), generator),
            _treatment_after_outcome(block, book, generator),
        ]
    )
    tables = {
        "diagnosis": diagnosis,
        "procedure": _draw_codes(block, book, procedures, ("procedure9", "procedure10"), generator),
        "medication": medication,
    }
    return {name: table.unique(maintain_order=True) for name, table in tables.items()}


_FIELDS = ("patient", "concept", "day", "repeats")


def _episodes_before_index(block: Block, generator: np.random.Generator) -> Episodes:
    patient, concept = _expand(block.episodes)
    length = block.index[patient] - block.start[patient]
    # Records thicken towards the index date, as they do in life; its own day is left out.
    position = generator.random(len(patient)) ** 0.7
    day = block.start[patient] + np.minimum((position * length).astype(np.int64), length - 1)
    return Episodes(patient, concept, day, _repeats(block, patient, generator))


def _episodes_after_index(block: Block, generator: np.random.Generator) -> Episodes:
    years_before = (block.index - block.start) / 365.25
    years_after = np.minimum((block.end - block.index) / 365.25, 6.0)
    rate = _AFTER_INDEX_RATE * years_after / np.maximum(years_before, 2.0)
    counts = generator.poisson(block.episodes * np.maximum(rate, 0.0)[:, None])
    patient, concept = _expand(counts)
    length = block.end[patient] - block.index[patient]
    day = block.index[patient] + (generator.random(len(patient)) * length).astype(np.int64)
    return Episodes(patient, concept, day, _repeats(block, patient, generator))


def _expand(counts: Days) -> tuple[Days, Days]:
    cell = np.repeat(np.arange(counts.size), counts.ravel())
    return cell // counts.shape[1], cell % counts.shape[1]


def _repeats(block: Block, patient: Days, generator: np.random.Generator) -> Days:
    # Visits for the same thing: most are few, and those of heavy users of care are very many.
    mean = 0.7 * block.utilization[patient] * generator.lognormal(-0.3, 0.9, len(patient))
    return np.minimum(1 + generator.poisson(mean), _MOST_REPEATS)


def _subset(episodes: Episodes, keep: NDArray[np.bool_]) -> Episodes:
    return Episodes(*(getattr(episodes, field)[keep] for field in _FIELDS))


def _draw_codes(
    block: Block,
    book: Codebook,
    episodes: Episodes,
    books: tuple[Book, Book],
    generator: np.random.Generator,
) -> pl.DataFrame:
    """Return the records of episodes; the first book before October 2015, the second from then."""
    available = book.tables[books[0]].available & book.tables[books[1]].available
    episodes = _subset(episodes, available[episodes.concept])
    cell = np.repeat(np.arange(len(episodes.day)), episodes.repeats)
    order = np.arange(len(cell)) - np.repeat(
        np.cumsum(episodes.repeats) - episodes.repeats, episodes.repeats
    )
    gap = generator.integers(5, 45, len(cell)) * order
    patient = episodes.patient[cell]
    day = episodes.day[cell] + gap
    past = episodes.day[cell] < block.index[patient]
    last = np.where(past, block.index[patient] - 1, block.end[patient])
    inside = day <= last
    cell, patient, day = cell[inside], patient[inside], day[inside]
    is_new = day >= ICD10_START
    table_old, table_new = book.tables[books[0]], book.tables[books[1]]
    old = _visit_codes(table_old, episodes.concept, cell, generator)
    new = _visit_codes(table_new, episodes.concept, cell, generator)
    return _frame(
        patient,
        day,
        np.where(is_new, table_new.code_system[new], table_old.code_system[old]),
        np.where(is_new, table_new.code[new], table_old.code[old]),
    )


def _visit_codes(
    table: CodeTable, concept: Days, cell: Days, generator: np.random.Generator
) -> Days:
    # A later visit mostly repeats the episode's code, and now and then writes a synonym.
    usual = table.draw(concept, generator)[cell]
    synonym = table.draw(concept[cell], generator)
    return np.where(generator.random(len(cell)) < _SYNONYM_SHARE, synonym, usual)


def _frame(
    patient: Days, day: Days, code_system: NDArray[np.str_], code: NDArray[np.str_]
) -> pl.DataFrame:
    return pl.DataFrame(
        {"patient": patient, "day": day, "code_system": code_system, "code": code},
        schema={
            "patient": pl.Int64, "day": pl.Int64, "code_system": pl.String, "code": pl.String
        },
    )  # fmt: skip


def _single_visits(patient: Days, concept: str, day: Days) -> Episodes:
    number = concept_names().index(concept)
    return Episodes(patient, np.full(len(patient), number), day, np.ones(len(patient), np.int64))


def _first_and_last(block: Block, book: Codebook, generator: np.random.Generator) -> pl.DataFrame:
    everyone = np.arange(len(block))
    patient = np.concatenate([everyone, everyone, everyone])
    # The index day has a visit of its own: "strictly before" must leave it out.
    day = np.concatenate([block.start, np.minimum(block.index, block.end), block.end])
    visits = _single_visits(patient, "checkup_and_vaccination", day)
    return _draw_codes(block, book, visits, ("icd9", "icd10"), generator)


def _dated_codes(
    patient: Days,
    day: Days,
    old: tuple[str, ...],
    new: tuple[str, ...],
    generator: np.random.Generator,
) -> pl.DataFrame:
    is_new = day >= ICD10_START
    new_code = np.array(new)[generator.integers(0, len(new), len(day))]
    old_code = np.array(old)[generator.integers(0, len(old), len(day))]
    return _frame(
        patient,
        day,
        np.where(is_new, "ICD-10-CM", "ICD-9-CM"),
        np.where(is_new, new_code, old_code),
    )


def _outcome_records(block: Block, generator: np.random.Generator) -> pl.DataFrame:
    hit = np.flatnonzero(block.outcome < NEVER)
    more = generator.poisson(5.0, len(hit))
    later_patient = np.repeat(hit, more)
    span = (block.end - block.outcome_second_day)[later_patient]
    later = block.outcome_second_day[later_patient] + (
        generator.random(len(later_patient)) * span
    ).astype(np.int64)
    patient = np.concatenate([hit, hit, later_patient])
    day = np.concatenate([block.outcome[hit], block.outcome_second_day[hit], later])
    tables = [_dated_codes(patient, day, _OUTCOME9, _OUTCOME10, generator)]
    tables.append(_ruled_out(block, generator))
    severe = (
        (block.nephritis, _NEPHRITIS9, _NEPHRITIS10),
        (block.kidney_failure, _KIDNEY_FAILURE9, _KIDNEY_FAILURE10),
    )
    for first, old, new in severe:
        who = np.flatnonzero(first < NEVER)
        tables.append(_dated_codes(who, first[who], old, new, generator))
    return pl.concat(tables)


def _ruled_out(block: Block, generator: np.random.Generator) -> pl.DataFrame:
    # One outcome code on one day only, after the index date: a suspicion that came to nothing.
    suspected = (generator.random(len(block)) < 0.02) & (block.outcome == NEVER)
    who = np.flatnonzero(suspected & (block.end > block.index))
    span = block.end[who] - block.index[who]
    day = block.index[who] + 1 + (generator.random(len(who)) * (span - 1)).astype(np.int64)
    return _dated_codes(who, day, _OUTCOME9, _OUTCOME10, generator)


def _excluding_records(block: Block, generator: np.random.Generator) -> pl.DataFrame:
    groups = (
        (block.cancer, _CANCER9, _CANCER10),
        (block.other_rheumatic, _RHEUMATIC9, _RHEUMATIC10),
        (block.drug_induced, _DRUG_INDUCED10, _DRUG_INDUCED10),
    )
    tables = []
    for first, old, new in groups:
        who = np.flatnonzero(first < NEVER)
        later = np.minimum(first[who] + generator.integers(7, 200, len(who)), block.end[who])
        patient, day = np.concatenate([who, who]), np.concatenate([first[who], later])
        tables.append(_dated_codes(patient, day, old, new, generator))
    return pl.concat(tables)


def _bills_after_death(
    block: Block, book: Codebook, generator: np.random.Generator
) -> pl.DataFrame:
    who = np.flatnonzero(block.last_record > block.end)
    number = concept_names().index("checkup_and_vaccination")
    old = book.tables["icd9"].draw(np.full(len(who), number), generator)
    new = book.tables["icd10"].draw(np.full(len(who), number), generator)
    day = block.last_record[who]
    is_new = day >= ICD10_START
    return _frame(
        who,
        day,
        np.where(is_new, "ICD-10-CM", "ICD-9-CM"),
        np.where(is_new, book.tables["icd10"].code[new], book.tables["icd9"].code[old]),
    )


def _treatment_after_outcome(
    block: Block, book: Codebook, generator: np.random.Generator
) -> pl.DataFrame:
    hit = np.flatnonzero(block.outcome < NEVER)
    times = generator.poisson(4.0, len(hit))
    patient = np.repeat(hit, times)
    span = block.end[patient] - block.outcome[patient]
    day = block.outcome[patient] + (generator.random(len(patient)) * span).astype(np.int64)
    visits = _single_visits(patient, "lupus_treatment", day)
    return _draw_codes(block, book, visits, ("drug", "drug"), generator)
