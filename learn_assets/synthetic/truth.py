"""Truth: what was planted, written beside the extract and never read by the pipeline.

What belongs here: the ceiling a perfect model could reach, and the files under `truth/`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from learn_assets.study.windows import Window
from learn_assets.synthetic.codebook import concept_names
from learn_assets.synthetic.concepts import CONCEPTS
from learn_assets.synthetic.patients import (
    AGE_WEIGHT,
    BASE_HAZARD,
    FEMALE_WEIGHT,
    GENETIC_WEIGHT,
    NEPHRITIS_CENTER,
    NEVER,
    Block,
    Effects,
    Numbers,
)

REPORTED_WINDOWS: tuple[Window, ...] = (
    Window.from_key("LIS-730_BP-180_FUP-1825"),
    Window.from_key("LIS-365_BP-365_FUP-730"),
)


@dataclass(frozen=True)
class Ceiling:
    """What the planted risk itself achieves in a window, among people the rules would label.

    `expected` is the AUROC of the planted log hazard averaged over the chance of the outcome,
    `observed` the AUROC with the outcomes that happened.
    """

    window: str
    labeled: int
    cases: int
    expected: float
    observed: float


def patient_truth(block: Block) -> pl.DataFrame:
    """Return one row a patient: planted risk, dates and episodes of each concept before index."""
    frame = pl.DataFrame(
        {
            "patient_id": block.patient_id,
            "ana": block.ana,
            "start": block.start,
            "index": block.index,
            "end": block.end,
            "last_record": block.last_record,
            "year_of_birth": pl.Series(block.year_of_birth).set(
                ~pl.Series(block.birth_known), None
            ),
            "log_hazard": block.log_hazard,
            "genetic": block.genetic,
            "complement_loss": block.complement_loss,
            "frailty": block.frailty,
        }
    )
    dated = {
        "outcome": block.outcome,
        "nephritis": block.nephritis,
        "kidney_failure": block.kidney_failure,
        "cancer": block.cancer,
        "other_rheumatic": block.other_rheumatic,
        "drug_induced": block.drug_induced,
        "death": block.death,
    }
    frame = frame.with_columns(
        pl.Series(name, np.where(days < NEVER, days, -1), dtype=pl.Int64).replace(-1, None)
        for name, days in dated.items()
    )
    counts = pl.DataFrame(
        block.episodes, schema=[f"episodes_{concept.name}" for concept in CONCEPTS]
    )
    days = ["start", "index", "end", "last_record", *dated]
    dates = [pl.from_epoch(pl.col(name), time_unit="d").alias(name) for name in days]
    return frame.hstack(counts).with_columns(dates)


def labels(truth: pl.DataFrame, window: Window) -> pl.DataFrame:
    """Return patient_id, log_hazard, label of those the prospective rules label, from the truth.

    A plain restatement of the cohort rules on planted dates, kept apart from the pipeline's SQL so
    that each can be checked against the other.
    """
    days = (pl.col("outcome") - pl.col("index")).dt.total_days()
    follow_up = (pl.col("last_record") - pl.col("index")).dt.total_days()
    history = (pl.col("index") - pl.col("start")).dt.total_days()
    excluded = pl.any_horizontal(
        (pl.col(name) <= pl.col("index")).fill_null(False)
        for name in ("cancer", "other_rheumatic", "drug_induced")
    )
    eligible = truth.filter(
        pl.col("ana") == "positive",
        ~excluded,
        (days > window.buffer_period).fill_null(True),
        history >= window.length_in_system,
        (pl.col("index").dt.year() - pl.col("year_of_birth")).is_between(16, 85),
    )
    is_case = (days <= window.follow_up_period).fill_null(False)
    is_control = (days > window.follow_up_period).fill_null(follow_up > window.follow_up_period)
    return eligible.select(
        "patient_id",
        "log_hazard",
        pl.when(is_case).then(1).when(is_control).then(0).otherwise(None).alias("label"),
    ).drop_nulls("label")


def ceiling(truth: pl.DataFrame, window: Window) -> Ceiling:
    """Return the ceiling of a window; NaN where there is no case or no control."""
    labeled = labels(truth, window)
    score = labeled["log_hazard"].to_numpy()
    years = (window.follow_up_period - window.buffer_period) / 365.25
    chance = 1 - np.exp(-BASE_HAZARD * np.exp(score) * years)
    label = labeled["label"].to_numpy().astype(bool)
    return Ceiling(
        window=window.key,
        labeled=len(label),
        cases=int(label.sum()),
        expected=expected_auroc(score, chance),
        observed=expected_auroc(score, label.astype(float)),
    )


def expected_auroc(score: Numbers, chance: Numbers) -> float:
    """Return the AUROC of `score` when case weights are `chance` and control weights 1 - chance.

    With chances of 0 and 1 this is the plain AUROC (Mann-Whitney); ties count half.
    """
    levels, level = np.unique(score, return_inverse=True)
    cases = np.bincount(level, weights=chance, minlength=len(levels))
    controls = np.bincount(level, weights=1 - chance, minlength=len(levels))
    below = np.cumsum(controls) - controls
    pairs = cases.sum() * controls.sum()
    if pairs == 0:
        return float("nan")
    return float((cases * (below + controls / 2)).sum() / pairs)


def planted_values(effects: Effects, genetic_correlation: float) -> dict[str, float]:
    """Return the planted effects that are not tied to a concept, by name.

    genetic_correlation: of the score in the extract with the planted term.
    """
    return {
        "yearly_hazard_at_average_risk": BASE_HAZARD,
        "log_hazard_female": effects.scale * FEMALE_WEIGHT,
        "log_hazard_per_17_years_of_age": -effects.scale * AGE_WEIGHT,
        "log_hazard_per_sd_of_genetic_term": effects.scale * GENETIC_WEIGHT,
        "log_hazard_per_sd_of_genetic_score": effects.scale * GENETIC_WEIGHT * genetic_correlation,
        "log_hazard_per_sd_of_complement_loss": effects.scale * effects.laboratory,
        "log_odds_of_nephritis_per_log_hazard": 1.0,
        "log_hazard_at_even_odds_of_nephritis": NEPHRITIS_CENTER,
    }


def concept_weights(scale: float = 1.0) -> dict[str, float]:
    """Return concept -> change of the log hazard per log(1 + episodes), times `scale`."""
    weights = {concept.name: scale * concept.weight for concept in CONCEPTS}
    return {name: weights.get(name, 0.0) for name in concept_names()}
