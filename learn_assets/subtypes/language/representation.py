"""Representation: the trained language model of a study as a way to turn admissions into vectors.

What belongs here: where the trained models of a study live in its lake, and reading them back.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import polars as pl

from learn_assets.lake import Lake
from learn_assets.study.clusters import Pooling
from learn_assets.study.language_model import LanguageModelOptions
from learn_assets.subtypes.language.embedding import admission_vectors
from learn_assets.subtypes.language.fitting import trained_model
from learn_assets.subtypes.language.texts import code_texts
from learn_assets.subtypes.representations import LanguageModelRepresentation

Stage = Literal["language_model", "contrastive_model"]


def place_of(options: LanguageModelOptions, sex: str) -> str | None:
    """Return the partition whose models and vectors serve a sex: its own, or that of both."""
    return sex if options.sharing == "each_sex" else None


def model_folder(lake: Lake, stage: Stage, place: str | None) -> Path:
    """Return the folder of a training's checkpoints and model."""
    return lake.folder(stage, place)


def texts_of(lake: Lake, place: str | None) -> pl.DataFrame:
    """Return the texts that a partition learns from: those of both sexes, or of one."""
    texts = lake.scan("diagnosis_texts")
    return (texts if place is None else texts.filter(pl.col("sex") == place)).collect()


def language_model_representation(
    lake: Lake,
    options: LanguageModelOptions,
    sex: str,
    *,
    dimensions: int = 50,
    pooling: Pooling = "length_invariant",
    seed: int = 42,
) -> LanguageModelRepresentation:
    """Return the representation of a sex by the study's contrastive model.

    Vectors of the study's admissions come from the table `text_embeddings`; those of other sets of
    codes (null files) from the model. TrainedModelError or MissingTableError say what to
    materialize first.
    """
    place = place_of(options, sex)
    discharges = lake.scan("discharges").filter(pl.col("sex") == sex)
    embed = admission_vectors(
        trained_model(model_folder(lake, "contrastive_model", place)),
        code_texts(lake.read("diagnosis_description")),
        discharges.select("admission_id", "diagnoses").collect(),
        lake.read("text_embeddings", place),
        pretrained=options.base_model is not None,
    )
    return LanguageModelRepresentation(embed, dimensions=dimensions, pooling=pooling, seed=seed)
