"""History: a training as a table, one row a look at the held-out admissions."""

from __future__ import annotations

import polars as pl

from learn_assets.schemas.registry import empty_frame
from learn_assets.subtypes.language.fitting import Fit


def training_frame(fit: Fit) -> pl.DataFrame:
    """Return the table `language_model` or `contrastive_model` of a fit.

    `model_sha256` stands in every row, so that the table changes whenever the model does.
    """
    rows = [
        {
            "epoch": look.epoch,
            "step": look.step,
            "training_loss": look.training_loss,
            "held_out_loss": look.held_out_loss,
            "best": look == fit.best,
            "model_sha256": fit.saved.digest,
        }
        for look in fit.evaluations
    ]
    return pl.DataFrame(rows, schema=empty_frame("language_model").schema)
