"""Random forest, kept as plain node arrays so that it needs no pickle and no library to predict."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
from scipy.special import logit

from learn_assets.modeling.arrays import (
    FloatMatrix,
    FloatVector,
    IndexVector,
    Labels,
    read_arrays,
    write_arrays,
)
from learn_assets.modeling.platt import PlattScaling, fit_platt

if TYPE_CHECKING:
    from sklearn.ensemble import RandomForestClassifier

_BLOCK_ROWS = 2048
_SUREST = 1e-3


@dataclass(frozen=True)
class RandomForest:
    """Trees as concatenated nodes; a leaf points at itself, so every walk may take `depth` steps.

    roots: first node of each tree. feature, threshold, left, right, share: one entry a node, share
    being that of cases among the node's training patients.
    """

    roots: IndexVector
    feature: IndexVector
    threshold: FloatVector
    left: IndexVector
    right: IndexVector
    share: FloatVector
    depth: int
    platt: PlattScaling | None

    carries_patient_rows: ClassVar[bool] = False

    def vote(self, matrix: FloatMatrix) -> FloatVector:
        """Return the mean share of cases over the trees, float64 (patients,)."""
        starts = range(0, len(matrix), _BLOCK_ROWS)
        pieces = [self._vote_block(matrix[start : start + _BLOCK_ROWS]) for start in starts]
        return np.concatenate([np.zeros(0), *pieces])

    def predict_probability(self, matrix: FloatMatrix) -> FloatVector:
        """Return the probability of being a case, float64 (patients,)."""
        vote = self.vote(matrix)
        return vote if self.platt is None else self.platt.probability(_vote_logit(vote))

    def save(self, folder: Path) -> None:
        """Write node arrays and settings."""
        arrays = {
            "roots": self.roots,
            "feature": self.feature,
            "threshold": self.threshold,
            "left": self.left,
            "right": self.right,
            "share": self.share,
        }
        if self.platt is not None:
            arrays["platt"] = np.array([self.platt.intercept, self.platt.slope])
        write_arrays(folder, arrays, {"depth": self.depth})

    @classmethod
    def load(cls, folder: Path) -> RandomForest:
        """Read what `save` wrote."""
        arrays, settings = read_arrays(folder)
        scalars = arrays.pop("platt", None)
        platt = None if scalars is None else PlattScaling(*(float(value) for value in scalars))
        return cls(**arrays, depth=int(settings["depth"]), platt=platt)

    def _vote_block(self, matrix: FloatMatrix) -> FloatVector:
        rows = np.arange(len(matrix))[:, None]
        node = np.broadcast_to(self.roots, (len(matrix), len(self.roots))).copy()
        for _ in range(self.depth):
            goes_left = matrix[rows, self.feature[node]] <= self.threshold[node]
            node = np.where(goes_left, self.left[node], self.right[node])
        return np.asarray(self.share[node].mean(axis=1), dtype=np.float64)


@dataclass(frozen=True)
class RandomForestSettings:
    """row_share: patients drawn for a tree. bins: values a column may take, None for all of them.

    calibrated: probabilities are scaled on out-of-bag votes, which no tree trained on. balanced:
    cases and controls weigh the same in total; calibration keeps the true share.
    """

    trees: int = 150
    minimum_leaf: int = 5
    max_features: Literal["sqrt", "log2"] = "sqrt"
    row_share: float = 0.5
    bins: int | None = 16
    calibrated: bool = True
    balanced: bool = False

    def fit(self, matrix: FloatMatrix, labels: Labels, seed: int) -> RandomForest:
        """Grow the trees on one thread; the caller spreads fits over cores."""
        from sklearn.ensemble import RandomForestClassifier

        binned = None if self.bins is None else bin_columns(matrix, self.bins)
        forest = RandomForestClassifier(
            n_estimators=self.trees,
            min_samples_leaf=self.minimum_leaf,
            max_features=self.max_features,
            max_samples=None if self.row_share == 1.0 else self.row_share,
            oob_score=self.calibrated,
            class_weight="balanced" if self.balanced else None,
            random_state=seed,
            n_jobs=1,
        ).fit(matrix if binned is None else binned.codes, labels)
        platt = _out_of_bag_platt(forest, labels) if self.calibrated else None
        flat = _flattened(forest, platt)
        return flat if binned is None else _in_values(flat, binned)


@dataclass(frozen=True)
class BinnedColumns:
    """Codes (float32, Fortran order) with code <= k exactly where the value is <= cuts[k]."""

    codes: FloatMatrix
    cuts: tuple[FloatMatrix, ...]

    def coded(self, matrix: FloatMatrix) -> FloatMatrix:
        """Return the codes of other patients, float32 (patients, columns)."""
        columns = zip(self.cuts, np.asfortranarray(matrix).T, strict=True)
        return np.column_stack([np.searchsorted(cut, column) for cut, column in columns]).astype(
            np.float32
        )


def bin_columns(matrix: FloatMatrix, bins: int) -> BinnedColumns:
    """Return each column cut at its quantiles, or at every value when it has at most `bins`.

    Growing trees sorts columns at every node, which is far faster with few distinct values.
    """
    codes = np.empty(matrix.shape, dtype=np.float32, order="F")
    quantiles = np.arange(1, bins) * len(matrix) // bins
    cuts = []
    for number, column in enumerate(np.asfortranarray(matrix).T):
        ordered = np.sort(column)
        values = ordered[np.append(True, ordered[1:] != ordered[:-1])]
        cut = values[:-1] if len(values) <= bins else np.unique(ordered[quantiles])
        codes[:, number] = np.searchsorted(cut, column)
        cuts.append(cut)
    return BinnedColumns(codes, tuple(cuts))


def _in_values(forest: RandomForest, binned: BinnedColumns) -> RandomForest:
    """Return the forest with thresholds on codes put back as thresholds on values."""
    threshold = forest.threshold.copy()
    inner = np.flatnonzero(forest.left != np.arange(len(forest.left)))
    for node in inner:
        cut = binned.cuts[forest.feature[node]]
        threshold[node] = cut[int(forest.threshold[node])]
    return replace(forest, threshold=threshold)


def _out_of_bag_platt(forest: RandomForestClassifier, labels: Labels) -> PlattScaling:
    votes = forest.oob_decision_function_[:, 1]
    judged = np.isfinite(votes)
    return fit_platt(_vote_logit(votes[judged]), labels[judged])


def _vote_logit(vote: FloatVector) -> FloatVector:
    return np.asarray(logit(np.clip(vote, _SUREST, 1 - _SUREST)), dtype=np.float64)


def _flattened(forest: RandomForestClassifier, platt: PlattScaling | None) -> RandomForest:
    trees = [estimator.tree_ for estimator in forest.estimators_]
    sizes = [tree.node_count for tree in trees]
    roots = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64)
    own = np.arange(sum(sizes), dtype=np.int64)
    shift = np.repeat(roots, sizes)

    def joined(name: str) -> npt.NDArray[Any]:
        return np.concatenate([getattr(tree, name) for tree in trees])

    left, right = joined("children_left"), joined("children_right")
    leaf = left == -1
    values = np.concatenate([tree.value[:, 0, :] for tree in trees])
    return RandomForest(
        roots=roots,
        feature=np.where(leaf, 0, joined("feature")).astype(np.int64),
        threshold=np.where(leaf, 0.0, joined("threshold")).astype(np.float64),
        left=np.where(leaf, own, left + shift).astype(np.int64),
        right=np.where(leaf, own, right + shift).astype(np.int64),
        share=np.asarray(values[:, 1] / values.sum(axis=1), dtype=np.float64),
        depth=max(tree.max_depth for tree in trees),
        platt=platt,
    )
