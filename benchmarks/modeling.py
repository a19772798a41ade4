"""Time the modeling grid against LEARN's way: every pipeline on its own, one after the other.

Usage: python benchmarks/modeling.py [--full] [--patients 240] [--repeats 1] [--plain-threads 1]

Three contenders learn from the same made-up training patients and predict the same held-out ones:
`plain` (for each feature set and learner an imputer, a scaler, SMOTE and the library's estimator
with the published settings; the network is a torch loop over a DataLoader), the package's preset
`published` (the same settings) and its preset `recommended` (what a study gets by default). They
take turns, so a busy machine slows all of them; seconds of processor say more there than seconds of
wall clock. Printed: both, their ratios to `plain`, the load, and AUROC of every model.

`--full` takes the shape of a published fold (3,516 training patients, 5,626 rows after SMOTE, 1,452
columns with all feature sets). There the published network trains for `--epochs` only: what these
epochs took is scaled to all of them, on both sides alike, and the AUROC of these networks, which
would mean nothing, is left out.
"""

from __future__ import annotations

import argparse
import os
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from unittest.mock import patch

import numpy as np
import numpy.typing as npt
import polars as pl
from threadpoolctl import threadpool_limits

from learn_assets.modeling import learners as presets
from learn_assets.modeling.arrays import FloatMatrix, IndexVector, Labels
from learn_assets.modeling.cross_validation import fit_grid, predict
from learn_assets.modeling.features import (
    FEATURE_SET_BLOCKS,
    REPRESENTATIONS,
    FeatureBlocks,
    ModelFeatureSet,
    build_feature_blocks,
)
from learn_assets.modeling.learners import ProtocolName
from learn_assets.modeling.neural_network import published_network
from learn_assets.modeling.preprocessing import preprocess
from learn_assets.modeling.protocol import ModelingProtocol
from learn_assets.statistics.discrimination import auroc
from learn_assets.study import LearnerName

KINDS = ("diagnosis", "procedure", "medication")
NETWORK = published_network(include_medication=True)
LEARNERS: tuple[LearnerName, ...] = ("elastic_net", "xgboost", "random_forest", "svm", "mlp")
FEATURE_SETS: tuple[ModelFeatureSet, ...] = (
    "count",
    "embedding",
    "autoencoder",
    "contrastive_self",
    "contrastive_supervised",
    "learn",
)
ModelName = tuple[ModelFeatureSet, LearnerName]
Scores = dict[ModelName, npt.NDArray[np.float64]]


@dataclass(frozen=True)
class Task:
    """Patients to learn from and patients to predict; `epochs` of the network that are run."""

    blocks: FeatureBlocks
    labels: Labels
    training: IndexVector
    held_out: IndexVector
    seed: int
    epochs: int
    feature_sets: tuple[ModelFeatureSet, ...]

    def protocol(self, name: ProtocolName, learners: tuple[LearnerName, ...]) -> ModelingProtocol:
        """Return the grid of this task."""
        return ModelingProtocol(
            name=name, feature_sets=self.feature_sets, learners=learners, seed=self.seed
        )


@dataclass
class Stopwatch:
    """Seconds of processor and of wall clock that one contender took, and its AUROCs."""

    cpu: float = 0.0
    wall: float = 0.0
    network_cpu: float = 0.0
    network_wall: float = 0.0
    aurocs: dict[ModelName, list[float]] = field(default_factory=lambda: defaultdict(list))

    @contextmanager
    def running(self) -> Iterator[None]:
        """Add what the block takes."""
        cpu, wall = time.process_time(), time.perf_counter()
        yield
        self.cpu += time.process_time() - cpu
        self.wall += time.perf_counter() - wall

    @property
    def all_cpu(self) -> float:
        """Seconds of processor, networks measured apart included."""
        return self.cpu + self.network_cpu

    @property
    def all_wall(self) -> float:
        """Seconds of wall clock, networks measured apart included."""
        return self.wall + self.network_wall

    def add_networks(self, short: Stopwatch, long: Stopwatch, share: float) -> None:
        """Add what `long` took beyond `short`, which is `share` of all epochs."""
        self.network_cpu += (long.cpu - short.cpu) / share
        self.network_wall += (long.wall - short.wall) / share


Contender = Callable[[Task, tuple[LearnerName, ...]], Scores]


def made_up_task(asked: argparse.Namespace, seed: int) -> Task:
    """Return patients with a planted risk, a fifth of them cases."""
    generator = np.random.default_rng(seed)
    patients, counts = asked.patients + asked.held_out, asked.counts
    risk = generator.normal(size=patients)
    strength = risk + generator.normal(size=patients)
    labels = np.zeros(patients, dtype=np.int8)
    for part in (slice(0, asked.patients), slice(asked.patients, patients)):
        labels[part] = strength[part] > np.quantile(strength[part], 0.8)
    ids = np.array([f"P{number:06d}" for number in range(patients)])
    roster = pl.DataFrame(
        {
            "patient_id": ids,
            "age_at_index": generator.uniform(16, 85, patients),
            "sex": generator.choice(["F", "M"], patients),
        }
    )
    tied = np.arange(counts) % 20 == 0
    drawn = generator.poisson(
        np.exp(generator.normal(-1.0, 1.0, counts) + 0.3 * np.outer(risk, tied))
    )
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
        block = (latent @ generator.normal(size=(24, asked.dimensions))).astype(np.float32)
        block += generator.normal(size=block.shape).astype(np.float32)
        vectors.append(
            pl.DataFrame({"patient_id": ids}).with_columns(
                pl.lit(kind).alias("kind"),
                pl.Series("vector", block, dtype=pl.Array(pl.Float32, asked.dimensions)),
            )
        )
    none = pl.DataFrame(schema={"patient_id": pl.String, "feature": pl.String, "value": pl.Float64})
    return Task(
        build_feature_blocks(roster, events, none, pl.concat(vectors)),
        labels,
        np.arange(asked.patients, dtype=np.int64),
        np.arange(asked.patients, patients, dtype=np.int64),
        seed,
        asked.epochs,
        tuple(asked.feature_sets),
    )


def packaged(preset: ProtocolName) -> Contender:
    """Return the package's own grid with one of its presets."""

    def run(task: Task, learners: tuple[LearnerName, ...]) -> Scores:
        protocol = task.protocol(preset, learners)
        shorter = replace(NETWORK, epochs=task.epochs)
        known = task.labels[task.training]
        training = task.blocks.rows(task.training)
        fitted, matrix = preprocess(training, protocol.preprocessing, known)
        with patch.object(presets, "published_network", lambda _: shorter):
            models, _ = fit_grid(matrix, known, fitted, protocol, workers=None)
        unseen = fitted.transform(task.blocks.rows(task.held_out))
        return {(item.feature_set, item.learner): predict(item, unseen, fitted) for item in models}

    return run


def plain(threads: int) -> Contender:
    """Return one library pipeline after the other, each with `threads` threads."""

    def run(task: Task, learners: tuple[LearnerName, ...]) -> Scores:
        from imblearn.over_sampling import SMOTE
        from sklearn.impute import SimpleImputer
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        found: Scores = {}
        grid = task.protocol("published", learners).grid
        with threadpool_limits(threads):
            for feature_set, names in grid:
                matrix = raw_columns(task, feature_set)
                for learner in names:
                    steps = make_pipeline(SimpleImputer(), StandardScaler())
                    scaled = steps.fit_transform(matrix[task.training])
                    resampled = SMOTE(random_state=task.seed).fit_resample(
                        scaled, task.labels[task.training]
                    )
                    model = plain_learner(learner, task, threads).fit(*resampled)
                    unseen = steps.transform(matrix[task.held_out])
                    found[feature_set, learner] = model.predict_proba(unseen)[:, 1]
        return found

    return run


def raw_columns(task: Task, feature_set: ModelFeatureSet) -> FloatMatrix:
    """Return the unscaled columns of a feature set, all patients.

    Representations are learned by the package's own code and once for all learners, so nothing is
    gained on them but that ours are learned side by side.
    """
    blocks = task.blocks
    if feature_set in REPRESENTATIONS:
        options = replace(task, feature_sets=(feature_set,)).protocol("published", ()).preprocessing
        training = blocks.rows(task.training)
        fitted, matrix = preprocess(training, options, task.labels[task.training])
        columns = fitted.columns_of(feature_set)
        codes = np.empty((len(blocks), len(columns)), dtype=np.float32)
        codes[task.training] = matrix[:, columns]
        codes[task.held_out] = fitted.transform(blocks.rows(task.held_out))[:, columns]
        return codes
    wanted = FEATURE_SET_BLOCKS[feature_set]
    pieces = [blocks.demographics] if "demographics" in wanted else []
    if "counts" in wanted:
        pieces.append(blocks.counts.toarray())
    if "embeddings" in wanted:
        pieces += [block.vectors for block in blocks.embeddings]
    return np.hstack(pieces)


def plain_learner(name: LearnerName, task: Task, threads: int) -> Any:
    """Return the library's own estimator with the published settings, or its defaults."""
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegressionCV
    from sklearn.svm import SVC
    from xgboost import XGBClassifier

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
        "xgboost": lambda: XGBClassifier(n_jobs=threads),
        "random_forest": lambda: RandomForestClassifier(random_state=task.seed),
        "svm": lambda: SVC(gamma="auto", probability=True, random_state=task.seed),
        "mlp": lambda: PlainNetwork(task.epochs, task.seed, threads),
    }
    return makers[name]()


class PlainNetwork:
    """LEARN's network as a plain torch loop over a DataLoader, with scikit-learn's interface."""

    def __init__(self, epochs: int, seed: int, threads: int) -> None:
        """Take the epochs to train for, the seed, and the threads torch may use."""
        self.epochs, self.seed, self.threads = epochs, seed, threads

    def fit(self, matrix: FloatMatrix, labels: Labels) -> PlainNetwork:
        """Train on rows (patients, columns) and labels (1 = case)."""
        import torch
        from torch.utils.data import DataLoader, TensorDataset

        torch.set_num_threads(self.threads)
        torch.manual_seed(self.seed)
        rows = torch.from_numpy(np.asarray(matrix, dtype=np.float32))
        data = TensorDataset(rows, torch.from_numpy(labels.astype(np.float32)))
        alone = len(rows) % NETWORK.batch == 1  # batch norm has no variance over one row
        loader = DataLoader(data, NETWORK.batch, shuffle=True, drop_last=alone)
        self.network = _layers(rows.shape[1])
        parameters = list(self.network.parameters())
        optimizer = torch.optim.Adam(
            parameters, lr=NETWORK.learning_rate, weight_decay=NETWORK.weight_decay
        )
        judge = torch.nn.BCEWithLogitsLoss()
        for _ in range(self.epochs):
            for inputs, targets in loader:
                optimizer.zero_grad()
                loss = judge(self.network(inputs).squeeze(1), targets)
                loss.backward()
                torch.nn.utils.clip_grad_norm_(parameters, NETWORK.clip_norm)
                optimizer.step()
        return self

    def predict_proba(self, matrix: FloatMatrix) -> npt.NDArray[np.float64]:
        """Return probabilities (patients, 2) of control and case."""
        import torch

        self.network.eval()
        with torch.no_grad():
            logits = self.network(torch.from_numpy(np.asarray(matrix, dtype=np.float32)))
        chance = torch.sigmoid(logits).squeeze(1).double().numpy()
        return np.column_stack([1 - chance, chance])


def _layers(columns: int) -> Any:
    from torch import nn

    layers: list[nn.Module] = []
    inputs = columns
    for depth, outputs in enumerate(NETWORK.hidden):
        rate = NETWORK.dropout[min(depth, len(NETWORK.dropout) - 1)]
        layers += [nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs), nn.ReLU6()]
        layers.append(nn.Dropout(rate))
        inputs = outputs
    return nn.Sequential(*layers, nn.Linear(inputs, 1))


def main(words: Sequence[str] | None = None) -> dict[str, Stopwatch]:
    """Let the contenders take turns, print the comparison and return what each took."""
    asked = arguments(words)
    # The plain side is known not to converge within its steps and to use an outgoing option.
    warnings.simplefilter("ignore")
    contenders: dict[str, Contender] = {
        "plain": plain(asked.plain_threads),
        "published": packaged("published"),
        "recommended": packaged("recommended"),
    }
    small = argparse.Namespace(**{**vars(asked), "patients": 120, "held_out": 40, "epochs": 1})
    for contender in contenders.values():  # loads every library, so that nobody pays for it
        contender(made_up_task(small, asked.seed), tuple(asked.learners))
    watches = {name: Stopwatch() for name in contenders}
    for repeat in range(asked.repeats):
        task = made_up_task(asked, asked.seed + repeat)
        for name, contender in contenders.items():
            measure(contender, task, tuple(asked.learners), watches[name], name != "recommended")
    report(watches)
    return watches


def measure(
    contender: Contender,
    task: Task,
    learners: tuple[LearnerName, ...],
    watch: Stopwatch,
    published: bool,
) -> None:
    """Let one contender do the task; of the published network, some epochs stand for all."""
    apart = published and "mlp" in learners and task.epochs < NETWORK.epochs
    scores: Scores = {}
    together = tuple(name for name in learners if not (apart and name == "mlp"))
    if together:
        with watch.running():
            scores |= contender(task, together)
    if apart:
        # The difference of two runs leaves the epochs alone, without what comes before them.
        short, long = Stopwatch(), Stopwatch()
        with short.running():
            contender(replace(task, epochs=1), ("mlp",))
        with long.running():
            contender(replace(task, epochs=1 + task.epochs), ("mlp",))
        watch.add_networks(short, long, task.epochs / NETWORK.epochs)
    for model, chance in scores.items():
        watch.aurocs[model].append(auroc(chance, task.labels[task.held_out]).estimate)


def arguments(words: Sequence[str] | None) -> argparse.Namespace:
    """Return what was asked for; `--full` sets the shape."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--full", action="store_true", help="the shape of a published fold")
    parser.add_argument("--patients", type=int, default=240)
    parser.add_argument("--held-out", type=int, default=2000)
    parser.add_argument("--counts", type=int, default=296)
    parser.add_argument("--dimensions", type=int, default=128)
    parser.add_argument("--epochs", type=int, default=None)
    parser.add_argument("--feature-sets", nargs="+", choices=FEATURE_SETS, default=FEATURE_SETS)
    parser.add_argument("--learners", nargs="+", choices=LEARNERS, default=LEARNERS)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--plain-threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args(words)
    if asked.full:
        asked.patients, asked.counts, asked.dimensions = 3516, 296, 384
    asked.epochs = asked.epochs or (2 if asked.full else NETWORK.epochs)
    return asked


def report(watches: dict[str, Stopwatch]) -> None:
    """Print the AUROC of every model, then seconds and their ratios."""
    print(f"{'AUROC on held-out patients':40}" + "".join(f"{name:>13}" for name in watches))
    means: dict[str, list[float]] = defaultdict(list)
    for model in watches["plain"].aurocs:
        for name, watch in watches.items():
            means[name].append(float(np.mean(watch.aurocs[model])))
        print(f"{model[0]:24}{model[1]:16}" + "".join(f"{row[-1]:13.3f}" for row in means.values()))
    print(f"{'mean':40}" + "".join(f"{np.mean(row):13.3f}" for row in means.values()))
    plain_watch = watches["plain"]
    for name, watch in watches.items():
        apart = f" (network {watch.network_cpu:.1f} s)" if watch.network_cpu else ""
        print(
            f"{name:12} CPU {watch.all_cpu:8.1f} s{apart}, wall {watch.all_wall:8.1f} s; "
            f"plain takes {plain_watch.all_cpu / watch.all_cpu:.1f} times the CPU and "
            f"{plain_watch.all_wall / watch.all_wall:.1f} times the wall clock"
        )
    print("load average: " + " ".join(f"{load:.1f}" for load in os.getloadavg()))


if __name__ == "__main__":
    main()
