"""Time modeling of one cell against plain scikit-learn pipelines fitted on their own in sequence.

Usage: python benchmarks/modeling.py [--patients 400] [--counts 600] [--dimensions 128] [--folds 2]

Both sides predict the same held-out folds of the same made-up cohort with the same five learners
and the feature sets count, embedding and learn. The plain side imputes and scales again for each
pipeline and calibrates each learner by the library's own means, its settings near those of the
presets. The sides take turns fold by fold, so a busy machine slows both. Printed: CPU seconds, wall
seconds, their ratios, and AUROC within folds.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from learn_assets.evaluation.discrimination import auroc
from learn_assets.modeling.arrays import FloatMatrix, IndexVector, Labels
from learn_assets.modeling.cross_validation import fit_grid, predict, stratified_folds
from learn_assets.modeling.features import (
    FEATURE_SET_BLOCKS,
    FeatureBlocks,
    ModelFeatureSet,
    build_feature_blocks,
)
from learn_assets.modeling.preprocessing import fit_preprocessing
from learn_assets.modeling.protocol import ModelingProtocol
from learn_assets.modeling.threads import single_thread
from learn_assets.study import LearnerName

KINDS = ("diagnosis", "procedure", "medication")
ModelName = tuple[ModelFeatureSet, LearnerName]
Held = dict[ModelName, list[npt.NDArray[np.float64]]]


@dataclass
class Stopwatch:
    """Seconds of processor and of wall clock spent by one side."""

    cpu: float = 0.0
    wall: float = 0.0
    held_out: Held = field(default_factory=lambda: defaultdict(list))

    @contextmanager
    def running(self) -> Iterator[None]:
        """Add what the block takes."""
        cpu, wall = time.process_time(), time.perf_counter()
        yield
        self.cpu += time.process_time() - cpu
        self.wall += time.perf_counter() - wall


def made_up_cohort(
    patients: int, counts: int, dimensions: int, seed: int
) -> tuple[FeatureBlocks, Labels]:
    """Return features with a planted risk, a fifth of the patients cases."""
    generator = np.random.default_rng(seed)
    risk = generator.normal(size=patients)
    strength = risk + generator.normal(size=patients)
    labels = (strength > np.quantile(strength, 0.8)).astype(np.int8)
    ids = np.array([f"P{number:06d}" for number in range(patients)])
    roster = pl.DataFrame(
        {
            "patient_id": ids,
            "age_at_index": generator.uniform(16, 85, patients),
            "sex": generator.choice(["F", "M"], patients),
        }
    )
    tied = np.arange(counts) % 20 == 0
    rates = np.exp(generator.normal(-2.0, 1.0, counts) + 0.4 * np.outer(risk, tied))
    drawn = generator.poisson(rates)
    rows, columns = np.nonzero(drawn)
    events = pl.DataFrame(
        {
            "patient_id": ids[rows],
            "feature": np.array([f"diagnosis|ICD-10-CM|A{n:05d}" for n in range(counts)])[columns],
            "count": drawn[rows, columns].astype(np.float64),
        }
    )
    vectors = []
    for kind in KINDS:
        latent = generator.normal(size=(patients, 24))
        latent[:, 0] += 0.5 * risk
        block = (latent @ generator.normal(size=(24, dimensions))).astype(np.float32)
        block += generator.normal(size=block.shape).astype(np.float32)
        vectors.append(
            pl.DataFrame({"patient_id": ids}).with_columns(
                pl.lit(kind).alias("kind"),
                pl.Series("vector", block, dtype=pl.Array(pl.Float32, dimensions)),
            )
        )
    none = pl.DataFrame(schema={"patient_id": pl.String, "feature": pl.String, "value": pl.Float64})
    return build_feature_blocks(roster, events, none, pl.concat(vectors)), labels


def shared(
    blocks: FeatureBlocks,
    labels: Labels,
    training: IndexVector,
    held_out: IndexVector,
    protocol: ModelingProtocol,
) -> dict[ModelName, npt.NDArray[np.float64]]:
    """Return held-out probabilities of the package's own grid."""
    fitted = fit_preprocessing(blocks.rows(training), protocol.preprocessing)
    matrix = fitted.transform(blocks.rows(training))
    models, _ = fit_grid(matrix, labels[training], fitted, protocol, workers=None)
    unseen = fitted.transform(blocks.rows(held_out))
    return {(item.feature_set, item.learner): predict(item, unseen, fitted) for item in models}


def plain(
    blocks: FeatureBlocks,
    labels: Labels,
    training: IndexVector,
    held_out: IndexVector,
    protocol: ModelingProtocol,
) -> dict[ModelName, npt.NDArray[np.float64]]:
    """Return held-out probabilities of one library pipeline after the other."""
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    found: dict[ModelName, npt.NDArray[np.float64]] = {}
    for feature_set, learners in protocol.grid:
        for learner in learners:
            matrix = dense(blocks, feature_set)
            pipeline = make_pipeline(SimpleImputer(), StandardScaler(), plain_learner(learner))
            pipeline.fit(matrix[training], labels[training])
            found[feature_set, learner] = pipeline.predict_proba(matrix[held_out])[:, 1]
    return found


def dense(blocks: FeatureBlocks, feature_set: ModelFeatureSet) -> FloatMatrix:
    """Return the raw columns of a feature set."""
    wanted = FEATURE_SET_BLOCKS[feature_set]
    pieces = [blocks.demographics] if "demographics" in wanted else []
    if "counts" in wanted:
        pieces.append(blocks.counts.toarray())
    if "embeddings" in wanted:
        pieces += [block.vectors for block in blocks.embeddings]
    return np.hstack(pieces)


def plain_learner(name: LearnerName) -> Any:
    """Return the library's own estimator with comparable settings and probabilities."""
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegressionCV
    from sklearn.neural_network import MLPClassifier
    from sklearn.svm import SVC
    from xgboost import XGBClassifier

    def calibrated(estimator: Any) -> Any:
        return CalibratedClassifierCV(estimator, method="sigmoid", cv=3)

    makers: dict[LearnerName, Callable[[], Any]] = {
        "elastic_net": lambda: LogisticRegressionCV(
            Cs=10,
            l1_ratios=[0.5],
            solver="saga",
            cv=3,
            scoring="neg_log_loss",
            max_iter=100,
            tol=1e-3,
            use_legacy_attributes=False,
        ),
        "xgboost": lambda: calibrated(
            XGBClassifier(n_estimators=100, max_depth=3, learning_rate=0.08, n_jobs=1)
        ),
        "random_forest": lambda: calibrated(
            RandomForestClassifier(200, min_samples_leaf=5, random_state=0)
        ),
        "svm": lambda: SVC(gamma="auto", probability=True, random_state=0),
        "mlp": lambda: calibrated(MLPClassifier((32, 16), early_stopping=True, random_state=0)),
    }
    return makers[name]()


def main() -> None:
    """Run both sides fold by fold and print the comparison."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--patients", type=int, default=400)
    parser.add_argument("--counts", type=int, default=600)
    parser.add_argument("--dimensions", type=int, default=128)
    parser.add_argument("--folds", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    # The plain side is known not to converge within its steps and to use an outgoing option.
    warnings.simplefilter("ignore")
    blocks, labels = made_up_cohort(asked.patients, asked.counts, asked.dimensions, asked.seed)
    protocol = replace(ModelingProtocol(), folds=asked.folds, seed=asked.seed)
    folds = stratified_folds(blocks.patient_ids, labels, asked.folds, asked.seed)
    warm_up(blocks, labels, protocol)
    sides = {"shared": Stopwatch(), "plain": Stopwatch()}
    for fold in range(asked.folds):
        training = np.flatnonzero(folds != fold).astype(np.int64)
        held_out = np.flatnonzero(folds == fold).astype(np.int64)
        for name, side in (("shared", shared), ("plain", plain)):
            with sides[name].running(), single_thread():
                scores = side(blocks, labels, training, held_out, protocol)
            for model, probabilities in scores.items():
                sides[name].held_out[model].append(probabilities)
    report(sides, labels, folds)


def warm_up(blocks: FeatureBlocks, labels: Labels, protocol: ModelingProtocol) -> None:
    """Load every library on a few patients, so that no side pays for it."""
    few = np.concatenate([np.flatnonzero(labels == label)[:30] for label in (0, 1)])
    shared(blocks, labels, few, few, replace(protocol, minimum_patients=1))
    warming: tuple[LearnerName, ...] = ("svm", "mlp")
    for learner in warming:
        plain_learner(learner).fit(dense(blocks, "age_sex")[few], labels[few])


def report(sides: dict[str, Stopwatch], labels: Labels, folds: npt.NDArray[np.int32]) -> None:
    """Print seconds, ratios and the AUROC of every model on both sides."""
    order = np.argsort(folds, kind="stable")
    print(f"{'feature set':12}{'learner':16}{'shared':>8}{'plain':>8}  AUROC within folds")
    means: dict[str, list[float]] = defaultdict(list)
    for model in sides["plain"].held_out:
        row = []
        for name, side in sides.items():
            scores = np.concatenate(side.held_out[model])
            row.append(auroc(scores, labels[order], folds=folds[order]).estimate)
            means[name].append(row[-1])
        print(f"{model[0]:12}{model[1]:16}{row[0]:8.3f}{row[1]:8.3f}")
    print(f"{'mean':28}{np.mean(means['shared']):8.3f}{np.mean(means['plain']):8.3f}")
    for unit in ("cpu", "wall"):
        ours, theirs = (getattr(sides[name], unit) for name in ("shared", "plain"))
        print(f"{unit} seconds: shared {ours:.1f}, plain {theirs:.1f}, ratio {theirs / ours:.1f}")


if __name__ == "__main__":
    main()
