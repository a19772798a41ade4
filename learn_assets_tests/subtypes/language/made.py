"""Invented texts of admissions: diagnoses come together by topic, so there is something to find."""

from __future__ import annotations

import numpy as np
import polars as pl

from learn_assets.study.language_model import LanguageModelOptions
from learn_assets.subtypes.language.texts import diagnosis_texts

TOPICS = (
    ("opioid dependence", "chronic viral hepatitis", "cellulitis of arm", "endocarditis of valve"),
    ("cannabis abuse", "schizophrenia of youth", "auditory hallucinations", "delusional state"),
    ("alcohol use", "bipolar episode", "depressive mood", "insomnia of nights"),
)
DESCRIPTIONS = {
    f"F{topic}{number}": text
    for topic, texts in enumerate(TOPICS)
    for number, text in enumerate(texts)
}


def make_discharges(count: int, seed: int = 0) -> pl.DataFrame:
    """Return admissions of 2 to 4 diagnoses of one topic each, some of one patient."""
    generator = np.random.default_rng(seed)
    rows = []
    for _ in range(count):
        topic = int(generator.integers(len(TOPICS)))
        chosen = generator.permutation(4)[: generator.integers(2, 5)]
        rows.append([f"F{topic}{number}" for number in chosen])
    return pl.DataFrame(
        {
            "admission_id": [str(number) for number in range(count)],
            "patient_number": [str(number // 2) if number < count // 4 else None
                               for number in range(count)],
            "sex": [("F", "M")[number % 2] for number in range(count)],
            "diagnoses": rows,
        },
        schema_overrides={"patient_number": pl.String},
    )  # fmt: skip


def distinct_texts(count: int, seed: int = 0) -> pl.DataFrame:
    """Return `diagnosis_texts` whose texts are all different, so that any can be held out."""
    discharges = make_discharges(count, seed).with_columns(
        patient_number=pl.lit(None, pl.String),
        diagnoses=pl.concat_list("diagnoses", pl.format("N{}", "admission_id")),
    )
    numbered = {f"N{row}": f"finding number {row}" for row in range(count)}
    return diagnosis_texts(discharges, {**DESCRIPTIONS, **numbered})


def quick_options(**changes: object) -> LanguageModelOptions:
    """Return options of a training of a second or two."""
    return LanguageModelOptions.model_validate(
        {
            "masked": {"epochs": 2, "batch": 16, "learning_rate": 5e-3},
            "contrastive": {"epochs": 2, "batch": 16, "projection": 16, "learning_rate": 5e-3},
            **changes,
        }
    )
