"""A planted site without records: the truth of synthetic patients as the tables of evaluation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy.special import expit

from learn_assets.analyses.severe_outcomes.computation import SevereOutcomeTables
from learn_assets.synthetic.patients import GENETIC_WEIGHT, NEVER, Effects, draw_block

FOLDS = 5


@dataclass(frozen=True)
class PlantedSite:
    """Tables of a site whose score is the planted log hazard, with or without its genetic part."""

    severe: SevereOutcomeTables
    cohort: pl.DataFrame
    genetic_score: pl.DataFrame
    scores: pl.DataFrame


def planted_site(
    size: int, seed: int, *, genetics_in_score: bool = True, effects: Effects | None = None
) -> PlantedSite:
    """Return the site; who has SLE by the index date, or no follow-up, is not in it."""
    block = draw_block(0, size, np.random.default_rng(seed), effects)
    kept = ~block.prevalent & (block.ana == "positive") & (block.end > block.index)
    ids = block.patient_id[kept]
    index, end = block.index[kept], block.end[kept]
    died = block.death[kept] < NEVER
    outcome, nephritis = block.outcome[kept], block.nephritis[kept]
    happened = outcome < NEVER
    years = 1825
    label = np.where(happened & (outcome - index <= years), 1, np.where(end - index > years, 0, -1))
    hazard = block.log_hazard[kept]
    if not genetics_in_score:
        hazard = hazard - GENETIC_WEIGHT * block.genetic[kept]
    cohort = pl.DataFrame(
        {
            "patient_id": ids,
            "label": pl.Series(label, dtype=pl.Int8).replace(-1, None),
            "age_at_index": (index / 365.25 + 1970 - block.year_of_birth[kept]).astype(float),
            "sex": np.where(block.female[kept], "F", "M"),
            "time_to_event_days": (np.minimum(outcome, end) - index).astype(np.int32),
            "event_observed": happened,
            "died": died,
        }
    )
    seen = nephritis < NEVER
    follow_up = pl.DataFrame(
        {
            "patient_id": ids,
            "outcome": "nephritis",
            "prevalent": False,
            "days": (np.where(seen, nephritis, end) - index).astype(np.int32),
            "status": np.where(seen, "event", np.where(died, "death", "censored")),
        }
    )
    scores = pl.DataFrame(
        {
            "patient_id": ids,
            "fold": (np.arange(len(ids)) % FOLDS).astype(np.int32),
            "feature_set": "learn",
            "learner": "cox",
            "probability": expit(hazard - 2),
        }
    )
    charlson = pl.DataFrame({"patient_id": ids, "index": np.arange(len(ids)) % 3})
    return PlantedSite(
        SevereOutcomeTables(follow_up, cohort, scores, charlson),
        cohort,
        pl.DataFrame({"patient_id": ids, "score": block.genetic[kept]}),
        scores,
    )
