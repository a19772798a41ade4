"""Synthetic sites with a planted truth, from raw files to features, without Dagster.

What belongs here: making a lake of one window by the package's own functions. Text is embedded
description by description (encoder mode `concept`), which takes seconds.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from learn_assets.embedding.cell import embed_cell
from learn_assets.lake import Lake
from learn_assets.modeling.bundle import Provenance
from learn_assets.modeling.cross_validation import CrossValidation
from learn_assets.modeling.lake_cell import cell_origin, load_cell
from learn_assets.modeling.pipeline import Cell, cross_validate_cell
from learn_assets.modeling.protocol import ModelingProtocol
from learn_assets.sources.ingest import RAW_TABLES, ingest_rxnorm, ingest_table
from learn_assets.study import LearnerName, Study
from learn_assets.study.file import load_study
from learn_assets.study.windows import Window
from learn_assets.validation.validate import validate_table
from learn_assets_tests.canonical import assert_no_failed_tests, run_all, write_vocabulary

FIVE_YEARS = {"LIS": 365, "BP": 0, "FUP": 1825}
# Everyone is followed longer than this, so no calendar year holds cases alone.
THREE_YEARS = {"LIS": 365, "BP": 0, "FUP": 1095}


@dataclass(frozen=True)
class PlantedLake:
    """A study of one window and one encoder, and its lake."""

    study: Study
    lake: Lake

    @property
    def window(self) -> Window:
        """The window."""
        return self.study.windows[0]

    @property
    def cell(self) -> Cell:
        """Features and labels."""
        return load_cell(self.study, self.lake, self.window, self.study.encoders[0])

    @property
    def origin(self) -> Provenance:
        """What a bundle of this site says about itself."""
        return cell_origin(self.study, self.lake, self.window, self.study.encoders[0])

    @property
    def protocol(self) -> ModelingProtocol:
        """The recommended protocol on counts, text and both; three folds save time."""
        return replace(
            ModelingProtocol.from_study(self.study),
            feature_sets=("count", "embedding", "learn"),
            learners=("elastic_net",),
            folds=3,
        )

    def cross_validated(self, *learners: LearnerName) -> CrossValidation:
        """Return out-of-fold predictions of these learners."""
        return cross_validate_cell(self.cell, replace(self.protocol, learners=learners))

    def truth(self) -> pl.DataFrame:
        """Return what was planted, which the pipeline never reads."""
        path = self.lake.folder("source") / "site" / "truth" / "patients.csv"
        return pl.read_csv(path, schema_overrides={"patient_id": pl.String})


def planted_lake(
    home: Path, window: dict[str, int], *, vectors: Lake | None = None, **source: Any
) -> PlantedLake:
    """Return a site made from these settings, ready to be modeled.

    vectors: a lake whose vectors of descriptions are taken over.
    """
    demo = load_study("demo").model_dump(mode="json", exclude_unset=True)
    demo["source"] = {"format": "synthetic", **source}
    demo["windows"] = [window]
    demo["encoders"] = [{"id": "minilm", "mode": "concept"}]
    study = Study.model_validate(demo)
    lake = Lake(home)
    if vectors is not None:
        store = lake.folder("embedding_store")
        shutil.copytree(vectors.folder("embedding_store"), store, dirs_exist_ok=True)
    for table in RAW_TABLES:
        ingest_table(study, lake, table)
        validate_table(study, lake, table)
    ingest_rxnorm(study, lake)
    write_vocabulary(study, lake)
    assert_no_failed_tests(run_all(study, lake))
    embed_cell(study, lake, study.windows[0], study.encoders[0], progress=False)
    return PlantedLake(study, lake)
