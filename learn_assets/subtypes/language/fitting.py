"""Fitting: texts to a language model, and that to an encoder of admissions, each in its folder.

What belongs here: the order of the steps. How each is done stands in the modules it calls.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from learn_assets.code_closure import code_digest
from learn_assets.embedding.model_folder import revision_of
from learn_assets.study.language_model import LanguageModelOptions
from learn_assets.subtypes.language.architecture import (
    check_base_model,
    new_model,
    one_thread,
    pretrained_model,
    training_device,
)
from learn_assets.subtypes.language.checkpoints import Checkpoints, Evaluation
from learn_assets.subtypes.language.contrastive import ContrastiveObjective, new_encoder
from learn_assets.subtypes.language.corpus import build_corpus, corpus_fingerprint
from learn_assets.subtypes.language.masked import MaskedObjective
from learn_assets.subtypes.language.tokens import load_tokenizer
from learn_assets.subtypes.language.trained_model import (
    SavedModel,
    load_language_model,
    open_model,
    save_model,
)
from learn_assets.subtypes.language.training import CHECKPOINT_SECONDS, train

_MODEL, _CHECKPOINTS = "model", "checkpoints"
_CODE = "subtypes.language.fitting"


@dataclass(frozen=True)
class Fit:
    """A model in its folder, every look at the held-out admissions, and counts of admissions."""

    saved: SavedModel
    evaluations: tuple[Evaluation, ...]
    best: Evaluation
    training: int
    held_out: int
    shortened: int


def fit_language_model(
    texts: pl.DataFrame,
    options: LanguageModelOptions,
    folder: Path,
    *,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
) -> Fit:
    """Train on masked tokens of `diagnosis_texts`; a killed training goes on where it stood.

    BaseModelError when the folder of a pretrained model lacks something.
    """
    base = options.base_model
    if base is not None:
        check_base_model(base)
    device = training_device(pretrained=base is not None)
    corpus = build_corpus(texts, options, load_tokenizer(base) if base is not None else None)
    if base is not None:
        model = pretrained_model(base, options.seed)
    else:
        model = new_model(corpus.special, options.seed)
    objective = MaskedObjective(
        model.to(device),
        corpus.special,
        corpus.training,
        corpus.held_out,
        options.masked.mask_share,
        options.seed,
    )
    revision = revision_of(base) if base is not None else "none"
    inputs = corpus_fingerprint(texts, options, revision, code_digest(_CODE))
    checkpoints = Checkpoints(folder / _CHECKPOINTS, inputs)
    with one_thread(wanted=base is None):
        trained = train(
            objective,
            options.masked,
            options.seed,
            checkpoints,
            checkpoint_seconds=checkpoint_seconds,
        )
    saved = save_model(folder / _MODEL, model, model, corpus.tokenizer, {"inputs": inputs})
    checkpoints.clear()
    return Fit(
        saved,
        trained.evaluations,
        trained.best,
        len(corpus.training),
        len(corpus.held_out),
        corpus.shortened,
    )


def fit_contrastive_model(
    texts: pl.DataFrame,
    options: LanguageModelOptions,
    language_model: Path,
    folder: Path,
    *,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
) -> Fit:
    """Train the encoder of admissions on the language model in a folder; goes on where it stood."""
    start = open_model(language_model / _MODEL)
    device = training_device(pretrained=options.base_model is not None)
    model, tokenizer = load_language_model(start)
    corpus = build_corpus(texts, options, tokenizer)
    encoder = new_encoder(model, options.contrastive.projection, options.seed)
    encoder.module.to(device)
    objective = ContrastiveObjective(
        encoder,
        corpus.special,
        corpus.training,
        corpus.held_out,
        corpus.training_keys,
        corpus.held_out_keys,
        options.contrastive,
        options.token_limit,
        options.seed,
    )
    inputs = corpus_fingerprint(texts, options, start.digest, code_digest(_CODE))
    checkpoints = Checkpoints(folder / _CHECKPOINTS, inputs)
    with one_thread(wanted=options.base_model is None):
        trained = train(
            objective,
            options.contrastive,
            options.seed,
            checkpoints,
            checkpoint_seconds=checkpoint_seconds,
        )
    settings = {
        "inputs": inputs,
        "projection": options.contrastive.projection,
        "vector": options.contrastive.vector,
        "token_limit": options.token_limit,
    }
    saved = save_model(folder / _MODEL, model, encoder.module, tokenizer, settings)
    checkpoints.clear()
    return Fit(
        saved,
        trained.evaluations,
        trained.best,
        len(corpus.training),
        len(corpus.held_out),
        corpus.shortened,
    )


def trained_model(folder: Path) -> SavedModel:
    """Return the model that a fit left in its folder. TrainedModelError when there is none."""
    return open_model(folder / _MODEL)
