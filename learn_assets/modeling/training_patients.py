"""Training patients: whether a bundle learned from the patients it is to be evaluated on.

What belongs here: what the manifest and the lakes of this home tell. A manifest names no patient,
so ids are compared with what the lake that trained the bundle has kept, and nowhere else.
"""

from __future__ import annotations

import os
from pathlib import Path

import polars as pl

from learn_assets.lake import Lake
from learn_assets.modeling.bundle import Provenance
from learn_assets.modeling.champion import ChampionHistory
from learn_assets.modeling.compatibility import Difference
from learn_assets.modeling.lake_cell import cell_origin
from learn_assets.study import EncoderChoice, Study
from learn_assets.study.windows import Window


def shared_training(
    study: Study, lake: Lake, window: Window, encoder: EncoderChoice, path: Path, made: Provenance
) -> Difference | None:
    """Return how patients of this cell are known to have trained a bundle; None when none are.

    path, made: folder of the verified bundle, and what it says about its origin. The part is
    `training_patients` when extract or ids prove it, `study_name` when only the name suggests it.
    ChampionError when the lake that trained the bundle was altered.
    """
    here = cell_origin(study, lake, window, encoder)
    if made.extract is not None and made.extract == here.extract:
        return Difference("training_patients", "it was trained on the extract of this lake")
    labeled = lake.read("cohort", window).filter(pl.col("label").is_not_null())["patient_id"]
    if not _learned_from(lake.root.parent, made, path).isdisjoint(labeled):
        return Difference(
            "training_patients",
            f"the lake of study `{made.study}` says that it learned from patients labeled here",
        )
    if made.study == study.name:
        return Difference("study_name", f"it was trained in a study named `{made.study}` too")
    return None


def _learned_from(home: Path, made: Provenance, bundle: Path) -> frozenset[str]:
    """Return the ids of a bundle's training patients, as far as a lake of this home knows them."""
    for root in home.iterdir():
        # A name from a manifest is compared and never becomes a path.
        if root.name == made.study and os.access(root, os.R_OK | os.X_OK):
            history = ChampionHistory(root / "champion" / made.window / made.encoder.id)
            return history.learned_from(bundle)
    return frozenset()
