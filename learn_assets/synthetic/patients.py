"""Patients: the planted truth of a block of people, drawn before any record is written.

What belongs here: demographics, dates, latent concepts, the log-linear hazard, outcomes. The order
is the guarantee against leaks: the past is drawn first, the hazard is a function of it, and what
comes after the index date never flows back.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from learn_assets.synthetic.concepts import CONCEPTS

Days = NDArray[np.int64]
Flags = NDArray[np.bool_]
Numbers = NDArray[np.float64]

NEVER = np.int64(2**40)


def day_number(year: int, month: int = 1, day: int = 1) -> int:
    """Return days since 1970-01-01."""
    return (date(year, month, day) - date(1970, 1, 1)).days


DATA_END = day_number(2024, 12, 31)
ICD10_START = day_number(2015, 10, 1)
_LAST_DEATH = day_number(2023, 12, 31)
_EARLIEST_INDEX = day_number(2008, 1, 1)
_LATEST_INDEX = day_number(2020, 12, 31)

# Yearly hazard of SLE at average risk; set so that a fifth of the labeled become cases in 5 years.
BASE_HAZARD = 0.027
RISK_CENTER = 1.75
GENETIC_WEIGHT = 0.30
# Log hazard of SLE at which half of those with SLE get nephritis, their log odds rising with it.
NEPHRITIS_CENTER = 1.0
FEMALE_WEIGHT = 0.40
AGE_WEIGHT = 0.15

_RISK = np.array([concept.weight for concept in CONCEPTS])
_PREVALENCE = np.array([concept.prevalence for concept in CONCEPTS])
_EPISODES = np.array([concept.episodes for concept in CONCEPTS])
_IS_RISK = _RISK > 0


@dataclass(frozen=True)
class Effects:
    """How strongly the past tells the outcome.

    laboratory: log hazard per SD of complement consumption, which no code and no text mentions; 0:
    it is not measured. scale multiplies every log hazard ratio: at 0 the past tells nothing.
    """

    scale: float = 1.0
    laboratory: float = 0.0


@dataclass(frozen=True)
class Block:
    """Planted truth of a block of patients: one entry a patient; dates are days since 1970.

    `episodes` has shape (patients, concepts): episodes before the index date. A date that never
    comes is `NEVER`.
    """

    first_number: int
    patient_id: NDArray[np.str_]
    female: Flags
    sex_unknown: Flags
    year_of_birth: Days
    birth_known: Flags
    start: Days
    index: Days
    end: Days
    death: Days
    last_record: Days
    ana: NDArray[np.str_]
    episodes: Days
    frailty: Numbers
    utilization: Numbers
    genetic: Numbers
    complement_loss: Numbers
    log_hazard: Numbers
    outcome: Days
    outcome_second_day: Days
    prevalent: Flags
    nephritis: Days
    kidney_failure: Days
    cancer: Days
    other_rheumatic: Days
    drug_induced: Days

    def __len__(self) -> int:
        return len(self.patient_id)


def draw_block(
    first_number: int,
    size: int,
    generator: np.random.Generator,
    effects: Effects | None = None,
) -> Block:
    """Draw the truth of `size` patients whose numbers start at `first_number`."""
    effects = effects or Effects()
    female = generator.random(size) < 0.76
    age = np.clip(generator.normal(46, 17, size), 9, 93)
    index = generator.integers(_EARLIEST_INDEX, _LATEST_INDEX, size, endpoint=True)
    year_of_birth = 1970 + (index / 365.25).astype(np.int64) - age.astype(np.int64)
    start = _starts(index, year_of_birth, generator)
    death = _deaths(index, age, generator)
    end = np.minimum(_ends(index, generator), death)
    ana = generator.choice(["positive", "negative", "none"], size, p=[0.84, 0.09, 0.07])
    ana = np.where(index >= end, "none", ana)

    frailty = generator.normal(0, 1, size)
    episodes = _episodes(frailty, generator)
    genetic = generator.normal(0, 1, size)
    complement_loss = _complement_loss(size, generator, effects)
    # Half the square of the weight keeps the mean hazard where it is without this term.
    serology = effects.laboratory * (complement_loss - effects.laboratory / 2)
    log_hazard = effects.scale * (risk_score(episodes, female, age, genetic) + serology)

    waiting = generator.exponential(1 / (BASE_HAZARD * np.exp(log_hazard))) * 365.25
    outcome = index + 1 + np.minimum(waiting, 40_000).astype(np.int64)
    prevalent = generator.random(size) < 0.05
    outcome = np.where(prevalent, _between(start, index, generator), outcome)
    second = outcome + generator.integers(14, 90, size)
    seen = (second <= end) & (ana != "none")
    outcome = np.where(seen, outcome, NEVER)
    # ICD-9-CM has no code for drug-induced lupus, so nobody has it before ICD-10-CM.
    drug_induced = _excluding(0.04, start, end, generator)
    drug_induced = np.where(drug_induced >= ICD10_START, drug_induced, NEVER)
    nephritis = _after_outcome(outcome, end, log_hazard, generator)
    return Block(
        first_number=first_number,
        patient_id=_patient_ids(first_number, size, generator),
        female=female,
        sex_unknown=generator.random(size) < 0.004,
        year_of_birth=year_of_birth,
        birth_known=generator.random(size) >= 0.006,
        start=start,
        index=index,
        end=end,
        death=death,
        last_record=_last_records(end, death, generator),
        ana=ana,
        episodes=episodes,
        frailty=frailty,
        utilization=np.exp(generator.normal(-0.4, 1.3, size)),
        genetic=genetic,
        complement_loss=complement_loss,
        log_hazard=log_hazard,
        outcome=outcome,
        outcome_second_day=np.where(seen, second, NEVER),
        prevalent=prevalent & seen,
        nephritis=nephritis,
        kidney_failure=_kidney_failure(nephritis, end, generator),
        cancer=_excluding(0.08, start, end, generator),
        other_rheumatic=_excluding(0.06, start, end, generator),
        drug_induced=drug_induced,
    )


def risk_score(episodes: Days, female: Flags, age: Numbers, genetic: Numbers) -> Numbers:
    """Return the log hazard ratio of each patient from their past, but for their laboratory."""
    burden = np.log1p(episodes) @ _RISK
    demographics = FEMALE_WEIGHT * female - AGE_WEIGHT * (age - 46) / 17
    return np.asarray(burden + demographics + GENETIC_WEIGHT * genetic - RISK_CENTER)


def _complement_loss(size: int, generator: np.random.Generator, effects: Effects) -> Numbers:
    # A generator of its own: sites without this term stay what they were.
    drawn = generator.spawn(1)[0].normal(0, 1, size)
    return np.asarray(drawn if effects.laboratory > 0 else np.zeros(size))


def _episodes(frailty: Numbers, generator: np.random.Generator) -> Days:
    # Frailty is what makes concepts of one disease come together in the same person.
    odds = np.log(_PREVALENCE / (1 - _PREVALENCE))[None, :] + np.where(
        _IS_RISK[None, :], 1.2 * frailty[:, None], 0.0
    )
    present = generator.random(odds.shape) < 1 / (1 + np.exp(-odds))
    mean = _EPISODES[None, :] * generator.gamma(1.5, 1 / 1.5, odds.shape)
    return np.asarray(present * (1 + generator.poisson(mean)), dtype=np.int64)


def _starts(index: Days, year_of_birth: Days, generator: np.random.Generator) -> Days:
    size = len(index)
    short = generator.random(size) < 0.14
    years = np.where(
        short, generator.uniform(0.1, 1.9, size), 2.05 + generator.gamma(2.0, 1.5, size)
    )
    started = index - (np.minimum(years, 15) * 365.25).astype(np.int64)
    # The year after birth at the earliest, so that no clean record can lie before it.
    after_birth = ((year_of_birth + 1 - 1970) * 365.25).astype(np.int64) + 2
    return np.minimum(np.maximum(started, after_birth), index - 30)


def _deaths(index: Days, age: Numbers, generator: np.random.Generator) -> Days:
    yearly = 0.004 * np.exp((age - 46) / 14)
    death = index + 60 + (generator.exponential(1 / yearly) * 365.25).astype(np.int64)
    # One early death a block, so that rows after a death can always be planted.
    death[0] = min(int(index[0]) + 800, _LAST_DEATH)
    return np.where(death <= _LAST_DEATH, death, NEVER)


def _ends(index: Days, generator: np.random.Generator) -> Days:
    size = len(index)
    lost = generator.random(size) < 0.22
    stayed = index + (generator.exponential(3.0, size) * 365.25).astype(np.int64)
    # Those who stay are last seen some weeks before the extract was cut.
    seen = DATA_END - generator.integers(0, 120, size)
    return np.where(lost, np.minimum(stayed, seen), seen)


def _last_records(end: Days, death: Days, generator: np.random.Generator) -> Days:
    # Bills go on for some days after a death.
    billed = (death == end) & (death + 25 <= DATA_END)
    return np.where(billed, end + generator.integers(1, 25, len(end)), end)


def _between(first: Days, last: Days, generator: np.random.Generator) -> Days:
    return first + (generator.random(len(first)) * (last - first)).astype(np.int64)


def _after_outcome(
    outcome: Days, end: Days, log_hazard: Numbers, generator: np.random.Generator
) -> Days:
    chance = 1 / (1 + np.exp(-(log_hazard - NEPHRITIS_CENTER)))
    hit = (generator.random(len(outcome)) < chance) & (outcome < NEVER)
    when = outcome + 30 + (generator.exponential(1.2, len(outcome)) * 365.25).astype(np.int64)
    return np.where(hit & (when <= end), when, NEVER)


def _kidney_failure(nephritis: Days, end: Days, generator: np.random.Generator) -> Days:
    size = len(nephritis)
    when = nephritis + 200 + (generator.exponential(2.0, size) * 365.25).astype(np.int64)
    hit = (generator.random(size) < 0.25) & (nephritis < NEVER)
    return np.where(hit & (when <= end), when, NEVER)


def _excluding(share: float, start: Days, end: Days, generator: np.random.Generator) -> Days:
    when = _between(start, end, generator)
    return np.where(generator.random(len(start)) < share, when, NEVER)


def _patient_ids(first: int, size: int, generator: np.random.Generator) -> NDArray[np.str_]:
    # Two lengths, each ending in the patient's number: no two ids can be equal.
    prefixes = generator.integers(0, 2**32, size)
    digits_only = generator.random(size) < 0.08
    return np.array(
        [
            f"00{prefix % 100:02d}{number:08d}" if plain else f"{prefix:08x}{number:08x}"
            for number, prefix, plain in zip(
                range(first, first + size), prefixes, digits_only, strict=True
            )
        ]
    )
