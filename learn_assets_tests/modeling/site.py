"""A small made-up cell: tables as the lake holds them, with risk planted in counts and vectors."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy import sparse

from learn_assets.modeling import cross_validation as module
from learn_assets.modeling.arrays import FloatMatrix, Labels
from learn_assets.modeling.bundle import Provenance, write_bundle
from learn_assets.modeling.features import (
    EmbeddingBlock,
    EncoderIdentity,
    FeatureBlocks,
    FeatureReference,
)
from learn_assets.modeling.pipeline import CellTables, build_cell, train_cell
from learn_assets.modeling.preprocessing import (
    FittedPreprocessing,
    PreprocessingOptions,
    preprocess,
)
from learn_assets.modeling.protocol import ModelingProtocol
from learn_assets.study import LearnerName

ENCODER = EncoderIdentity("minilm", "1")
DIMENSIONS = 6
SMALL = ModelingProtocol(
    feature_sets=("count", "embedding", "learn"),
    learners=("elastic_net", "svm"),
    folds=3,
    seed=7,
    minimum_patients=5,
    minimum_cell=5,
)


def site_bundles(home: Path, learner: LearnerName) -> list[Path]:
    """Write three site bundles of one model that differ in the study they name."""
    protocol = replace(SMALL, feature_sets=("count",), learners=(learner,))
    trained = train_cell(
        build_cell(cell_tables(), protocol), protocol, Provenance("a", "w", ENCODER)
    )
    folders = [home / name for name in "abc"]
    for folder in folders:
        origin = replace(trained.provenance, study=folder.name)
        write_bundle(replace(trained, provenance=origin), folder, scope="site")
    return folders


def cell_tables(
    labeled: int = 90, unlabeled: int = 10, seed: int = 0, *, signal: float = 1.0
) -> CellTables:
    """Return the tables of `labeled` + `unlabeled` patients, about a third of them cases."""
    generator = np.random.default_rng(seed)
    patients = labeled + unlabeled
    risk = generator.normal(size=patients)
    case = (signal * risk + generator.normal(size=patients)) > 0.6
    ids = [f"P{number:04d}" for number in range(patients)]
    roster = pl.DataFrame(
        {
            "patient_id": ids,
            "label": case.astype(np.int8),
            "age_at_index": generator.uniform(16, 85, patients),
            "sex": np.where(generator.random(patients) < 0.7, "F", "M"),
        }
    )
    return CellTables(
        cohort=roster[:labeled],
        scoring_population=roster[labeled:].drop("label"),
        event_counts=_counts(ids, risk, generator),
        latest_measurement=_measurements(ids, risk, generator),
        patient_embeddings=_embeddings(ids, risk, generator),
        encoder=ENCODER,
    )


def _counts(ids: list[str], risk: np.ndarray, generator: np.random.Generator) -> pl.DataFrame:
    codes = [
        f"{kind}|ICD-10-CM|A{number:02d}"
        for kind in ("diagnosis", "medication")
        for number in range(12)
    ]
    rates = np.exp(-0.7 + 0.5 * np.outer(risk, np.arange(24) % 4 == 0))
    counts = generator.poisson(rates)
    rows, columns = np.nonzero(counts)
    return pl.DataFrame(
        {
            "patient_id": [ids[row] for row in rows],
            "feature": [codes[column] for column in columns],
            "count": counts[rows, columns].astype(float),
        }
    )


def _measurements(ids: list[str], risk: np.ndarray, generator: np.random.Generator) -> pl.DataFrame:
    rows = [
        {
            "patient_id": patient,
            "feature": f"lab_result|LOINC|{code}",
            "value": value + generator.normal(),
        }
        for patient, value in zip(ids, risk, strict=True)
        for code in ("1-1", "2-2")
        if generator.random() < 0.6
    ]
    return pl.DataFrame(rows)


def _embeddings(ids: list[str], risk: np.ndarray, generator: np.random.Generator) -> pl.DataFrame:
    pieces = []
    for kind in ("diagnosis", "procedure", "medication"):
        vectors = generator.normal(size=(len(ids), DIMENSIONS)).astype(np.float32)
        vectors[:, 0] += risk
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        kept = np.flatnonzero(generator.random(len(ids)) < 0.85)
        pieces.append(
            pl.DataFrame({"patient_id": [ids[row] for row in kept], "kind": kind}).with_columns(
                pl.Series("vector", vectors[kept], dtype=pl.Array(pl.Float32, DIMENSIONS))
            )
        )
    return pl.concat(pieces)


def planted_blocks(
    patients: int,
    *,
    signal: float = 1.0,
    dimensions: int = 30,
    missing: float = 0.0,
    kinds: tuple[str, ...] = ("diagnosis", "procedure", "medication"),
    seed: int = 0,
) -> tuple[FeatureBlocks, Labels]:
    """Return vectors alone, whose last direction of little variance holds the label in every kind.

    Wide directions before it hold what the kinds of one patient share and says nothing of the
    label; a share of the vectors is missing.
    """
    generator = np.random.default_rng(seed)
    labels = (generator.random(patients) < 0.3).astype(np.int8)
    shared = generator.normal(size=(patients, 3))
    blocks = []
    for kind in kinds:
        vectors = 0.5 * generator.normal(size=(patients, dimensions))
        vectors[:, :3] += 2 * shared
        vectors[:, -1] += signal * (labels - 0.3)
        absent = generator.random(patients) < missing
        vectors[absent] = 0.0
        blocks.append(EmbeddingBlock(kind, vectors.astype(np.float32), absent))
    return (
        FeatureBlocks(
            patient_ids=np.array([f"P{number:05d}" for number in range(patients)]),
            demographics=np.ones((patients, 4), dtype=np.float32),
            counts=sparse.csr_array((patients, 0), dtype=np.float32),
            measurements=np.zeros((patients, 0), dtype=np.float32),
            embeddings=tuple(blocks),
            reference=FeatureReference((), (), tuple((kind, dimensions) for kind in kinds)),
        ),
        labels,
    )


def fit_preprocessing_on_everyone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plant the leak of the research code: scaling learned from held-out patients too."""
    real_rows = FeatureBlocks.rows
    everyone: list[FeatureBlocks] = []

    def remember(self: FeatureBlocks, index: np.ndarray) -> FeatureBlocks:
        everyone[:] = [self]
        return real_rows(self, index)

    def leaky(
        training: FeatureBlocks, options: PreprocessingOptions, labels: Labels
    ) -> tuple[FittedPreprocessing, FloatMatrix]:
        fitted, _ = preprocess(everyone[0], options)
        return fitted, fitted.transform(training)

    monkeypatch.setattr(FeatureBlocks, "rows", remember)
    monkeypatch.setattr(module, "preprocess", leaky)
